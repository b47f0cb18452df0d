// A call between the two people of a session by audio, for a page. What is said goes from browser to browser; the server
// rings, and carries what the browsers need to find each other.
//
//   const socket = io("https://care.example.org/audio-call");
//   stay(socket, freshToken);
//   const call = new Call({ socket, consultationId, deviceId: deviceOf(sessionStorage) });
//   call.addEventListener("change", () => show(call.state, call.peer));
//   call.addEventListener("sound", () => { audio.srcObject = call.sound; });
//   await call.join();   // again by itself whenever the socket comes back
//   await call.ring();   // or accept(), decline(), hangUp(), mute(true)

/** The id of this tab, which outlives a reload: whoever comes back under it within half a minute has their place again. */
export function deviceOf(storage) {
  const id = storage.getItem("call-device") ?? crypto.randomUUID();
  storage.setItem("call-device", id);
  return id;
}

/** Until when a token counts, in seconds from now: by its own length where the clock of this machine is wrong. */
function secondsLeft(token) {
  const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const { iat, exp } = JSON.parse(atob(part));
  return Math.min(exp - Date.now() / 1000, exp - iat);
}

/**
 * Keeps a socket of any namespace signed in: shows a newer token a minute before the one that it has runs out, and comes back
 * where the server has closed it, which the client of Socket.IO does not do by itself. `freshToken` gives a token that was
 * just made (`POST /auth/refresh`), and fails only where nobody is signed in any more: then the socket stays closed.
 */
export function stay(socket, freshToken) {
  let timer;
  const later = (seconds, what) => {
    clearTimeout(timer);
    timer = setTimeout(what, Math.max(1, seconds) * 1000);
  };
  const shown = (token) => {
    const left = secondsLeft(token);
    later(left - Math.min(60, left / 2), renew);
  };
  const renew = async () => {
    try {
      const token = await freshToken();
      const answer = await socket.timeout(10_000).emitWithAck("auth:refresh", { token });
      if (answer.ok) return shown(token);
    } catch (error) {
      console.warn("auth:refresh", error);
    }
    if (socket.connected) later(5, renew); // else it shows one when it comes back
  };
  socket.auth = (give) => freshToken().then((token) => {
    shown(token);
    give({ token });
  }, () => socket.disconnect());
  socket.on("disconnect", (reason) => {
    clearTimeout(timer);
    if (reason === "io server disconnect") later(1, () => socket.connect());
  });
  socket.on("connect_error", ({ message }) => {
    // refused at the door: what passes is tried again, the end of a session is not
    if (!socket.active && !["unauthenticated", "forbidden"].includes(message)) later(5, () => socket.connect());
  });
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

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
    const hear = (event, handle) => socket.on(event, (data, arrived) => {
      if (data.consultationId !== consultationId) return;
      arrived?.();
      if (!this.#isNew(data)) return;
      this.#hearing = this.#hearing.then(() => handle(data)).catch((error) => console.warn(event, error));
    });
    hear("call:ringing", () => this.#become("ringing", false));
    hear("call:accepted", () => {
      this.#become("connected");
      return this.#connect(true);
    });
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
    hear("signal:offer", (data) => this.#answer(data));
    hear("signal:answer", ({ sdp }) => this.#connection?.setRemoteDescription({ type: "answer", sdp }));
    hear("signal:ice", ({ candidate }) => this.#connection?.addIceCandidate(candidate ?? undefined));
  }

  /** A signal comes twice where the connection broke before the server knew that it had come. */
  #isNew({ callId, number }) {
    if (number === undefined) return true;
    if (this.#heard.callId === callId && number <= this.#heard.number) return false;
    this.#heard = { callId, number };
    return true;
  }

  /** Enters the rooms, now and whenever the socket comes back. */
  async join() {
    const entered = await this.#enter();
    this.#socket.on("connect", () => this.#enter().catch((error) => console.warn("call:join", error)));
    return entered;
  }

  async ring() {
    await this.#open();
    return this.#step(await this.#ask("call:ring"));
  }

  async accept() {
    await this.#open();
    return this.#step(await this.#ask("call:accept"));
  }

  async decline() {
    await this.#ask("call:decline");
    this.#end("declined");
  }

  async hangUp() {
    await this.#ask("call:hangup");
    this.#end("hung_up");
  }

  async mute(muted) {
    this.#isMuted = muted;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
    await this.#ask("call:mute", { muted });
  }

  /** The RTCPeerConnection, for whoever wants to look at its figures. */
  get connection() {
    return this.#connection;
  }

  /** Asks until there is an answer; a refusal is an error with its code. */
  async #ask(event, more = {}) {
    for (;;) {
      const answer = await this.#socket.timeout(10_000).emitWithAck(event, { ...this.#about, ...more });
      if (answer.ok) return answer;
      if (answer.code !== "too_many_requests") throw Object.assign(new Error(answer.detail), { code: answer.code });
      await pause(250);
    }
  }

  async #enter() {
    const resumes = this.#connection !== null;
    const entered = await this.#ask("call:join", { deviceId: this.#deviceId, resumes });
    this.#ice = entered.iceServers;
    this.#connection?.setConfiguration({ iceServers: this.#ice, iceTransportPolicy: this.#policy });
    // credentials end after an hour at most; a longer call asks again
    clearTimeout(this.#renewal);
    const left = Date.parse(entered.expiresAt) - Date.now() - 60_000;
    if (left > 0 && entered.expiresAt !== entered.closesAt) this.#renewal = setTimeout(() => this.#enter(), left);
    const { call } = entered;
    const isElsewhere = call?.status === "connected" && !call.here;
    this.#lookOn(isElsewhere ? { lost: call.deviceLost } : null);
    if (!call) {
      if (this.state !== "idle") this.#end("lost"); // it ended while we were away
    } else if (call.here || (call.status === "ringing" && !call.outgoing)) {
      this.#see({ muted: call.peerMuted, lost: call.peerLost });
      await this.#step(entered, !resumes);
    }
    return entered;
  }

  /** Takes over how the call stands. `offers`: this page has no connection, and the other one waits for one. */
  async #step({ call }, offers = false) {
    this.elsewhere = null;
    if (call.status === "ringing") {
      this.peer.rings = call.peerRings;
      this.#become(call.outgoing ? "calling" : "ringing", call.outgoing);
    } else {
      this.#become("connected", call.outgoing);
      if (offers) {
        await this.#open();
        await this.#connect(true);
        if (call.muted) await this.mute(true);
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
    this.#disconnect();
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#microphone = null;
    this.#isMuted = false;
    this.reason = reason;
    this.peer = { muted: false, lost: false, rings: false };
    this.elsewhere = null;
    this.#become("idle");
  }

  async #open() {
    this.#microphone ??= await navigator.mediaDevices.getUserMedia({ audio: true });
    for (const track of this.#microphone.getAudioTracks()) track.enabled = !this.#isMuted;
  }

  #disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.#isOffering = false;
  }

  async #connect(offers) {
    this.#disconnect();
    await this.#open();
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
    }
    await connection.setRemoteDescription({ type: "offer", sdp });
    await connection.setLocalDescription();
    this.#say("signal:answer", { sdp: connection.localDescription.sdp }, connection);
  }

  /** In its order, as long as it is about the present connection. */
  #say(event, what, connection) {
    this.#saying = this.#saying
      .then(() => (connection === this.#connection ? this.#ask(event, what) : undefined))
      .catch((error) => console.warn(event, error));
  }
}

/** Whether two descriptions are of different connections: each has an id of its own in its second line. */
function isAnother(before, now) {
  const id = (sdp) => /^o=\S+ (\S+)/m.exec(sdp)?.[1];
  return before !== undefined && id(before) !== id(now);
}
