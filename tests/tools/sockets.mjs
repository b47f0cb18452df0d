// Clients of Socket.IO, the official ones, driven line by line: each line of standard input is a command in JSON, each
// line of standard output the answer to it, under the same number.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const clients = new Map();
const PATIENCE = 15_000;

/** Resolves with what `ready` finds, which is asked again after each event of the client. */
function until(client, ready, patience = PATIENCE) {
  return new Promise((resolve) => {
    const look = () => {
      const found = ready();
      if (found === undefined) return;
      clearTimeout(timer);
      client.watchers.delete(look);
      resolve(found);
    };
    const timer = setTimeout(() => {
      client.watchers.delete(look);
      resolve({ error: "nothing came", events: client.events });
    }, patience);
    client.watchers.add(look);
    look();
  });
}

function connect({ name, url, namespace, token, transports, headers, acknowledges, upgrade }) {
  const socket = io(url + (namespace ?? "/chat"), {
    auth: token === undefined ? {} : { token },
    transports,
    upgrade: upgrade ?? true,
    extraHeaders: headers,
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
  });
  const client = { socket, events: [], watchers: new Set(), connects: 0, ends: [], errors: [] };
  const changed = () => [...client.watchers].forEach((look) => look());
  clients.set(name, client);
  socket.on("connect", () => { client.connects += 1; changed(); });
  socket.on("disconnect", (reason) => { client.ends.push(reason); changed(); });
  socket.on("connect_error", (error) => { client.errors.push(error.message); changed(); });
  socket.io.engine?.on("upgrade", changed);
  socket.onAny((event, ...args) => {
    const ack = args.at(-1);
    if (typeof ack === "function") {
      args.pop();
      if (acknowledges === "with nothing") ack();
      else if (acknowledges ?? true) ack({});
    }
    client.events.push([event, ...args]);
    changed();
  });
  return until(client, () =>
    client.connects > 0 ? { connected: true } : client.errors.length > 0 ? { error: client.errors[0] } : undefined);
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A client as docs/sockets.md has it, which comes back by itself, catches up, and says again what was not answered. */
function follow({ name, url, token, conversationId }) {
  const socket = io(`${url}/chat`, {
    auth: { token }, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 2_000,
  });
  const it = { socket, conversationId, known: new Map(), rev: 0, synced: false, connects: 0, twice: 0, disordered: 0 };
  clients.set(name, it);
  const ask = (event, data) => socket.timeout(2_000).emitWithAck(event, { conversationId, ...data });
  const take = (message) => {
    if (!(it.known.get(message.id)?.rev > message.rev)) it.known.set(message.id, message);
    if (it.synced) it.rev = Math.max(it.rev, message.rev);
  };
  let told = 0; // the last revision of this connection
  const hear = (message, arrived) => {
    if (message.rev === told) it.twice += 1;
    if (message.rev < told) it.disordered += 1;
    told = message.rev;
    take(message);
    arrived?.();
  };
  for (const event of ["message:new", "message:edited", "message:deleted"]) socket.on(event, hear);
  socket.on("disconnect", () => { it.synced = false; told = 0; });
  socket.on("connect", async () => {
    const connection = (it.connects += 1);
    const isCurrent = () => socket.connected && connection === it.connects;
    while (isCurrent()) {
      try {
        if (!(await ask("conversation:join")).ok) throw new Error("not yet");
        for (let more = true; more; ) {
          const news = await ask("sync", { afterRev: it.rev, limit: 100 });
          if (!news.ok) throw new Error("not yet");
          news.items.forEach(take);
          it.rev = Math.max(it.rev, news.rev);
          more = news.hasMore;
        }
        if (isCurrent()) it.synced = true;
        return;
      } catch {
        await pause(50);
      }
    }
  });
  return {};
}

/** The client of the documentation, compiled, which renews its token. */
async function converse({ name, url, refreshToken, conversationId }) {
  const { Conversation } = await import("./node_modules/.examples/chat.js");
  const { tokens } = await import("./node_modules/.examples/session.js");
  const headers = { "content-type": "application/json" };
  let latest = refreshToken;
  const refresh = async () => {
    const body = JSON.stringify({ refreshToken: latest });
    const answer = await fetch(`${url}/api/v1/auth/refresh`, { method: "POST", headers, body, signal: AbortSignal.timeout(5_000) });
    if (answer.ok) latest = (await answer.clone().json()).refreshToken;
    return answer;
  };
  const talk = new Conversation(url, conversationId, tokens(url, refresh));
  const { socket, messages: known } = talk;
  const it = { talk, socket, conversationId, known, connects: 0, twice: 0, disordered: 0, get synced() { return talk.synced; } };
  clients.set(name, it);
  let told = 0; // the last revision of this connection
  for (const event of ["message:new", "message:edited", "message:deleted"]) {
    socket.on(event, ({ rev }) => {
      it.twice += rev === told;
      it.disordered += rev < told;
      told = rev;
    });
  }
  socket.on("connect", () => { it.connects += 1; });
  socket.on("disconnect", () => { told = 0; });
  return {};
}

/** Asks until it is done: what is answered before that passes. */
async function askSurely(socket, event, data) {
  for (;;) {
    const answer = await socket.timeout(2_000).emitWithAck(event, data).catch(() => undefined);
    if (answer?.ok) return answer;
    if (answer && !["unavailable", "internal", "too_many_requests", "too_many_signals", "call_not_joined"].includes(answer.code)) {
      throw new Error(`${event}: ${answer.code}`);
    }
    await pause(100);
  }
}

/** A device in a call, as docs/sockets.md has it: it comes back by itself, with the connection to the other one that it had. */
function phone({ name, url, token, consultationId }) {
  const socket = io(`${url}/audio-call`, {
    auth: { token }, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 2_000,
  });
  const deviceId = crypto.randomUUID();
  const it = { socket, consultationId, connects: 0, isIn: false, heard: [], number: 0, ends: [], calls: new Set(), rings: false };
  clients.set(name, it);
  socket.on("connect", async () => {
    const connection = (it.connects += 1);
    while (socket.connected && connection === it.connects) {
      const entered = await socket.timeout(2_000)
        .emitWithAck("call:join", { consultationId, deviceId, resumes: it.connects > 1 }).catch(() => undefined);
      if (entered?.ok) {
        it.isIn = true;
        if (entered.call) it.calls.add(entered.call.id);
        it.rings ||= entered.call?.status === "ringing";
        return;
      }
      await pause(50);
    }
  });
  socket.on("disconnect", () => { it.isIn = false; });
  socket.on("call:ringing", (_, arrived) => { it.rings = true; arrived(); });
  socket.on("call:accepted", ({ callId }) => it.calls.add(callId));
  socket.on("call:ended", ({ reason }) => it.ends.push(reason));
  socket.on("signal:ice", ({ number, candidate }, arrived) => {
    arrived();
    if (number <= it.number) return; // it came before the connection broke
    it.number = number;
    const said = Number(candidate.candidate);
    // whoever got no answer says it again
    if (it.heard.at(-1) !== said) it.heard.push(said);
  });
  return {};
}

/** A list of notifications, as docs/sockets.md has it: read when the connection is there, and then as it is told. */
function list({ name, url, token }) {
  const socket = io(`${url}/notifications`, {
    auth: { token }, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, timeout: 2_000,
  });
  const it = { socket, connects: 0, known: new Map(), live: 0, twice: 0 };
  clients.set(name, it);
  const told = new Set(); // on this connection
  socket.on("notification:new", (line) => {
    it.twice += told.has(line.id);
    told.add(line.id);
    it.live += !it.known.has(line.id);
    it.known.set(line.id, line);
  });
  socket.on("connect", async () => {
    const connection = (it.connects += 1);
    told.clear();
    while (socket.connected && connection === it.connects) {
      const answer = await fetch(`${url}/api/v1/notifications?limit=100`, { headers: { authorization: `Bearer ${token}` } })
        .catch(() => undefined);
      if (answer?.ok) {
        for (const line of (await answer.json()).items) it.known.set(line.id, line);
        return;
      }
      await pause(50);
    }
  });
  return {};
}

const commands = {
  connect,
  async phone(args) { return phone(args); },
  async list(args) { return list(args); },
  /** A phone does something, as soon as it is in. */
  async step({ name, event, data }) {
    const it = clients.get(name);
    while (!it.isIn) await pause(20);
    const { callId } = await askSurely(it.socket, event, { consultationId: it.consultationId, ...data });
    if (callId) it.calls.add(callId);
    return {};
  },
  /** A phone says one signal after the other, until it is told to be quiet; how many. */
  async signals({ name }) {
    const it = clients.get(name);
    let n = 0;
    for (it.talks = true; it.talks; n += 1) {
      await askSurely(it.socket, "signal:ice", { consultationId: it.consultationId, candidate: { candidate: `${n}` } });
      await pause(150);
    }
    return { said: n };
  },
  async quiet({ name }) {
    clients.get(name).talks = false;
    return {};
  },
  /** How a phone stands, as soon as it has heard so much, rings, or has heard an end. */
  async heard({ name, least, rings, ended }) {
    const it = clients.get(name);
    const isSo = () => it.heard.length >= (least ?? 0) && (!rings || it.rings) && (!ended || it.ends.length > 0);
    for (let n = 0; n < 600 && !isSo(); n += 1) await pause(50);
    return { heard: it.heard, calls: it.calls.size, connects: it.connects, ends: it.ends };
  },
  /** How a list stands, as soon as it knows so many of a kind. */
  async listed({ name, kind, count }) {
    const it = clients.get(name);
    const known = () => [...it.known.values()].filter((line) => line.kind === kind).length;
    for (let n = 0; n < 1200 && known() < count; n += 1) await pause(50);
    const { connects, live, twice } = it;
    return { known: known(), connects, live, twice };
  },
  async follow(args) { return follow(args); },
  converse,
  /** Says so many things one after the other, each until it is answered. */
  async say({ name, count }) {
    const { talk, socket, conversationId } = clients.get(name);
    for (let n = 0; n < count; n += 1) {
      if (talk) {
        await talk.send(`${name} ${n}`);
        continue;
      }
      const message = { conversationId, clientId: crypto.randomUUID(), body: `${name} ${n}` };
      for (let answer; !answer?.ok; ) {
        answer = await socket.timeout(1_000).emitWithAck("message:send", message).catch(() => undefined);
        if (answer && !answer.ok) {
          // asked too often, or of a server that cannot now: the same again in a moment
          if (!["too_many_requests", "unavailable"].includes(answer.code)) return { error: answer };
          await pause(100);
        }
      }
    }
    return {};
  },
  /** Waits until a client knows so many messages. */
  async reaches({ name, count }) {
    const it = clients.get(name);
    for (let n = 0; n < 1200 && it.known.size < count; n += 1) await pause(50);
    return it.known.size >= count ? {} : { error: `${it.known.size} of ${count}` };
  },
  /** Waits until a client knows so many messages; what it knows, in the order of the conversation. */
  async known({ name, count }) {
    const it = clients.get(name);
    for (let n = 0; n < 600 && (it.known.size < count || !it.synced); n += 1) await pause(50);
    const messages = [...it.known.values()].sort((a, b) => a.seq - b.seq);
    return {
      seqs: messages.map((message) => message.seq), bodies: messages.map((message) => message.body),
      connects: it.connects, twice: it.twice, disordered: it.disordered,
    };
  },
  /** Sends an event; the acknowledgement. */
  async ask({ name, event, data }) {
    try {
      return await clients.get(name).socket.timeout(PATIENCE).emitWithAck(event, ...(data === undefined ? [] : [data]));
    } catch (error) {
      return { error: error.message };
    }
  },
  /** The acknowledgements of many, sent without waiting. */
  async askAll({ name, events }) {
    const { socket } = clients.get(name);
    return Promise.all(events.map(([event, data]) =>
      socket.timeout(PATIENCE).emitWithAck(event, data).catch((error) => ({ error: error.message }))));
  },
  /** Sends an event that asks for no acknowledgement. */
  async tell({ name, event, data }) {
    clients.get(name).socket.emit(event, data);
    return {};
  },
  /** Takes the first event of a kind, when it is there. */
  async take({ name, event, patience }) {
    const client = clients.get(name);
    return until(client, () => {
      const at = client.events.findIndex((it) => it[0] === event);
      return at < 0 ? undefined : client.events.splice(at, 1)[0][1];
    }, patience);
  },
  /** Waits for so many events, and gives all of them. */
  async count({ name, event, least }) {
    const client = clients.get(name);
    return until(client, () => {
      const found = client.events.filter((it) => it[0] === event);
      return found.length >= least ? found.map((it) => it[1]) : undefined;
    });
  },
  async events({ name }) {
    return clients.get(name).events;
  },
  /** Waits until the server has ended the socket. */
  async ended({ name }) {
    const client = clients.get(name);
    return until(client, () => (client.ends.length > 0 ? { reason: client.ends[0] } : undefined));
  },
  /** Waits for the transport that the client ends up with. */
  async transport({ name, wanted }) {
    const client = clients.get(name);
    const { engine } = client.socket.io;
    engine.on("upgrade", () => [...client.watchers].forEach((look) => look()));
    return until(client, () => (engine.transport.name === wanted ? { transport: wanted } : undefined));
  },
  /** Breaks the connection as a network does; waits until the client is back. */
  async cut({ name }) {
    const client = clients.get(name);
    const before = client.connects;
    client.socket.io.engine.close();
    return until(client, () => (client.connects > before ? { connects: client.connects } : undefined));
  },
  async close({ name }) {
    clients.get(name).socket.disconnect();
    return {};
  },
};

const lines = createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const { number, command, ...rest } = JSON.parse(line);
  const answer = await commands[command](rest).catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify({ number, answer })}\n`);
});
lines.on("close", () => process.exit(0));
