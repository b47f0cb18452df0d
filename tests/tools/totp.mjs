// Reads an otpauth URI from standard input and prints what it says, and its code at a time (milliseconds since 1970).
import { readFileSync } from "node:fs";
import * as OTPAuth from "otpauth";

const totp = OTPAuth.URI.parse(readFileSync(0, "utf8"));
console.log(
  JSON.stringify({
    issuer: totp.issuer,
    label: totp.label,
    algorithm: totp.algorithm,
    digits: totp.digits,
    period: totp.period,
    secret: totp.secret.base32,
    code: totp.generate({ timestamp: Number(process.argv[2]) }),
  }),
);
