// The forms of docs/private-journal.md. Randomness is an argument, so that test vectors come out the same.

import { argon2id } from "hash-wasm";
import { type Bytes, FormError, OpenError, concat, lengthPrefixed, sameBytes, uint32, utf8, uuidBytes } from "./bytes.js";

export const VERSION = 1;
/** Of entries. Those of version 1 said no place; they are read, and written no more. */
export const ENTRY_VERSION = 2;
export const KEY_BYTES = 32;
export const SALT_BYTES = 16;
export const NONCE_BYTES = 12;
const ID_BYTES = 16;
const TAG_BYTES = 16;
/** What an entry holds is filled up to a multiple of these. */
const STEP = 256;
const BY_PASSPHRASE = 1;
const BY_RECOVERY_CODE = 2;

/** Of Argon2id (RFC 9106). */
export interface Parameters {
  memoryKiB: number;
  passes: number;
  lanes: number;
}

/** About half a second on a telephone of 2024. The server takes nothing easier. */
export const PARAMETERS: Parameters = { memoryKiB: 65_536, passes: 3, lanes: 1 };
const MOST: Parameters = { memoryKiB: 1_048_576, passes: 16, lanes: 4 };

async function aesKey(key: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}

async function seal(key: Bytes, nonce: Bytes, additionalData: Bytes, plain: Bytes): Promise<Bytes> {
  const parameters = { name: "AES-GCM", iv: nonce, additionalData };
  return new Uint8Array(await crypto.subtle.encrypt(parameters, await aesKey(key), plain));
}

async function open(key: Bytes, nonce: Bytes, additionalData: Bytes, sealed: Bytes): Promise<Bytes> {
  const parameters = { name: "AES-GCM", iv: nonce, additionalData };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters, await aesKey(key), sealed));
  } catch {
    throw new OpenError("it does not open");
  }
}

/** Cuts bytes into parts of these lengths and a rest. */
function split(bytes: Bytes, ...lengths: readonly number[]): Bytes[] {
  let at = 0;
  const parts = lengths.map((length) => bytes.slice(at, (at += length)));
  if (at > bytes.length) throw new FormError("too short");
  return [...parts, bytes.slice(at)];
}

/** The key that entries are sealed under, with its id. */
export interface JournalKey {
  id: Bytes;
  bytes: Bytes;
}

export interface Entry {
  body: string;
  /** 1 (very low) to 5 (very good) */
  mood: number;
  tags: string[];
}

/** Which entry a text is of, and which of its texts: made by the client, so that the server can neither exchange entries nor
 * bring an older text back without being noticed. */
export interface Place {
  id: Bytes;
  /** 1 is the first text. */
  counter: number;
}

const MOST_TEXTS = 0xffff_ffff;

function entryData(key: JournalKey, owner: string, date: string, place: Place | null): Bytes {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) throw new FormError("not a date");
  const version = Uint8Array.of(place === null ? 1 : ENTRY_VERSION);
  const where = place === null ? [] : [place.id, uint32(place.counter)];
  return lengthPrefixed(utf8("huntzen private journal entry"), version, uuidBytes(owner), key.id, utf8(date), ...where);
}

/** `version, id of the key, id of the entry, counter, nonce, ciphertext and tag`. */
export async function sealEntry(
  key: JournalKey,
  owner: string,
  date: string,
  place: Place,
  entry: Entry,
  nonce: Bytes,
): Promise<Bytes> {
  if (place.id.length !== ID_BYTES || !(place.counter >= 1 && place.counter <= MOST_TEXTS)) throw new FormError("no place");
  const { body, mood, tags } = entry;
  const json = utf8(JSON.stringify({ body, mood, tags }));
  const plain = new Uint8Array(Math.ceil((4 + json.length) / STEP) * STEP);
  plain.set(uint32(json.length));
  plain.set(json, 4);
  const sealed = await seal(key.bytes, nonce, entryData(key, owner, date, place), plain);
  return concat(Uint8Array.of(ENTRY_VERSION), key.id, place.id, uint32(place.counter), nonce, sealed);
}

/** An entry, and its place; `null` of one of version 1. */
export async function openEntry(
  key: JournalKey,
  owner: string,
  date: string,
  stored: Bytes,
): Promise<{ entry: Entry; place: Place | null }> {
  const [version, id, rest] = split(stored, 1, ID_BYTES) as [Bytes, Bytes, Bytes];
  if (!sameBytes(id, key.id)) throw new OpenError("sealed under another key");
  let place: Place | null = null;
  let body = rest;
  if (version[0] === ENTRY_VERSION) {
    const [entryId, counter, after] = split(rest, ID_BYTES, 4) as [Bytes, Bytes, Bytes];
    place = { id: entryId, counter: new DataView(counter.buffer).getUint32(0) };
    body = after;
  } else if (version[0] !== 1) {
    throw new FormError("an unknown version");
  }
  const [nonce, sealed] = split(body, NONCE_BYTES) as [Bytes, Bytes];
  const plain = await open(key.bytes, nonce, entryData(key, owner, date, place), sealed);
  const length = new DataView(plain.buffer).getUint32(0);
  if (length > plain.length - 4) throw new FormError("longer than it is");
  const entry: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain.slice(4, 4 + length)));
  if (!isEntry(entry)) throw new FormError("not an entry");
  return { entry, place };
}

function isEntry(it: unknown): it is Entry {
  if (typeof it !== "object" || it === null) return false;
  const { body, mood, tags } = it as Record<string, unknown>;
  return (
    typeof body === "string" && typeof mood === "number" && Array.isArray(tags) && tags.every((tag) => typeof tag === "string")
  );
}

function passphraseHeader(parameters: Parameters, salt: Bytes, id: Bytes): Bytes {
  const { memoryKiB, passes, lanes } = parameters;
  return concat(Uint8Array.of(VERSION, BY_PASSPHRASE), uint32(memoryKiB), uint32(passes), Uint8Array.of(lanes), salt, id);
}

function recoveryHeader(salt: Bytes, id: Bytes): Bytes {
  return concat(Uint8Array.of(VERSION, BY_RECOVERY_CODE), salt, id);
}

function wrapData(header: Bytes, owner: string): Bytes {
  return lengthPrefixed(utf8("huntzen private journal key"), header, uuidBytes(owner));
}

/** Normalised (NFKC), so that it is the same whatever keyboard it was typed on. */
async function fromPassphrase(passphrase: string, salt: Bytes, parameters: Parameters): Promise<Bytes> {
  const derived = await argon2id({
    password: utf8(passphrase.normalize("NFKC")),
    salt,
    memorySize: parameters.memoryKiB,
    iterations: parameters.passes,
    parallelism: parameters.lanes,
    hashLength: KEY_BYTES,
    outputType: "binary",
  });
  return derived as Bytes;
}

/** A recovery code has 160 random bits: nobody tries them, so no slow derivation is needed (HKDF-SHA-256, RFC 5869). */
async function fromRecovery(secret: Bytes, salt: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const info = utf8("huntzen private journal recovery");
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, KEY_BYTES * 8));
}

/** `version, 1, parameters, salt, id of the key, nonce, wrapped key and tag`. */
export async function wrapByPassphrase(
  key: JournalKey,
  owner: string,
  passphrase: string,
  salt: Bytes,
  nonce: Bytes,
  parameters: Parameters = PARAMETERS,
): Promise<Bytes> {
  const header = passphraseHeader(parameters, salt, key.id);
  const wrapping = await fromPassphrase(passphrase, salt, parameters);
  return concat(header, nonce, await seal(wrapping, nonce, wrapData(header, owner), key.bytes));
}

export async function unwrapByPassphrase(stored: Bytes, owner: string, passphrase: string): Promise<JournalKey> {
  const parts = split(stored, 2, 9, SALT_BYTES, ID_BYTES, NONCE_BYTES) as [Bytes, Bytes, Bytes, Bytes, Bytes, Bytes];
  const [kind, hardness, salt, id, nonce, sealed] = parts;
  checkForm(kind, BY_PASSPHRASE, sealed);
  const view = new DataView(hardness.buffer);
  const parameters = { memoryKiB: view.getUint32(0), passes: view.getUint32(4), lanes: view.getUint8(8) };
  // whoever writes the wrap must not be able to hang the browser
  const { memoryKiB, passes, lanes } = parameters;
  if (memoryKiB > MOST.memoryKiB || passes > MOST.passes || lanes > MOST.lanes) throw new FormError("too hard");
  const wrapping = await fromPassphrase(passphrase, salt, parameters);
  const header = passphraseHeader(parameters, salt, id);
  return { id, bytes: await open(wrapping, nonce, wrapData(header, owner), sealed) };
}

/** `version, 2, salt, id of the key, nonce, wrapped key and tag`. */
export async function wrapByRecovery(key: JournalKey, owner: string, secret: Bytes, salt: Bytes, nonce: Bytes): Promise<Bytes> {
  const header = recoveryHeader(salt, key.id);
  return concat(header, nonce, await seal(await fromRecovery(secret, salt), nonce, wrapData(header, owner), key.bytes));
}

export async function unwrapByRecovery(stored: Bytes, owner: string, secret: Bytes): Promise<JournalKey> {
  const parts = split(stored, 2, SALT_BYTES, ID_BYTES, NONCE_BYTES) as [Bytes, Bytes, Bytes, Bytes, Bytes];
  const [kind, salt, id, nonce, sealed] = parts;
  checkForm(kind, BY_RECOVERY_CODE, sealed);
  const bytes = await open(await fromRecovery(secret, salt), nonce, wrapData(recoveryHeader(salt, id), owner), sealed);
  return { id, bytes };
}

function checkForm(kind: Bytes, expected: number, sealed: Bytes): void {
  if (kind[0] !== VERSION || kind[1] !== expected) throw new FormError("an unknown version or kind");
  if (sealed.length !== KEY_BYTES + TAG_BYTES) throw new FormError("of another length");
}
