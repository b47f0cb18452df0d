// Runs docs/examples/chat.ts, compiled, against a server: `example.mjs SERVER TOKEN CONVERSATION`. It says something, waits
// for an answer, loses its connection, says something again, and prints what it knows.
import { Conversation } from "./node_modules/.examples/chat.js";

const [server, token, id] = process.argv.slice(2);
let look = () => {};
const talk = new Conversation(server, id, async () => token, () => look());
const until = (ready) => new Promise((resolve) => { (look = () => ready() && resolve())(); });
const sent = await talk.send("Hello from the example");
await until(() => [...talk.messages.values()].some((message) => message.senderId !== sent.senderId));
talk.socket.io.engine.close();
await talk.send("And again");
await until(() => talk.messages.size === 3);
const messages = [...talk.messages.values()].sort((a, b) => a.seq - b.seq);
process.stdout.write(JSON.stringify(messages.map((message) => message.body)));
talk.close();
