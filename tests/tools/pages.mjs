// What the tests with a headless Chromium share: pages with the examples of the documentation, and how a call is looked at.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const begun = process.hrtime.bigint();
export const note = (what) => console.error(`${Number((process.hrtime.bigint() - begun) / 1_000_000n)} ms: ${what}`);
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What a test asks for, on standard input. */
export async function input() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const example = async (name) => ["text/javascript", await readFile(new URL(`../../docs/examples/${name}`, import.meta.url))];
const head = '<!doctype html><title>Care</title><script type="importmap">{"imports":{"socket.io-client":"/socket.io.js"}}</script>';
const files = {
  "/": ["text/html", `${head}<audio autoplay></audio>`],
  "/follow.js": await example("follow.js"),
  "/call.js": await example("call.js"),
  "/session.js": await example("session.js"),
  "/socket.io.js": ["text/javascript", await readFile(
    fileURLToPath(new URL("node_modules/socket.io-client/dist/socket.io.esm.min.js", import.meta.url)))],
};

/** Pages on a port of this machine, with examples that were compiled for them. */
export async function serve(port, compiled = []) {
  for (const name of compiled) {
    files[`/${name}`] = ["text/javascript", await readFile(new URL(`node_modules/.examples/${name}`, import.meta.url))];
  }
  const server = createServer((request, response) => {
    const [type, body] = files[request.url] ?? ["text/plain", null];
    response.writeHead(body === null ? 404 : 200, { "content-type": type }).end(body ?? "");
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

export const launch = (executablePath) => chromium.launch({
  executablePath,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
  ],
});

/** Opens the rooms in a page: there is `call` afterwards, `heard()`, and how many `microphones()` are open. */
export async function enter(page, { own, url, token, consultationId }) {
  await page.goto(own);
  return page.evaluate(async ({ url, token, consultationId }) => {
    const { io } = await import("/socket.io.js");
    const { Call, deviceOf } = await import("/call.js");
    const { stay } = await import("/session.js");
    const tracks = [];
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => {
      const stream = await ask(wish);
      tracks.push(...stream.getTracks());
      return stream;
    };
    globalThis.microphones = () => tracks.filter((track) => track.readyState === "live").length;
    const socket = io(`${url}/audio-call`, { transports: ["websocket"] });
    stay(socket, async () => token);
    const call = new Call({ socket, consultationId, deviceId: await deviceOf(sessionStorage), iceTransportPolicy: "relay" });
    Object.assign(globalThis, { call, socket });
    call.addEventListener("sound", () => { document.querySelector("audio").srcObject = call.sound; });
    /** Waits until something holds of the call. */
    globalThis.until = async (holds, what) => {
      for (let n = 0; n < 300; n += 1) {
        if (await holds()) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${what}: ${call.state} ${call.connection?.connectionState} ${call.reason}`);
    };
    /** How loud the other one is, as the decoder and as WebAudio have it, and by which way they come. */
    globalThis.heard = async () => {
      const { earlier } = globalThis;
      await until(() => call.connection !== earlier && call.connection?.connectionState === "connected", "no connection");
      const seen = { level: 0, loudest: 0, way: null };
      const audio = new AudioContext();
      const meter = audio.createAnalyser();
      const samples = new Float32Array(meter.fftSize);
      let source;
      await until(async () => {
        if (call.sound && !source) {
          source = audio.createMediaStreamSource(call.sound);
          source.connect(meter);
        }
        meter.getFloatTimeDomainData(samples);
        seen.loudest = Math.max(seen.loudest, ...samples.map(Math.abs));
        const figures = await call.connection.getStats();
        for (const it of figures.values()) {
          if (it.type === "inbound-rtp" && it.kind === "audio") seen.level = Math.max(seen.level, it.audioLevel ?? 0);
          if (it.type === "candidate-pair" && it.nominated && it.state === "succeeded") {
            seen.way = `${figures.get(it.localCandidateId)?.candidateType} ${figures.get(it.remoteCandidateId)?.candidateType}`;
          }
        }
        return seen.level > 0.001 && seen.loudest > 0.001 && seen.way;
      }, "silence");
      await audio.close();
      return seen;
    };
    const entered = await new Promise((resolve, reject) => {
      socket.on("connect_error", (error) => reject(new Error(`connect_error ${error.message}`)));
      call.join().then(resolve, reject);
    });
    return { iceServers: entered.iceServers, status: entered.call?.status ?? null, here: entered.call?.here ?? null };
  }, { url, token, consultationId });
}
