// Two pages of a headless Chromium that write to each other, one by docs/examples/chat.ts, one by docs/examples/follow.js.
// Standard input: {chromium, page, nodes: [url, url], conversationId, people: [token, token]}, where `page` is a port of
// 127.0.0.1. Standard output: what was seen.
import { input, launch, note, serve } from "./pages.mjs";

const asked = await input();
const server = await serve(asked.page, ["chat.js"]);
const browser = await launch(asked.chromium);
const seen = { faults: [] };
try {
  const context = await browser.newContext();
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) {
    page.on("console", (message) => note(`page: ${message.text()}`));
    page.on("pageerror", (error) => seen.faults.push(error.message));
    await page.goto(`http://127.0.0.1:${asked.page}/`);
    await page.evaluate(() => {
      globalThis.until = async (holds, what) => {
        for (let n = 0; n < 300; n += 1) {
          if (holds()) return;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error(what);
      };
      globalThis.bodies = () => [...messages().values()].sort((a, b) => a.seq - b.seq).map((message) => message.body);
    });
  }
  const at = (n) => ({ url: asked.nodes[n], token: asked.people[n], conversationId: asked.conversationId });
  const [hers, his] = pages;
  await hers.evaluate(async ({ url, token, conversationId }) => {
    const { Conversation } = await import("/chat.js");
    const talk = new Conversation(url, conversationId, async () => token);
    Object.assign(globalThis, { talk, socket: talk.socket, messages: () => talk.messages, send: (body) => talk.send(body) });
    await until(() => talk.synced, "she does not come in");
  }, at(0));
  await his.evaluate(async ({ url, token, conversationId }) => {
    const { io } = await import("/socket.io.js");
    const { follow } = await import("/follow.js");
    const { stay } = await import("/session.js");
    const socket = io(`${url}/chat`);
    stay(socket, async () => token);
    let shown = new Map();
    const send = follow(socket, conversationId, (known) => { shown = known; });
    Object.assign(globalThis, { socket, send, messages: () => shown });
    await until(() => socket.connected, "he does not come in");
  }, at(1));
  note("both are in");
  seen.transport = await Promise.all(pages.map((page) => page.evaluate(() =>
    until(() => socket.io.engine.transport.name === "websocket", "no WebSocket").then(() => socket.io.engine.transport.name))));
  const knows = (page, count) => page.evaluate((count) => until(() => bodies().length === count, `${count}: ${bodies()}`), count);
  await hers.evaluate(() => send("One"));
  await his.evaluate(() => send("Two"));
  await Promise.all(pages.map((page) => knows(page, 2)));
  // he has it, and says so with nothing; and then he has read it
  seen.delivered = await hers.evaluate(() =>
    until(() => [...talk.receipts.values()].some((it) => it.deliveredSeq >= 1 && it.readSeq === 0), "it does not arrive")
      .then(() => [...talk.receipts.values()]));
  await his.evaluate((conversationId) => socket.emitWithAck("message:read", { conversationId, seq: 1 }), asked.conversationId);
  await hers.evaluate(() => until(() => [...talk.receipts.values()].some((it) => it.readSeq === 1), "nor is it read"));
  // she is cut off while he writes, changes and takes back
  await hers.evaluate(() => { talk.socket.io.engine.close(); });
  await his.evaluate(async (conversationId) => {
    const { id } = await send("Three");
    await send("Four");
    await socket.emitWithAck("message:edit", { id, body: "Three, changed" });
    await socket.emitWithAck("message:read", { conversationId, seq: 2 });
  }, asked.conversationId);
  await Promise.all(pages.map((page) => knows(page, 4)));
  await hers.evaluate(() => until(() => [...talk.receipts.values()].some((it) => it.readSeq === 2), "what he read meanwhile"));
  await Promise.all(pages.map((page) => page.evaluate(() => until(() => bodies()[2] === "Three, changed", `${bodies()}`))));
  await hers.evaluate(() => talk.read(4));
  await hers.evaluate(() => send("Five"));
  await Promise.all(pages.map((page) => knows(page, 5)));
  seen.bodies = await Promise.all(pages.map((page) => page.evaluate(() => bodies())));
  note("both know everything");
  // whoever may not read it is told so once, and the others of the page stay
  seen.refused = await his.evaluate(async ({ url, token, other }) => {
    const { io } = await import("/socket.io.js");
    const { follow } = await import("/follow.js");
    const { stay } = await import("/session.js");
    const socket = io(`${url}/chat`, { forceNew: true });
    let connects = 0;
    socket.on("connect", () => { connects += 1; });
    stay(socket, async () => token);
    const code = await new Promise((resolve) => { follow(socket, other, () => {}, resolve); });
    return { code, connects, connected: socket.connected };
  }, { ...at(1), other: crypto.randomUUID() });
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(seen));
