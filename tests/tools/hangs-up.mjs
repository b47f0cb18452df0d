// Pages of a headless Chromium that end a call in every way in which nobody may be heard any more, and one that is
// duplicated. Standard input: {chromium, url, page, consultationId, people: [token, token], busy: {consultationId, token}}, where
// `page` is a port of 127.0.0.1, and the second of the two people has another session with `busy`. Standard output: what was
// seen.
import { io } from "socket.io-client";
import { enter as enterAt, input, launch, note, pause, serve } from "./pages.mjs";

const asked = await input();
const server = await serve(asked.page);
const browser = await launch(asked.chromium);
const at = (n) => ({
  own: `http://127.0.0.1:${asked.page}/`, url: asked.url, token: asked.people[n], consultationId: asked.consultationId,
});
const until = async (holds, what) => {
  for (let n = 0; n < 300; n += 1) {
    if (await holds()) return;
    await pause(50);
  }
  throw new Error(what);
};

/** Somebody in the rooms without a page. */
async function visitor(token, consultationId) {
  const socket = io(`${asked.url}/audio-call`, { auth: { token }, transports: ["websocket"], forceNew: true });
  const ask = async (event) => {
    const answer = await socket.timeout(10_000).emitWithAck(event, { consultationId });
    if (!answer.ok) throw new Error(`${event}: ${answer.code}`);
  };
  await new Promise((resolve, reject) => { socket.on("connect", resolve); socket.on("connect_error", reject); });
  await ask("call:join");
  return { ask, leave: () => socket.disconnect() };
}

const seen = {};
try {
  const context = await browser.newContext({ permissions: ["microphone"] });
  const [hers, his] = [await context.newPage(), await context.newPage()];
  for (const page of [hers, his]) page.on("console", (message) => note(`page: ${message.text()}`));
  await enterAt(hers, at(0));
  const open = (page) => page.evaluate(() => globalThis.microphones());

  // he talks to somebody else
  const [other, busy] = [
    await visitor(asked.busy.token, asked.busy.consultationId), await visitor(asked.people[1], asked.busy.consultationId),
  ];
  await other.ask("call:ring");
  await busy.ask("call:accept");
  const code = (page, step) => page.evaluate((step) => call[step]().then(() => "done", (error) => error.code ?? error.name), step);
  seen.busy = { code: await code(hers, "ring"), open: await open(hers), state: await hers.evaluate(() => call.state) };
  // and there is nothing to accept
  seen.nothing = { code: await code(hers, "accept"), open: await open(hers) };
  await other.ask("call:hangup");
  for (const it of [other, busy]) it.leave();
  note("busy");

  // nobody rings who has thought better of it before the microphone was open
  seen.atOnce = await hers.evaluate(async () => {
    const ringing = call.ring();
    await call.hangUp();
    return { answer: await ringing, state: call.state, open: globalThis.microphones() };
  });

  await enterAt(his, at(1));
  await hers.evaluate(() => call.ring());
  await his.evaluate(() => until(() => call.state === "ringing", "it does not ring"));
  await his.evaluate(() => call.accept());
  await Promise.all([hers, his].map((page) => page.evaluate(() => heard())));
  note("they hear each other");

  // a duplicated tab is another device
  const copying = context.waitForEvent("page");
  await hers.evaluate(() => { window.open(location.href); });
  const copy = await copying;
  seen.copied = await copy.evaluate(() => sessionStorage.getItem("call-device")) === await hers.evaluate(() => sessionStorage.getItem("call-device"));
  seen.copy = await enterAt(copy, at(0));
  seen.copyLooksOn = await copy.evaluate(() => ({ state: call.state, elsewhere: call.elsewhere, open: globalThis.microphones() }));
  seen.goesOn = await hers.evaluate(() => call.state);
  await copy.close();
  note("duplicated");

  // without a way to the server: he hears nothing from that moment on, though the server knows nothing
  await hers.evaluate(() => {
    socket.io.reconnection(false);
    socket.io.engine.close();
  });
  seen.cut = await hers.evaluate(() => socket.connected);
  seen.hungUp = await hers.evaluate(() => {
    call.hangUp();
    return { state: call.state, reason: call.reason, open: globalThis.microphones() };
  });
  const packets = () => his.evaluate(async () => {
    for (const it of (await call.connection.getStats()).values()) {
      if (it.type === "inbound-rtp" && it.kind === "audio") return it.packetsReceived;
    }
    return 0;
  });
  let before = -1;
  const since = Date.now();
  await until(async () => {
    const now = await packets();
    const isSilent = now === before;
    before = now;
    if (!isSilent) await pause(250);
    return isSilent;
  }, "he still hears her");
  seen.silentWithin = Date.now() - since;
  seen.hisState = await his.evaluate(() => call.state);
  note("silence");
  // and then the server is told
  await hers.evaluate(() => {
    socket.io.reconnection(true);
    socket.connect();
  });
  await his.evaluate(() => until(() => call.state === "idle", "it does not end"));
  seen.ended = await his.evaluate(() => ({ reason: call.reason, open: globalThis.microphones() }));
  seen.after = await hers.evaluate(() => ({ state: call.state, open: globalThis.microphones() }));
  note("it is over");

  // one that was declined without a way to the server rings no more when there is one
  await hers.evaluate(() => call.ring());
  await his.evaluate(() => until(() => call.state === "ringing", "it does not ring again"));
  await his.evaluate(() => {
    socket.io.reconnection(false);
    socket.io.engine.close();
    call.decline();
    socket.io.reconnection(true);
    socket.connect();
  });
  await hers.evaluate(() => until(() => call.state === "idle", "it is not declined"));
  seen.declined = await hers.evaluate(() => ({ reason: call.reason, open: globalThis.microphones() }));
  seen.his = await his.evaluate(() => ({ state: call.state, reason: call.reason, open: globalThis.microphones() }));

  // whoever goes away from the page hangs up
  await hers.evaluate(() => call.ring());
  await his.evaluate(() => until(() => call.state === "ringing", "it does not ring a third time"));
  await hers.evaluate(() => call.leave());
  await his.evaluate(() => until(() => call.state === "idle", "it rings on"));
  seen.left = { open: await open(hers), reason: await his.evaluate(() => call.reason) };
} finally {
  await browser.close();
  server.close();
}
console.log(JSON.stringify(seen));
