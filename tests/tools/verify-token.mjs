// Verifies an access token with jose, against the keys that the server publishes.
// Standard input: {"token", "jwks" (URL), "issuer", "audience"}. Prints the header and the claims.
import { createRemoteJWKSet, jwtVerify } from "jose";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { token, jwks, issuer, audience } = JSON.parse(Buffer.concat(chunks).toString());

const { protectedHeader, payload } = await jwtVerify(token, createRemoteJWKSet(new URL(jwks)), {
  issuer,
  audience,
  algorithms: ["EdDSA"],
  typ: "at+jwt",
  clockTolerance: 5,
  requiredClaims: ["sub", "sid", "role", "iat", "nbf", "exp"],
});
console.log(JSON.stringify({ header: protectedHeader, claims: payload }));
