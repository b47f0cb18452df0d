// The shortest client of a conversation that misses nothing, for a socket that stays (session.js).
import { pauseAfter } from "./session.js";

/**
 * @param {import("socket.io-client").Socket} socket of `/chat`
 * @param {string} conversationId
 * @param {(known: Map<string, { id: string, seq: number, rev: number, body?: string }>) => void} show
 * @param {(code: string) => void} end it is not, or no more, this person's to read
 */
export function follow(socket, conversationId, show, end = () => {}) {
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
    await ask("conversation:join"); // what is told live begins here
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
  socket.on("connect", async () => {
    const connection = socket.id; // another one begins anew
    for (let failures = 0; socket.connected && socket.id === connection; failures += 1) {
      try {
        return await catchUp();
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        if (["not_found", "forbidden", "unauthenticated"].includes(message)) return end(message);
        await new Promise((resolve) => setTimeout(resolve, pauseAfter(failures)));
      }
    }
  });
  socket.on("message:new", (message, arrived) => { take(message); arrived?.(); }); // not each asks whether it arrived
  socket.on("message:edited", take);
  socket.on("message:deleted", take);
  /** @param {string} body @param {string} clientId the same one again, as long as no answer came */
  return async function send(body, clientId = crypto.randomUUID()) {
    return (await ask("message:send", { clientId, body })).message; // it also comes as `message:new`, in its order
  };
}
