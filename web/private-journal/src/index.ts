// What a client needs for private entries. The server is given nothing but what these functions return.

import { type Bytes, FormError, fromBase64, randomBytes, toBase64, uuidText } from "./bytes.js";
import {
  type Entry,
  type JournalKey,
  KEY_BYTES,
  NONCE_BYTES,
  SALT_BYTES,
  openEntry,
  sealEntry,
  unwrapByPassphrase,
  unwrapByRecovery,
  wrapByPassphrase,
  wrapByRecovery,
} from "./format.js";
import { RECOVERY_BYTES, readRecoveryCode, writeRecoveryCode } from "./recovery.js";

export { FormError, OpenError } from "./bytes.js";
export type { Entry, JournalKey } from "./format.js";

/** The body of `PUT /api/v1/journal/keys`, and a part of what `GET` answers. */
export interface Wraps {
  keyId: string;
  byPassphrase: string;
  byRecoveryCode: string;
}

const SHORTEST_PASSPHRASE = 12;

function checkPassphrase(passphrase: string): void {
  if ([...passphrase.normalize("NFKC")].length < SHORTEST_PASSPHRASE) {
    throw new FormError(`a passphrase has ${SHORTEST_PASSPHRASE} characters at least`);
  }
}

async function byPassphrase(key: JournalKey, owner: string, passphrase: string): Promise<string> {
  checkPassphrase(passphrase);
  return toBase64(await wrapByPassphrase(key, owner, passphrase, randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)));
}

/** A new key of a person (`owner` is their id), its wraps for the server, and the recovery code to print. */
export async function createKey(
  owner: string,
  passphrase: string,
): Promise<{ key: JournalKey; wraps: Wraps; recoveryCode: string }> {
  const id = randomBytes(16);
  // a UUID of random bits (RFC 9562, version 4)
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  const key = { id, bytes: randomBytes(KEY_BYTES) };
  const recovery = await newRecoveryCode(key, owner);
  const wraps = {
    keyId: uuidText(id),
    byPassphrase: await byPassphrase(key, owner, passphrase),
    byRecoveryCode: recovery.byRecoveryCode,
  };
  return { key, wraps, recoveryCode: recovery.recoveryCode };
}

/** A recovery code in the place of the one before, which opens nothing any more once the server has the new wrap. */
export async function newRecoveryCode(
  key: JournalKey,
  owner: string,
): Promise<{ byRecoveryCode: string; recoveryCode: string }> {
  const secret = randomBytes(RECOVERY_BYTES);
  const wrap = await wrapByRecovery(key, owner, secret, randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES));
  return { byRecoveryCode: toBase64(wrap), recoveryCode: writeRecoveryCode(secret) };
}

export async function unlock(wraps: Wraps, owner: string, passphrase: string): Promise<JournalKey> {
  return unwrapByPassphrase(fromBase64(wraps.byPassphrase), owner, passphrase);
}

export async function recover(wraps: Wraps, owner: string, recoveryCode: string): Promise<JournalKey> {
  return unwrapByRecovery(fromBase64(wraps.byRecoveryCode), owner, readRecoveryCode(recoveryCode));
}

/** The same key under another passphrase: no entry has to be sealed anew. */
export async function changePassphrase(key: JournalKey, wraps: Wraps, owner: string, passphrase: string): Promise<Wraps> {
  return { ...wraps, byPassphrase: await byPassphrase(key, owner, passphrase) };
}

/** `body` of `POST /api/v1/journal` with `sealed: true` and this date. */
export async function seal(key: JournalKey, owner: string, date: string, entry: Entry): Promise<string> {
  return toBase64(await sealEntry(key, owner, date, entry, randomBytes(NONCE_BYTES)));
}

/** What `GET /api/v1/journal` gives out as `body` where `sealed` is true. */
export async function open(key: JournalKey, owner: string, date: string, body: string): Promise<Entry> {
  return openEntry(key, owner, date, fromBase64(body) as Bytes);
}
