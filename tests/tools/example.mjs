// Runs docs/examples/chat.ts and session.js, compiled, against a server. Standard input: {server, email, password, staff,
// conversationId}, where `staff` is a token. The first tokens do not come. It reads what was written before, says something,
// waits for an answer and for the end of its first token, and says something; is let go by the server, and comes back by
// itself; loses its connection, and says something; loses it in maintenance, says something and waits; logs out. Prints
// what it knows, how often it asked for a token before it was let go, how often it came, and whether it is closed.
import { Conversation } from "./node_modules/.examples/chat.js";
import { tokens } from "./node_modules/.examples/session.js";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { server, email, password, staff, conversationId } = JSON.parse(Buffer.concat(chunks).toString());
const ask = (method, path, body, token) => fetch(`${server}${path}`, {
  method, body: JSON.stringify(body),
  headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
});

let session = null;
let asked = 0;
let logsIn = true;
async function refresh() {
  asked += 1;
  // the server is away, and then too many come back at once
  if (asked <= 2) return new Response(null, { status: asked === 1 ? 503 : 429 });
  let answer = session && await ask("POST", "/api/v1/auth/refresh", { refreshToken: session.refreshToken });
  if (!answer?.ok && logsIn) answer = await ask("POST", "/api/v1/auth/login", { email, password });
  if (answer.ok) session = await answer.clone().json();
  return answer;
}

let look = () => {};
let connects = 0;
const talk = new Conversation(server, conversationId, tokens(server, refresh), () => look());
talk.socket.on("connect", () => { connects += 1; look(); });
const until = (ready) => new Promise((resolve) => { (look = () => ready() && resolve())(); });
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
await until(() => talk.messages.size === 1);
const refused = asked - 1;
const sent = await talk.send("Hello from the example");
await until(() => [...talk.messages.values()].some((message) => message.seq > sent.seq));
await pause(session.expiresIn + 1);
await talk.send("On a newer token");
const before = { asked, connects };
await until(() => connects > before.connects); // the server has let it go
await talk.send("Back again");
talk.socket.io.engine.close();
await talk.send("And again");

const maintain = async (isOn) => {
  const switched = await ask("PUT", "/api/v1/admin/maintenance", { isOn, retryAfterSeconds: 600 }, staff);
  if (!switched.ok) throw new Error(await switched.text());
  while (((await (await fetch(`${server}/health/ready`)).json()).maintenance ?? false) !== isOn) await pause(0.05);
};
await maintain(true);
const earlier = connects;
talk.socket.io.engine.close();
await until(() => connects > earlier);
await until(() => talk.synced || talk.isClosed);
let tries = 0;
talk.socket.onAnyOutgoing((event) => { tries += event === "message:send"; });
const waiting = talk.send("After the maintenance");
while (tries < 2) await pause(0.05);
const seen = talk.messages.size;
await maintain(false);
await waiting;
await until(() => talk.messages.size === 7);

logsIn = false;
await ask("DELETE", "/api/v1/auth/sessions", undefined, session.accessToken);
await until(() => talk.isClosed);
const late = await talk.send("Too late").catch((error) => error.code);
const messages = [...talk.messages.values()].sort((a, b) => a.seq - b.seq);
process.stdout.write(JSON.stringify({
  said: messages.map((message) => message.body), refused, before, connects, seen, late, active: talk.socket.active,
}));
