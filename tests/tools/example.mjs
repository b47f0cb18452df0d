// Runs docs/examples/chat.ts, compiled, against a server. Standard input: {server, email, password, conversationId}. It reads
// what was written before, says something, waits for an answer and for the end of its first token, and says something; is let go by the server, and comes
// back by itself; loses its connection, and says something again. Prints what it knows, how often it asked for a token
// before it was let go, and how often it came before and after.
import { Conversation } from "./node_modules/.examples/chat.js";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { server, email, password, conversationId } = JSON.parse(Buffer.concat(chunks).toString());
let logins = 0;
let expiresIn = 0;
async function freshToken() {
  logins += 1;
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${server}/api/v1/auth/login`, { method: "POST", headers, body: JSON.stringify({ email, password }) });
  if (!answer.ok) throw new Error(await answer.text());
  const session = await answer.json();
  expiresIn = session.expiresIn;
  return session.accessToken;
}
let look = () => {};
let connects = 0;
const talk = new Conversation(server, conversationId, freshToken, () => look());
talk.socket.on("connect", () => { connects += 1; look(); });
const until = (ready) => new Promise((resolve) => { (look = () => ready() && resolve())(); });
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
await until(() => talk.messages.size === 1);
const sent = await talk.send("Hello from the example");
await until(() => [...talk.messages.values()].some((message) => message.seq > sent.seq));
await pause(expiresIn + 1);
await talk.send("On a newer token");
const before = { logins, connects };
await until(() => connects > before.connects); // the server has let it go
await talk.send("Back again");
talk.socket.io.engine.close();
await talk.send("And again");
await until(() => talk.messages.size === 6);
const messages = [...talk.messages.values()].sort((a, b) => a.seq - b.seq);
process.stdout.write(JSON.stringify({ said: messages.map((message) => message.body), before, connects }));
talk.close();
