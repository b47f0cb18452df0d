// The password of a TURN name, as coturn's use-auth-secret computes it. Standard input: {"username", "secret"}.
import { createHmac } from "node:crypto";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { username, secret } = JSON.parse(Buffer.concat(chunks).toString());
console.log(createHmac("sha1", secret).update(username).digest("base64"));
