// node test/vectors.mjs           checks vectors.json, and that what must not open does not
// node test/vectors.mjs make      writes the vectors anew
// node test/vectors.mjs start …   a new key of this person under this passphrase, wrapped
// node test/vectors.mjs exchange  reads what another implementation sealed, answers what it read and something of its own

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fromBase64, toBase64, uuidBytes } from "../dist/bytes.js";
import * as format from "../dist/format.js";
import * as journal from "../dist/index.js";
import { readRecoveryCode, writeRecoveryCode } from "../dist/recovery.js";

const hex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const file = new URL("../vectors.json", import.meta.url);

/** What the vectors are made of; the results are put beside it. */
const GIVEN = {
  owner: "01938f2e-7a10-7c3e-9b1d-2f4a6c8e0aa1",
  keyId: "6f1e0c52-9d0b-4c7a-8a35-3f0f7d1b2c44",
  key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  // the same passphrase as two keyboards type it
  passphrase: "caf\u00e9 au lait, tr\u00e8s t\u00f4t",
  passphraseDecomposed: "cafe\u0301 au lait, tre\u0300s to\u0302t",
  byPassphrase: { salt: "202122232425262728292a2b2c2d2e2f", nonce: "303132333435363738393a3b" },
  recoverySecret: "ff00aa5512345678deadbeef0123456789abcdef",
  byRecoveryCode: { salt: "404142434445464748494a4b4c4d4e4f", nonce: "505152535455565758595a5b" },
  entries: [
    { date: "2026-11-21", entryId: "0f9a3a5e-52f0-4d0e-9a55-8d7a4f1c7a01", counter: 1, nonce: "606162636465666768696a6b", entry: { body: "A quiet day.", mood: 4, tags: ["sleep", "été"] } },
    // a later text of the same
    { date: "2024-02-29", entryId: "0f9a3a5e-52f0-4d0e-9a55-8d7a4f1c7a01", counter: 258, nonce: "707172737475767778797a7b", entry: { body: "", mood: 1, tags: [] } },
    // just over a step of the filling
    { date: "2026-01-01", entryId: "c3b1d2a4-7e11-4b6f-8f0d-1d2e3f405162", counter: 2, nonce: "808182838485868788898a8b", entry: { body: "é👍🏽".repeat(40), mood: 3, tags: [] } },
  ],
  // as they were written once; nothing writes them any more
  entriesOfVersion1: JSON.parse(readFileSync(file, "utf8")).entriesOfVersion1,
};

async function make() {
  const key = { id: uuidBytes(GIVEN.keyId), bytes: hex(GIVEN.key) };
  const secret = hex(GIVEN.recoverySecret);
  const { byPassphrase: pass, byRecoveryCode: code } = GIVEN;
  const entries = [];
  for (const it of GIVEN.entries) {
    const sealed = await format.sealEntry(
      key, GIVEN.owner, it.date, { id: uuidBytes(it.entryId), counter: it.counter }, it.entry, hex(it.nonce),
    );
    entries.push({ ...it, sealed: toBase64(sealed) });
  }
  const wrapped = await format.wrapByPassphrase(key, GIVEN.owner, GIVEN.passphrase, hex(pass.salt), hex(pass.nonce));
  const recovery = await format.wrapByRecovery(key, GIVEN.owner, secret, hex(code.salt), hex(code.nonce));
  return {
    ...GIVEN,
    byPassphrase: { ...pass, ...format.PARAMETERS, wrapped: toBase64(wrapped) },
    recoveryCode: writeRecoveryCode(secret),
    byRecoveryCode: { ...code, wrapped: toBase64(recovery) },
    entries,
  };
}

async function refuses(what) {
  await assert.rejects(what, (error) => error instanceof journal.OpenError || error instanceof journal.FormError);
}

async function check() {
  const vectors = JSON.parse(readFileSync(file, "utf8"));
  assert.deepEqual(await make(), vectors);
  const { owner, passphrase, recoveryCode, key: keyHex } = vectors;
  const wraps = { keyId: vectors.keyId, byPassphrase: vectors.byPassphrase.wrapped, byRecoveryCode: vectors.byRecoveryCode.wrapped };
  const stranger = "01938f2e-7a10-7c3e-9b1d-2f4a6c8e0aa2";
  const key = await journal.unlock(wraps, owner, passphrase);
  assert.equal(Buffer.from(key.bytes).toString("hex"), keyHex);
  await journal.unlock(wraps, owner, vectors.passphraseDecomposed);
  assert.deepEqual(await journal.recover(wraps, owner, recoveryCode), key);
  assert.deepEqual(await journal.recover(wraps, owner, ` ${recoveryCode.toLowerCase().replaceAll("-", " ").replaceAll("0", "o")} `), key);
  await refuses(journal.unlock(wraps, owner, `${passphrase}.`));
  await refuses(journal.unlock(wraps, stranger, passphrase));
  await refuses(journal.recover(wraps, owner, recoveryCode.replace(/^./, (letter) => (letter === "Z" ? "Y" : "Z"))));
  for (const short of ["", recoveryCode.slice(1), `${recoveryCode}0`, recoveryCode.replace(/^./, "U")]) {
    await refuses(journal.recover(wraps, owner, short));
  }
  // one wrap is not the other, and none can be changed or cut
  await refuses(journal.unlock({ ...wraps, byPassphrase: wraps.byRecoveryCode }, owner, passphrase));
  for (const at of [0, 1, 30, 50, 101]) {
    const changed = fromBase64(wraps.byPassphrase);
    changed[at] ^= 1;
    await refuses(journal.unlock({ ...wraps, byPassphrase: toBase64(changed) }, owner, passphrase));
  }
  const hard = fromBase64(wraps.byPassphrase);
  hard.set([255, 255, 255, 255], 2);
  await refuses(journal.unlock({ ...wraps, byPassphrase: toBase64(hard) }, owner, passphrase));

  for (const { date, sealed, entry } of vectors.entriesOfVersion1) {
    assert.deepEqual(await journal.open(key, owner, date, sealed), { entry, place: null });
    // it is not taken for one of the other version
    const changed = fromBase64(sealed);
    changed[0] = 2;
    await refuses(journal.open(key, owner, date, toBase64(changed)));
  }
  for (const { date, sealed, entry, entryId, counter } of vectors.entries) {
    assert.deepEqual(await journal.open(key, owner, date, sealed), { entry, place: { entryId, counter } });
    assert.equal((fromBase64(sealed).length - 65) % 256, 0);
    await refuses(journal.open(key, owner, "2026-11-22", sealed));
    await refuses(journal.open(key, stranger, date, sealed));
    // version, key, entry, counter, nonce, text
    for (const at of [0, 1, 20, 36, 40, 70]) {
      const changed = fromBase64(sealed);
      changed[at] ^= 1;
      await refuses(journal.open(key, owner, date, toBase64(changed)));
    }
    for (const length of [0, 10, 30, 60]) {
      await refuses(journal.open(key, owner, date, toBase64(fromBase64(sealed).slice(0, length))));
    }
  }
  await refuses(journal.open(key, owner, "21/11/2026", vectors.entries[0].sealed));

  // a person's way: a key, a journal, another passphrase, the printed code
  const made = await journal.createKey(owner, "four quiet words here");
  const entry = { body: "Mine alone.", mood: 2, tags: ["work"] };
  const { body: sealed, place } = await journal.seal(made.key, owner, "2026-11-21", entry);
  assert.equal(place.counter, 1);
  const other = await journal.seal(made.key, owner, "2026-11-21", entry);
  assert.ok(sealed !== other.body && place.entryId !== other.place.entryId);
  const later = await journal.seal(made.key, owner, "2026-11-21", { ...entry, body: "Later." }, place);
  assert.deepEqual(later.place, { ...place, counter: 2 });
  const changed = await journal.changePassphrase(made.key, made.wraps, owner, "five other quiet words here");
  assert.equal(changed.keyId, made.wraps.keyId);
  assert.equal(changed.byRecoveryCode, made.wraps.byRecoveryCode);
  await refuses(journal.unlock(changed, owner, "four quiet words here"));
  const again = await journal.unlock(changed, owner, "five other quiet words here");
  assert.deepEqual((await journal.open(again, owner, "2026-11-21", sealed)).entry, entry);
  const recovered = await journal.recover(changed, owner, made.recoveryCode);
  assert.deepEqual((await journal.open(recovered, owner, "2026-11-21", sealed)).entry, entry);
  const printed = await journal.newRecoveryCode(made.key, owner);
  await refuses(journal.recover({ ...changed, byRecoveryCode: printed.byRecoveryCode }, owner, made.recoveryCode));
  await refuses(journal.createKey(owner, "too short"));
  // nobody seals under somebody else's key by mistake
  await refuses(journal.open(key, owner, "2026-11-21", sealed));
  // what a browser has seen does not come back as something else
  const seen = new journal.Seen();
  seen.note("one", place);
  seen.note("two", other.place);
  seen.note("one", later.place);
  const kept = new journal.Seen(String(seen));
  for (const [id, told] of [["one", place], ["one", other.place], ["two", later.place], ["one", null], ["three", later.place]]) {
    assert.throws(() => kept.note(id, told), journal.ReplacedError, `${id} ${JSON.stringify(told)}`);
  }
  kept.note("one", later.place);
  kept.forget("one");
  kept.note("three", later.place);
  kept.note("four", null);
  console.log(`${vectors.entries.length} entries and 2 wraps as the vectors say`);
}

async function exchange() {
  const { owner, wraps, passphrase, recoveryCode, date, sealed } = JSON.parse(readFileSync(0, "utf8"));
  const key = await journal.unlock(wraps, owner, passphrase);
  assert.deepEqual(await journal.recover(wraps, owner, recoveryCode), key);
  const opened = sealed ? await journal.open(key, owner, date, sealed) : null;
  const read = opened && opened.entry;
  const entry = { body: `Read: ${read?.body}`, mood: 5, tags: ["answer"] };
  const changed = await journal.changePassphrase(key, wraps, owner, `${passphrase}, changed`);
  const answer = await journal.seal(key, owner, date, entry, opened && opened.place);
  console.log(JSON.stringify({ read, entry, sealed: answer.body, place: answer.place, wraps: changed }));
}

const [, , what] = process.argv;
if (what === "make") console.log(JSON.stringify(await make(), null, 2));
else if (what === "exchange") await exchange();
else if (what === "start") {
  const { wraps, recoveryCode } = await journal.createKey(process.argv[3], process.argv[4]);
  console.log(JSON.stringify({ wraps, recoveryCode }));
} else await check();
