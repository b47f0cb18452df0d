// Two pages of a headless Chromium that call each other by docs/examples/call.js, through relays alone.
// Standard input: {chromium, nodes: [url, url], pages: {own, foreign}, consultationId, conversationId, people: [token, token]},
// where `pages` are ports of 127.0.0.1. Standard output: what was seen.
import { enter as enterAt, input, launch, note, serve } from "./pages.mjs";

const asked = await input();
const servers = [await serve(asked.pages.own), await serve(asked.pages.foreign)];
const own = `http://127.0.0.1:${asked.pages.own}/`;
const foreign = `http://127.0.0.1:${asked.pages.foreign}/`;
const browser = await launch(asked.chromium);
const enter = (page, at) => enterAt(page, { own, ...at });

/** What a page learns from the chat's namespace. */
async function greet(page, from, transports) {
  await page.goto(from);
  return page.evaluate(async ({ url, token, transports, conversationId, script }) => {
    const { io } = await import(script);
    const socket = io(`${url}/chat`, { auth: { token }, transports, reconnection: false, forceNew: true, timeout: 3000 });
    try {
      await new Promise((resolve, reject) => { socket.on("connect", resolve); socket.on("connect_error", reject); });
      const sent = await socket.timeout(5000).emitWithAck("conversation:join", { conversationId });
      return { connected: sent.ok, by: socket.io.engine.transport.name };
    } catch (error) {
      return { refused: error.message };
    } finally {
      socket.close();
    }
  }, { url: asked.nodes[0], token: asked.people[0], transports, conversationId: asked.conversationId, script: "/socket.io.js" });
}

const seen = {};
try {
  const context = await browser.newContext({ permissions: ["microphone"] });
  const pages = [await context.newPage(), await context.newPage()];
  for (const page of pages) page.on("console", (message) => note(`page: ${message.text()}`));
  const at = (n) => ({ url: asked.nodes[n], token: asked.people[n], consultationId: asked.consultationId });
  seen.entered = [await enter(pages[0], at(0)), await enter(pages[1], at(1))];
  note("both are in");
  await pages[0].evaluate(() => call.ring());
  await pages[1].evaluate(() => until(() => call.state === "ringing", "it does not ring"));
  await pages[1].evaluate(() => call.accept());
  seen.heard = await Promise.all(pages.map((page) => page.evaluate(() => heard())));
  note("they hear each other");

  await pages[1].evaluate(() => call.mute(true));
  await pages[0].evaluate(() => until(() => call.peer.muted, "she does not learn that he is muted"));
  await pages[1].evaluate(() => call.mute(false));
  await pages[0].evaluate(() => until(() => !call.peer.muted, "nor that he is not"));

  // one page is loaded anew: it is the same device, and the other one waits for another connection
  const willChange = (n) => pages[n].evaluate(() => { globalThis.earlier = call.connection; });
  await willChange(0);
  seen.reloaded = await enter(pages[1], at(1));
  seen.heardAfterReload = await Promise.all(pages.map((page) => page.evaluate(() => heard())));
  note("and after one of them was loaded anew");
  // and the one who rang, on the other node
  await willChange(1);
  seen.reloadedCaller = await enter(pages[0], { ...at(0), url: asked.nodes[1] });
  seen.heardAfterBoth = await Promise.all(pages.map((page) => page.evaluate(() => heard())));
  note("and the other one, on the other node");
  // a connection that breaks for a moment: what they say goes on
  await pages[0].evaluate(async () => {
    const before = call.connection;
    socket.io.engine.close();
    await until(() => socket.connected, "the socket does not come back");
    await call.mute(false);
    if (call.connection !== before) throw new Error("the connection of the browsers was thrown away");
  });
  seen.heardAfterBreak = await Promise.all(pages.map((page) => page.evaluate(() => heard())));
  await pages[0].evaluate(() => call.hangUp());
  await pages[1].evaluate(() => until(() => call.state === "idle", "it does not end"));
  seen.ended = await pages[1].evaluate(() => call.reason);
  note("it is over");

  // the same relay, and a password that is none
  seen.wrongCredential = await pages[0].evaluate(async ([server]) => {
    const forged = [{ ...server, credential: btoa("not the password") }];
    const ends = [0, 1].map(() => new RTCPeerConnection({ iceServers: forged, iceTransportPolicy: "relay" }));
    const result = { candidates: 0, errors: [], connected: false };
    ends.forEach((end, n) => {
      end.onicecandidate = ({ candidate }) => {
        if (!candidate) return;
        result.candidates += 1;
        ends[1 - n].addIceCandidate(candidate);
      };
      end.onicecandidateerror = ({ errorCode }) => result.errors.push(errorCode);
      end.onconnectionstatechange = () => { result.connected ||= end.connectionState === "connected"; };
    });
    ends[0].addTransceiver("audio");
    await ends[0].setLocalDescription();
    await ends[1].setRemoteDescription(ends[0].localDescription);
    await ends[1].setLocalDescription();
    await ends[0].setRemoteDescription(ends[1].localDescription);
    for (let n = 0; n < 100 && ends.some((end) => end.iceGatheringState !== "complete"); n += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    ends.forEach((end) => end.close());
    return result;
  }, seen.entered[0].iceServers);

  const page = await context.newPage();
  seen.chat = {
    polling: await greet(page, own, ["polling"]),
    websocket: await greet(page, own, ["websocket"]),
    foreignPolling: await greet(page, foreign, ["polling"]),
    foreignWebsocket: await greet(page, foreign, ["websocket"]),
  };
  note("chat from pages");
} finally {
  await browser.close();
  for (const server of servers) server.close();
}
console.log(JSON.stringify(seen));
