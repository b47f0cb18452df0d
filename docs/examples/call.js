// A call between the two people of a session by audio, for a page. What is said goes from browser to browser; the server
// rings, and carries what the browsers need to find each other.
//
//   import { stay, tokens } from "./session.js";
//
//   const socket = io("https://care.example.org/audio-call");
//   stay(socket, tokens("https://care.example.org"), () => showLogin());
//   const call = new Call({ socket, consultationId, deviceId: await deviceOf(sessionStorage) });
//   call.addEventListener("change", () => show(call.state, call.peer));
//   call.addEventListener("sound", () => { audio.srcObject = call.sound; });
//   await call.join();   // again by itself whenever the socket comes back
//   await call.ring();   // or accept(), decline(), hangUp(), mute(true)
//   call.leave();        // when the page shows something else
import { pauseAfter } from "./session.js";

const held = new Set();

/**
 * The id of this tab, which outlives a reload: whoever comes back under it within half a minute has their place again. A tab
 * that was duplicated has the storage of the other one, and is another device all the same.
 */
export async function deviceOf(storage) {
  let id = storage.getItem("call-device");
  while (id === null || !(await hold(id))) id = crypto.randomUUID();
  storage.setItem("call-device", id);
  return id;
}

/** Whether no other page has the id; from now on this one has it. One that is loaded anew waits until the page before is gone. */
async function hold(id) {
  if (held.has(id) || !navigator.locks) return true;
  const isOurs = await new Promise((resolve) => {
    const patience = { signal: AbortSignal.timeout(1000) };
    navigator.locks.request(`call-device ${id}`, patience, () => {
      resolve(true);
      return new Promise(() => {}); // until the page is gone
    }).catch(() => resolve(false));
  });
  if (isOurs) held.add(id);
  return isOurs;
}

const pause = (failures) => new Promise((resolve) => setTimeout(resolve, pauseAfter(failures)));

/** What the server refused, with its code. */
export class Refused extends Error {
  constructor({ code, detail }) {
    super(detail);
    this.code = code;
  }
}

/** The server cannot be reached, or does not answer. */
export class NoAnswer extends Error {}

/** Whether the same may be answered otherwise a little later. */
const passes = (error) => error instanceof NoAnswer
  || (error instanceof Refused && ["unavailable", "internal", "token_expired", "maintenance"].includes(error.code));

export class Call extends EventTarget {
  /** `idle`, `calling`, `ringing`, `connected` */
  state = "idle";
  /** How the last call ended: `hung_up`, `declined`, `missed`, `cancelled`, `lost`, `closed`, `answered_elsewhere`, `elsewhere` */
  reason = null;
  peer = { muted: false, lost: false, rings: false };
  /** A call on another device of the same person: `lost` says that it is away, and that `ring()` takes its place. Else null. */
  elsewhere = null;
  /** What the other one says, as a MediaStream. */
  sound = null;

  #socket;
  #about;
  #deviceId;
  #policy;
  #ice = [];
  #connection = null;
  #microphone = null;
  #isOutgoing = false;
  #isOffering = false;
  #isMuted = false;
  #renewal;
  /** The call that is shown, and the one that was left, whatever the server still says of it. */
  #callId = null;
  #left = null;
  /** What the server is still to be told of a call that is over here. */
  #farewell = null;
  /** Counts the ends: what began before one is void. */
  #life = 0;
  /** Steps that wait for their answer. */
  #begins = 0;
  #opening = null;
  /** The connection on which the rooms were entered. */
  #enteredOn = null;
  #listeners = [];
  /** The last signal that came, and of which call. */
  #heard = { callId: null, number: 0 };
  // what is heard and what is said, each one after the other
  #hearing = Promise.resolve();
  #saying = Promise.resolve();

  constructor({ socket, consultationId, deviceId, iceTransportPolicy = "all" }) {
    super();
    this.#socket = socket;
    this.#about = { consultationId };
    this.#deviceId = deviceId;
    this.#policy = iceTransportPolicy;
    const hear = (event, handle) => this.#listen(event, (data, arrived) => {
      if (data.consultationId !== consultationId) return;
      arrived?.();
      if (!this.#isNew(data)) return;
      this.#hearing = this.#hearing
        .then(() => (data.callId === this.#left ? undefined : handle(data)))
        .catch((error) => console.warn(event, error));
    });
    // of a call that is over here nothing is heard that was on its way
    const during = (handle) => (data) => (this.#isIn() ? handle(data) : undefined);
    hear("call:ringing", ({ callId }) => {
      this.#callId = callId;
      this.#become("ringing", false);
    });
    hear("call:accepted", during(({ callId }) => {
      this.#callId = callId;
      this.#become("connected");
      return this.#connect(true);
    }));
    hear("call:declined", () => this.#end("declined"));
    hear("call:ended", ({ reason }) => this.#end(reason));
    hear("call:peer-ringing", () => this.#see({ rings: true }));
    hear("call:device-lost", () => this.#lookOn({ lost: true }));
    hear("call:device-back", () => this.#lookOn({ lost: false }));
    hear("call:peer-muted", ({ muted }) => this.#see({ muted }));
    hear("call:peer-lost", () => this.#see({ lost: true }));
    hear("call:peer-back", ({ resumes }) => {
      this.#see({ lost: false });
      // a new page knows nothing of our connection, and offers one of its own
      if (!resumes) this.#disconnect();
    });
    hear("signal:offer", during((data) => this.#answer(data)));
    hear("signal:answer", ({ sdp }) => this.#connection?.setRemoteDescription({ type: "answer", sdp }));
    hear("signal:ice", ({ candidate }) => this.#connection?.addIceCandidate(candidate ?? undefined));
  }

  #listen(event, listener) {
    this.#socket.on(event, listener);
    this.#listeners.push([event, listener]);
  }

  #isIn() {
    return this.#begins > 0 || this.state === "calling" || this.state === "connected";
  }

  /** A signal comes twice where the connection broke before the server knew that it had come. */
  #isNew({ callId, number }) {
    if (number === undefined) return true;
    if (this.#heard.callId === callId && number <= this.#heard.number) return false;
    this.#heard = { callId, number };
    return true;
  }

  /** Enters the rooms as soon as there is a connection, and whenever it comes back. */
  async join() {
    if (!this.#socket.connected) await new Promise((resolve) => this.#socket.once("connect", resolve));
    const entered = await this.#enter();
    this.#listen("connect", () => this.#comeIn());
    return entered;
  }

  /** Hangs up, and hears of the rooms no more. */
  leave() {
    const told = this.#isIn() ? this.hangUp() : undefined;
    clearTimeout(this.#renewal);
    for (const [event, listener] of this.#listeners) this.#socket.off(event, listener);
    this.#listeners = [];
    return told;
  }

  ring() {
    return this.#begin("call:ring");
  }

  accept() {
    return this.#begin("call:accept");
  }

  /** The call is over here at once; the server is told when it can be. */
  decline() {
    return this.state === "ringing" ? this.#leave("call:decline", "declined") : this.#ask("call:decline");
  }

  /** The call is over here at once, whether anybody can be told or not: nobody is heard who has hung up. */
  hangUp() {
    const isHere = this.state !== "idle" || this.#begins > 0;
    return isHere ? this.#leave("call:hangup", "hung_up") : this.#ask("call:hangup"); // what another device rings
  }

  async mute(muted) {
    this.#isMuted = muted;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
    try {
      await this.#ask("call:mute", { muted });
    } catch (error) {
      // it is said again with the next entry
      if (!passes(error) && error.code !== "call_not_joined") throw error;
    }
  }

  /** The RTCPeerConnection, for whoever wants to look at its figures. */
  get connection() {
    return this.#connection;
  }

  /** Asks until there is an answer; a refusal is an error with its code. */
  async #ask(event, more = {}) {
    for (;;) {
      // what is asked while there is no connection would be asked before the rooms are entered on the next one
      if (!this.#socket.connected) throw new NoAnswer(event);
      const asking = this.#socket.timeout(10_000).emitWithAck(event, { ...this.#about, ...more });
      const answer = await asking.catch(() => { throw new NoAnswer(event); });
      if (answer.ok) return answer;
      if (answer.code !== "too_many_requests") throw new Refused(answer);
      await pause(0);
    }
  }

  /** Rings, or accepts: with an open microphone, which is closed again where it comes to nothing. */
  async #begin(event) {
    const life = this.#life;
    this.#farewell = null;
    this.#begins += 1;
    try {
      if (!(await this.#open())) return null;
      const answer = await this.#ask(event);
      // hung up meanwhile: the server is told so after this
      return life === this.#life ? await this.#step(answer) : null;
    } catch (error) {
      if (life === this.#life) {
        if (this.state !== "calling" && this.state !== "connected") this.#close();
        // it may have been done all the same
        if (error instanceof NoAnswer && this.#socket.connected) this.#comeIn();
      }
      throw error;
    } finally {
      this.#begins -= 1;
    }
  }

  #leave(event, reason) {
    const callId = this.#callId;
    this.#end(reason);
    this.#left = callId;
    this.#farewell = { event, callId };
    return this.#takeLeave();
  }

  /** Tells the server what is over here; without a connection, after the next entry. */
  async #takeLeave() {
    const farewell = this.#farewell;
    for (let failures = 0; farewell && farewell === this.#farewell; failures += 1) {
      try {
        const { callId } = await this.#ask(farewell.event);
        if (farewell === this.#farewell) this.#left = callId;
      } catch (error) {
        if (!this.#socket.connected || error.code === "call_not_joined") return;
        if (passes(error)) {
          await pause(failures);
          continue;
        }
      }
      if (farewell === this.#farewell) this.#farewell = null;
    }
  }

  /** Enters until it is in, as long as the connection lasts. */
  async #comeIn() {
    const connection = this.#socket.id;
    for (let failures = 0; this.#socket.connected && this.#socket.id === connection; failures += 1) {
      try {
        await this.#enter();
        return;
      } catch (error) {
        if (passes(error)) {
          await pause(failures);
          continue;
        }
        console.warn("call:join", error);
        if (this.state === "idle") return;
        if (error instanceof Refused) this.#end("closed");
        else this.hangUp(); // without a microphone
        return;
      }
    }
  }

  async #enter() {
    const resumes = this.#connection !== null;
    const life = this.#life;
    const connection = this.#socket.id;
    const entered = await this.#ask("call:join", { deviceId: this.#deviceId, resumes });
    const isBack = this.#enteredOn !== connection;
    this.#enteredOn = connection;
    this.#ice = entered.iceServers;
    this.#connection?.setConfiguration({ iceServers: this.#ice, iceTransportPolicy: this.#policy });
    // credentials end after an hour at most; whoever stays longer asks again
    clearTimeout(this.#renewal);
    const left = Date.parse(entered.expiresAt) - Date.now() - 60_000;
    if (left > 0 && entered.expiresAt !== entered.closesAt) this.#renewal = setTimeout(() => this.#comeIn(), left);
    const { call } = entered;
    if (this.#farewell && call && (this.#farewell.callId === null ? call.here : this.#farewell.callId === call.id)) {
      this.#takeLeave();
      return entered;
    }
    this.#farewell = null;
    if (life !== this.#life || (call && call.id === this.#left)) return entered; // it ended here meanwhile
    const isOurs = call && (call.here || (call.status === "ringing" && !call.outgoing));
    // it ended, or went to another device, while we were away; on the same connection we are told so
    const isOver = this.state !== "idle" && (call ? !isOurs || call.id !== this.#callId : isBack);
    if (isOver && this.#begins === 0) this.#end(call && !isOurs ? "elsewhere" : "lost");
    const isElsewhere = call?.status === "connected" && !call.here;
    this.#lookOn(isElsewhere ? { lost: call.deviceLost } : null);
    if (isOurs) {
      this.#see({ muted: call.peerMuted, lost: call.peerLost });
      await this.#step(entered, this.#connection === null);
      if (call.here && call.status === "connected" && this.#connection && call.muted !== this.#isMuted) this.mute(this.#isMuted);
    }
    return entered;
  }

  /** Takes over how the call stands. `offers`: this page has no connection, and the other one waits for one. */
  async #step({ call }, offers = false) {
    this.elsewhere = null;
    // that it was accepted may have been heard before the answer to its ringing
    const isOlder = call.id === this.#callId && this.state === "connected" && call.status === "ringing";
    this.#callId = call.id;
    if (isOlder) return call;
    if (call.status === "ringing") {
      this.peer.rings = call.peerRings;
      this.#become(call.outgoing ? "calling" : "ringing", call.outgoing);
    } else {
      this.#become("connected", call.outgoing);
      if (offers) {
        this.#isMuted ||= call.muted;
        await this.#connect(true);
      }
    }
    return call;
  }

  #become(state, isOutgoing = this.#isOutgoing) {
    this.state = state;
    this.#isOutgoing = isOutgoing;
    this.dispatchEvent(new Event("change"));
  }

  #lookOn(elsewhere) {
    this.elsewhere = elsewhere;
    this.dispatchEvent(new Event("change"));
  }

  #see(change) {
    Object.assign(this.peer, change);
    this.dispatchEvent(new Event("change"));
  }

  #end(reason) {
    this.#life += 1;
    this.#disconnect();
    this.#close();
    this.#callId = null;
    this.#isMuted = false;
    this.reason = reason;
    this.peer = { muted: false, lost: false, rings: false };
    this.elsewhere = null;
    this.#become("idle");
  }

  /** Whether the microphone is open; not where the call ended before it was. */
  async #open() {
    const life = this.#life;
    this.#opening ??= navigator.mediaDevices.getUserMedia({ audio: true });
    const opening = this.#opening;
    try {
      const microphone = await opening;
      if (opening !== this.#opening) return false; // closed as soon as it was open
      this.#microphone = microphone;
    } catch (error) {
      if (opening === this.#opening) this.#opening = null;
      throw error;
    }
    for (const track of this.#microphone.getAudioTracks()) track.enabled = !this.#isMuted;
    return life === this.#life;
  }

  /** Nobody is heard any more, nor as soon as the browser would have opened the microphone. */
  #close() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#opening?.then((microphone) => microphone.getTracks().forEach((track) => track.stop()), () => {});
    this.#microphone = null;
    this.#opening = null;
  }

  #disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.#isOffering = false;
  }

  async #connect(offers) {
    this.#disconnect();
    if (!(await this.#open())) return;
    this.#disconnect(); // another one may have been made meanwhile
    const connection = new RTCPeerConnection({ iceServers: this.#ice, iceTransportPolicy: this.#policy });
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => this.#say("signal:ice", candidate ? { candidate: candidate.toJSON() } : {}, connection);
    connection.ontrack = ({ streams: [stream] }) => {
      this.sound = stream;
      this.dispatchEvent(new Event("sound"));
    };
    connection.onconnectionstatechange = () => {
      // whoever rang mends it; the other one answers
      if (connection.connectionState === "failed" && this.#isOutgoing) connection.restartIce();
      this.dispatchEvent(new Event("change"));
    };
    for (const track of this.#microphone.getTracks()) connection.addTrack(track, this.#microphone);
    connection.onnegotiationneeded = async () => {
      if (!offers && !connection.remoteDescription) return;
      try {
        this.#isOffering = true;
        await connection.setLocalDescription();
        this.#say("signal:offer", { sdp: connection.localDescription.sdp }, connection);
      } catch (error) {
        console.warn("signal:offer", error); // it was closed meanwhile
      } finally {
        this.#isOffering = false;
      }
    };
  }

  /** One offer at a time: of two that cross, the one of whoever rang counts. */
  async #answer({ sdp }) {
    let connection = this.#connection;
    const crosses = connection && (this.#isOffering || connection.signalingState !== "stable");
    if (crosses && this.#isOutgoing) return;
    if (!connection || isAnother(connection.remoteDescription?.sdp, sdp)) {
      await this.#connect(false);
      connection = this.#connection;
      if (!connection) return; // it has ended meanwhile
    }
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription();
    this.#say("signal:answer", { sdp: connection.localDescription.sdp }, connection);
  }

  /** In its order, and again after a break, as long as it is about the present connection. */
  #say(event, what, connection) {
    this.#saying = this.#saying.then(async () => {
      for (let failures = 0; connection === this.#connection; failures += 1) {
        try {
          return await this.#ask(event, what);
        } catch (error) {
          if (!passes(error) && error.code !== "call_not_joined") throw error;
          await pause(failures);
        }
      }
    }).catch((error) => console.warn(event, error));
  }
}

/** Whether two descriptions are of different connections: each has an id of its own in its second line. */
function isAnother(before, now) {
  const id = (sdp) => /^o=\S+ (\S+)/m.exec(sdp)?.[1];
  return before !== undefined && id(before) !== id(now);
}
