import { type Bytes, FormError } from "./bytes.js";

/** Crockford's base32: no letter that is read as another one. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
export const RECOVERY_BYTES = 20;

/** 160 bits as eight groups of four, to be printed. */
export function writeRecoveryCode(secret: Uint8Array): string {
  let bits = 0;
  let value = 0;
  let text = "";
  for (const byte of secret) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((value >>> bits) & 31);
    }
    value &= (1 << bits) - 1;
  }
  return text.replace(/(.{4})(?=.)/g, "$1-");
}

/** What somebody typed of it: small letters, blanks and what is easily mistaken are taken. */
export function readRecoveryCode(text: string): Bytes {
  const letters = text.toUpperCase().replace(/[\s-]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  if (letters.length !== (RECOVERY_BYTES * 8) / 5) throw new FormError("a recovery code has 32 letters and digits");
  const secret = new Uint8Array(RECOVERY_BYTES);
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const letter of letters) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw new FormError("a recovery code has no such letter");
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      secret[at] = (value >>> bits) & 255;
      at += 1;
      value &= (1 << bits) - 1;
    }
  }
  return secret;
}
