// The shortest client of a conversation that misses nothing, for a socket that stays (session.js).

/**
 * @param {import("socket.io-client").Socket} socket of `/chat`
 * @param {string} conversationId
 * @param {(known: Map<string, { id: string, seq: number, rev: number, body?: string }>) => void} show
 */
export function follow(socket, conversationId, show) {
  const known = new Map(); // messages by id
  let rev = 0; // everything up to here is known
  let synced = false;
  /** @param {string} event @param {object} data */
  const ask = async (event, data = {}) => {
    const answer = await socket.timeout(10_000).emitWithAck(event, { conversationId, ...data });
    if (!answer.ok) throw new Error(answer.code);
    return answer;
  };
  /** @param {{ id: string, seq: number, rev: number, body?: string }} message */
  const take = (message) => {
    if (!(known.get(message.id)?.rev > message.rev)) known.set(message.id, message);
    if (synced) rev = Math.max(rev, message.rev);
    show(known);
  };
  const catchUp = async () => {
    await ask("conversation:join");
    for (let more = true; more; ) {
      const news = await ask("sync", { afterRev: rev });
      news.items.forEach(take);
      rev = Math.max(rev, news.rev);
      more = news.hasMore;
    }
    synced = true; // what came meanwhile was a part of it, or lies behind it
    const seq = Math.max(0, ...[...known.values()].map((message) => message.seq));
    if (seq > 0) await ask("message:read", { seq, state: "delivered" }); // the other one is told
  };
  socket.on("disconnect", () => { synced = false; });
  socket.on("connect", () => { catchUp().catch(() => socket.io.engine.close()); }); // what fails begins anew with the connection
  socket.on("message:new", (message, arrived) => { take(message); arrived?.(); }); // not each asks whether it arrived
  socket.on("message:edited", take);
  socket.on("message:deleted", take);
  /** @param {string} body */
  return async function send(body) {
    const clientId = crypto.randomUUID(); // the same one again, as long as no answer came
    return (await ask("message:send", { clientId, body })).message; // it also comes as `message:new`, in its order
  };
}
