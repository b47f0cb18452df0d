// Decides about a Jitsi token as Prosody's token module does (mod_auth_token, mod_token_verification, token_affiliation), set
// up as docs/video.md says. Written from the rules alone: no library of tokens, no code of ours.
// Standard input: {token, secret, appId, domain, muc, mucPrefix, room, now}: rooms are below the domain `muc`, and the mapper's
// prefix (`muc_mapper_domain_prefix`) is `mucPrefix`; without them `conference`, as the packages have it. Prints {entered, affiliation, name}, or {refused}.
import { createHmac, timingSafeEqual } from "node:crypto";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const asked = JSON.parse(Buffer.concat(chunks).toString());

class Refused extends Error {}
const must = (holds, why) => { if (!holds) throw new Refused(why); };
const decoded = (part) => JSON.parse(Buffer.from(part, "base64url").toString("utf8"));

/** authentication = "token": who may connect at all. */
function authenticate({ token, secret, appId, now }) {
  must(token, "token required"); // allow_empty_token = false
  const parts = token.split(".");
  must(parts.length === 3, "not a token");
  const [head, body] = parts.slice(0, 2).map(decoded);
  must(head.typ === "JWT", "typ");
  must(head.alg === "HS256", "alg"); // signature_algorithm
  const expected = createHmac("sha256", secret).update(`${parts[0]}.${parts[1]}`).digest();
  const given = Buffer.from(parts[2], "base64url");
  must(given.length === expected.length && timingSafeEqual(given, expected), "signature");
  // Prosody minds what is there; that both are there is what we promise
  for (const time of ["exp", "nbf"]) {
    must(time in body, `no ${time}`);
    must(typeof body[time] === "number", `${time} is no number`);
  }
  must(now < body.exp, "exp");
  must(now >= body.nbf, "nbf");
  must(body.iss === appId, "iss"); // asap_accepted_issuers: the app_id
  must(body.aud === appId, "aud"); // asap_accepted_audiences = { app_id }
  must(body.room !== undefined, "no room"); // asap_require_room_claim
  return body;
}

/**
 * token_verification: which room of the deployment may be entered. The address of a room is in lower case; it is compared with
 * the token's room below the prefix and the token's domain, whatever the deployment's own domain is.
 */
function verifyRoom(body, { room, domain, mucPrefix = "conference", muc = `${mucPrefix}.${domain}` }) {
  must(typeof body.room === "string" && body.room !== "*", "a token for every room");
  must(typeof body.sub === "string" && body.sub !== "*", "a token for every domain");
  const wanted = `${room.toLowerCase()}@${muc}`;
  // enable_domain_verification: compared as it stands, so that a room in capitals is never entered
  must(wanted === `${body.room}@${mucPrefix}.${body.sub.toLowerCase()}`, "room or domain");
}

/** What the interface offers by the token: nothing that keeps or carries away what is said. Left out, all is offered. */
function features({ features = {} }) {
  const kept = ["recording", "livestreaming", "transcription"];
  return kept.filter((name) => features[name] !== "false" && features[name] !== false);
}

/** token_affiliation: who moderates. Whoever is neither said to be owner nor moderator is a member. */
function affiliation(user) {
  for (const [name, value] of Object.entries(user)) must(typeof value === "string", `${name} is no string`);
  const isOwner = user.affiliation === "owner" || user.affiliation === "moderator" || user.moderator === "true";
  must((user.moderator === "true") === (user.affiliation === "owner"), "moderator and affiliation differ");
  return isOwner ? "owner" : "member";
}

try {
  const body = authenticate(asked);
  verifyRoom(body, asked);
  const user = body.context?.user ?? {};
  console.log(JSON.stringify({ entered: true, affiliation: affiliation(user), name: user.name, offered: features(body.context ?? {}) }));
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.log(JSON.stringify({ refused: error.message }));
}
