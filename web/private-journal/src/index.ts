// What a client needs for private entries. The server is given nothing but what these functions return.

import { type Bytes, FormError, ReplacedError, fromBase64, randomBytes, toBase64, uuidBytes, uuidText } from "./bytes.js";
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

export { FormError, OpenError, ReplacedError } from "./bytes.js";
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

/** A UUID of random bits (RFC 9562, version 4). */
function randomId(): Bytes {
  const id = randomBytes(16);
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  return id;
}

/** A new key of a person (`owner` is their id), its wraps for the server, and the recovery code to print. */
export async function createKey(
  owner: string,
  passphrase: string,
): Promise<{ key: JournalKey; wraps: Wraps; recoveryCode: string }> {
  const id = randomId();
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

/** Which entry a text is of, and which of its texts: 1 is the first. */
export interface Place {
  entryId: string;
  counter: number;
}

/** `body` of `POST` and `PUT /api/v1/journal` with `sealed: true` and this date. `before`: the place of the text that this
 * one replaces, as `open` told it. */
export async function seal(
  key: JournalKey,
  owner: string,
  date: string,
  entry: Entry,
  before: Place | null = null,
): Promise<{ body: string; place: Place }> {
  const place = before === null ? { entryId: uuidText(randomId()), counter: 1 } : { ...before, counter: before.counter + 1 };
  const at = { id: uuidBytes(place.entryId), counter: place.counter };
  return { body: toBase64(await sealEntry(key, owner, date, at, entry, randomBytes(NONCE_BYTES))), place };
}

/** What `GET /api/v1/journal` gives out as `body` where `sealed` is true. Of entries of version 1 the place is `null`. */
export async function open(
  key: JournalKey,
  owner: string,
  date: string,
  body: string,
): Promise<{ entry: Entry; place: Place | null }> {
  const { entry, place } = await openEntry(key, owner, date, fromBase64(body));
  return { entry, place: place && { entryId: uuidText(place.id), counter: place.counter } };
}

/** What a browser has seen of a journal, to be kept there: under which of the server's ids which entry stands, and its last
 * text. A browser that has seen nothing yet notices nothing. */
export class Seen {
  readonly #entries: Map<string, Place>;

  constructor(kept: string | null = null) {
    const read: unknown = kept === null ? [] : JSON.parse(kept);
    if (!Array.isArray(read)) throw new FormError("not what was kept");
    this.#entries = new Map(read as [string, Place][]);
  }

  /** Notes what the server gave out, or took, under an id of its own. */
  note(id: string, place: Place | null): void {
    const known = this.#entries.get(id);
    if (known && place?.entryId !== known.entryId) throw new ReplacedError("another entry stands in its place");
    if (known && place && place.counter < known.counter) throw new ReplacedError("an older text stands in its place");
    if (place === null) return;
    for (const [other, { entryId }] of this.#entries) {
      if (other !== id && entryId === place.entryId) throw new ReplacedError("it stands in another place as well");
    }
    this.#entries.set(id, place);
  }

  /** Of an entry that was deleted, or is private no more. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  toString(): string {
    return JSON.stringify([...this.#entries]);
  }
}
