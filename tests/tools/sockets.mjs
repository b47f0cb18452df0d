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
      if (acknowledges ?? true) ack({});
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

const commands = {
  connect,
  async follow(args) { return follow(args); },
  /** Says so many things one after the other, each until it is answered. */
  async say({ name, count }) {
    const { socket, conversationId } = clients.get(name);
    for (let n = 0; n < count; n += 1) {
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
