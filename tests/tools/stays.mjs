// Two tabs of a headless Chromium that stay signed in by docs/examples/session.js, with three sockets each, on tokens of some
// seconds. Standard input: {chromium, url, page, email, password}, where `page` is a port of 127.0.0.1. Standard output: what
// was seen.
import { input, launch, note, pause, serve } from "./pages.mjs";

const asked = await input();
const server = await serve(asked.page);
const browser = await launch(asked.chromium);
const seen = {};
try {
  const context = await browser.newContext();
  const tabs = [await context.newPage(), await context.newPage()];
  const renewals = { all: 0, now: 0, most: 0, refused: 0 };
  const isRenewal = (request) => request.method() === "POST" && request.url().endsWith("/auth/refresh");
  context.on("request", (request) => {
    if (!isRenewal(request)) return;
    renewals.all += 1;
    renewals.now += 1;
    renewals.most = Math.max(renewals.most, renewals.now);
  });
  context.on("requestfailed", (request) => { renewals.now -= isRenewal(request); });
  context.on("response", (response) => {
    if (!isRenewal(response.request())) return;
    renewals.now -= 1;
    renewals.refused += response.status() >= 400;
  });
  for (const tab of tabs) {
    tab.on("console", (message) => note(`page: ${message.text()}`));
    await tab.goto(`http://127.0.0.1:${asked.page}/`);
  }
  seen.expiresIn = await tabs[0].evaluate(async ({ url, email, password }) => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ email, password, transport: "cookie" });
    const answer = await fetch(`${url}/api/v1/auth/login`, { method: "POST", credentials: "include", headers, body });
    return (await answer.json()).expiresIn;
  }, asked);
  await Promise.all(tabs.map((tab) => tab.evaluate(async (url) => {
    const { io } = await import("/socket.io.js");
    const { stay, tokens } = await import("/session.js");
    const make = tokens(url);
    globalThis.freshToken = async () => (globalThis.token = await make());
    globalThis.signedOut = 0;
    globalThis.told = [];
    globalThis.sockets = ["/chat", "/audio-call", "/notifications"].map((name) => {
      const socket = io(url + name);
      Object.assign(socket, { connects: 0, ends: [] });
      socket.on("connect", () => { socket.connects += 1; });
      socket.on("disconnect", (reason) => socket.ends.push(reason));
      socket.onAny((event, data) => told.push([event, data]));
      stay(socket, freshToken, () => { globalThis.signedOut += 1; });
      return socket;
    });
    globalThis.until = async (holds, what) => {
      for (let n = 0; n < 600; n += 1) {
        if (holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${what}: ${JSON.stringify(sockets.map(({ connected, connects, ends }) => ({ connected, connects, ends })))}`);
    };
    await until(() => sockets.every((socket) => socket.connected), "they do not come in");
  }, asked.url)));
  const each = (what, argument) => Promise.all(tabs.map((tab) => tab.evaluate(what, argument)));
  note("all are in");
  seen.first = { ...renewals };
  seen.transport = await each(() => sockets[2].io.engine.transport.name);
  seen.told = await each(() => until(() => told.length > 0, "nothing is told").then(() => told));

  // longer than the first token lives
  await pause((seen.expiresIn + 3) * 1000);
  seen.later = await each(() => sockets.map(({ connected, connects }) => ({ connected, connects })));
  seen.renewed = { ...renewals };
  note("on newer tokens");

  // closed by the server, for good as far as its client knows
  await tabs[0].evaluate(() => {
    const [, , socket] = sockets;
    for (let n = 0; n < 200; n += 1) socket.emit("slots:unwatch", {});
    return until(() => socket.ends.includes("io server disconnect") && socket.connected, "it does not come back");
  });
  note("back after the server's end");

  // tokens do not come for a while, and all connections break
  await context.route("**/auth/refresh", (route) => route.fulfill({ status: 503, headers: {
    "access-control-allow-origin": `http://127.0.0.1:${asked.page}`, "access-control-allow-credentials": "true",
  } }));
  const before = renewals.all;
  await each(() => sockets[0].io.engine.close());
  while (renewals.all < before + 4) await pause(50);
  await context.unroute("**/auth/refresh");
  await each(() => until(() => sockets.every((socket) => socket.connected), "they do not come back"));
  note("back after the outage");
  renewals.refused = 0;

  // logged out in one tab
  const connects = await each(() => sockets.map((socket) => socket.connects));
  await tabs[0].evaluate(async (url) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${url}/api/v1/auth/logout`, { method: "POST", credentials: "include", headers });
    if (answer.status !== 204) throw new Error(`logout: ${answer.status}`);
  }, asked.url);
  await each(() => until(() => globalThis.signedOut === 3, "they are not told"));
  const asking = renewals.all;
  await pause(3000);
  seen.out = await each(() => sockets.map(({ active, connected }) => ({ active, connected })));
  seen.stayedOut = JSON.stringify(connects) === JSON.stringify(await each(() => sockets.map((socket) => socket.connects)));
  seen.askedAfterwards = renewals.all - asking;
  seen.most = renewals.most;
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(seen));
