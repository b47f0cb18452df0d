// Verifies a Jitsi token with jose, by the rules of Prosody's token module and those of our own.
// Standard input: {"token", "secret", "appId", "domain", "room", "now"}. Prints the claims.
import { jwtVerify } from "jose";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { token, secret, appId, domain, room, now } = JSON.parse(Buffer.concat(chunks).toString());

const { protectedHeader, payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
  issuer: appId,
  audience: appId,
  subject: domain,
  algorithms: ["HS256"],
  typ: "JWT",
  currentDate: new Date(now * 1000),
  requiredClaims: ["iss", "aud", "sub", "room", "nbf", "exp", "context"],
});
const must = (holds, what) => {
  if (!holds) throw new Error(what);
};
must(!("kid" in protectedHeader), "a shared secret has no kid");
must(payload.room !== "*" && payload.room === payload.room.toLowerCase(), "one room, in lower case");
// util.lib.lua: the room that is entered is compared in lower case
must(payload.room === room.toLowerCase(), "another room");
// and the domain of the address, where it is no tenant
must(payload.sub === domain.toLowerCase(), "another domain");
must(payload.nbf <= now, "not valid yet");
// what Prosody hands on of the user are strings
for (const [key, value] of Object.entries(payload.context.user)) must(typeof value === "string", `${key} is no string`);
console.log(JSON.stringify(payload));
