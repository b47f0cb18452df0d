// What a page with sockets needs of its session, whatever it does with them: one access token at a time, and sockets that
// stay as long as somebody is signed in.
//
//   const freshToken = tokens("https://care.example.org");
//   const socket = io("https://care.example.org/notifications");
//   const leave = stay(socket, freshToken, () => showLogin());

/** Nobody is signed in any more: asking again is of no use. */
export class SignedOut extends Error {}

/**
 * A little longer after each failure, half a minute at most, and never twice the same: all others wait as well.
 * @param {number} failures
 */
export const pauseAfter = (failures) => Math.min(30_000, 1000 * 2 ** failures) * (0.5 + Math.random());

/**
 * Makes access tokens for all sockets and requests of a page, one at a time: a refresh token is used once, so two requests
 * with the same one would look like a theft. Whoever asks meanwhile gets the same answer; other tabs wait for their turn,
 * and find the cookie that the one before them was given.
 * @param {string} server
 * @param {() => Promise<Response>} refresh where the refresh token is not kept in a cookie
 * @returns {() => Promise<string>}
 */
export function tokens(server, refresh = () => fetch(`${server}/api/v1/auth/refresh`, {
  method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body: "{}",
  signal: AbortSignal.timeout(10_000),
})) {
  /** @type {Promise<string> | null} */
  let asking = null;
  const ask = async () => {
    const answer = await refresh();
    if (answer.status === 401 || answer.status === 403) throw new SignedOut(`${answer.status}`);
    if (!answer.ok) throw new Error(`no token: ${answer.status}`);
    return (await answer.json()).accessToken;
  };
  const inTurn = async () => {
    const locks = globalThis.navigator?.locks;
    return locks ? await locks.request(`refresh ${server}`, ask) : await ask();
  };
  return () => (asking ??= inTurn().finally(() => { asking = null; }));
}

/**
 * Keeps a socket of any namespace signed in: shows a newer token a minute before the one that it has runs out, and comes back
 * where the server has closed it, which the client of Socket.IO does not do by itself. A token that does not come is asked
 * for again, until nobody is signed in (`SignedOut`): then the socket stays closed, and `signedOut` is called.
 * @param {import("socket.io-client").Socket<any, any>} socket
 * @param {() => Promise<string>} freshToken gives a token that was just made: `tokens(server)`
 * @returns {() => void} closes the socket for good
 */
export function stay(socket, freshToken, signedOut = () => {}) {
  const forGood = ["unauthenticated", "forbidden"];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;
  let asked = 0;
  /** @param {number} milliseconds @param {() => void} what */
  const later = (milliseconds, what) => {
    clearTimeout(timer);
    timer = setTimeout(what, milliseconds);
  };
  const comeBack = () => later(pauseAfter(failures++), () => socket.connect());
  const leave = () => {
    clearTimeout(timer);
    asked += 1;
    socket.disconnect();
  };
  const end = () => {
    leave();
    signedOut();
  };
  /** @param {string} token */
  const shown = (token) => {
    const left = secondsLeft(token);
    later(Math.max(1, left - Math.min(60, left / 2)) * 1000, renew);
  };
  const renew = async () => {
    try {
      const token = await freshToken();
      if (!socket.connected) return; // it shows one when it comes back
      const answer = await socket.timeout(10_000).emitWithAck("auth:refresh", { token });
      if (answer.ok) {
        failures = 0;
        return shown(token);
      }
      if (forGood.includes(answer.code)) return end();
    } catch (error) {
      if (error instanceof SignedOut) return end();
    }
    if (socket.connected) later(pauseAfter(failures++), renew);
  };
  socket.auth = async (give) => {
    const mine = ++asked;
    try {
      const token = await freshToken();
      if (mine !== asked) return; // for a connection that is gone
      shown(token);
      give({ token });
    } catch (error) {
      if (mine !== asked) return;
      if (error instanceof SignedOut) return end();
      socket.disconnect();
      comeBack();
    }
  };
  socket.on("connect", () => { failures = 0; });
  socket.on("disconnect", (/** @type {string} */ reason) => {
    clearTimeout(timer);
    if (reason === "io server disconnect") comeBack(); // from everything else the client comes back by itself
  });
  socket.on("connect_error", (/** @type {Error} */ { message }) => {
    if (socket.active) return; // there is no way to the server: the client tries again by itself
    if (forGood.includes(message)) end();
    else comeBack();
  });
  return leave;
}

/**
 * Until when a token counts, in seconds from now: by its own length where the clock of this machine is wrong.
 * @param {string} token
 */
function secondsLeft(token) {
  const part = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const { iat, exp } = JSON.parse(atob(part));
  return Math.min(exp - Date.now() / 1000, exp - iat);
}
