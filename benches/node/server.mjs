// Chat as one would write it on Node.js: socket.io and pg. The same events, tables of the same shape, AES-256-GCM at rest,
// one prepared statement for each message, told to both people of the conversation. It checks an access token at the door,
// the conversation at joining, and the payload of each event.
//
// Settings: PG* of libpq, PORT, PUBLIC_KEY (Ed25519, SPKI, base64), POOL, RECEIPTS=1 where deliveries are acknowledged.
// Prints `ready` when it serves.
import { createCipheriv, createDecipheriv, createPublicKey, randomBytes, randomUUID, verify } from "node:crypto";
import { createServer } from "node:http";
import pg from "pg";
import { Server } from "socket.io";

const { PORT, PUBLIC_KEY, POOL = "10", RECEIPTS } = process.env;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const pool = new pg.Pool({ max: Number(POOL) });
pg.types.setTypeParser(20, Number);

const publicKey = createPublicKey({ key: Buffer.from(PUBLIC_KEY, "base64"), format: "der", type: "spki" });
function whose(token) {
  const [header, payload, signature] = String(token).split(".");
  const signed = Buffer.from(`${header}.${payload}`);
  if (!verify(null, signed, publicKey, Buffer.from(signature ?? "", "base64url"))) throw new Error("unauthenticated");
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  if (claims.exp * 1000 < Date.now()) throw new Error("token_expired");
  return claims.sub;
}

function seal(key, id, text) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(id));
  return Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}
function open(key, id, sealed) {
  const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12)).setAAD(Buffer.from(id));
  cipher.setAuthTag(sealed.subarray(-16));
  return cipher.update(sealed.subarray(12, -16), undefined, "utf8") + cipher.final("utf8");
}

const FIND = {
  name: "find",
  text: `SELECT id, company_id, user_id, practitioner_id, last_seq, last_rev, key FROM bench.conversations
         WHERE id = $1 AND $2 IN (user_id, practitioner_id)`,
};
const SEND = {
  name: "send",
  text: `WITH it AS (
           UPDATE bench.conversations SET last_seq = last_seq + 1, last_rev = last_rev + 1, last_at = $6
           WHERE id = $1 AND $2 IN (user_id, practitioner_id) AND closes_at > $6
           RETURNING id, company_id, user_id, practitioner_id, last_seq, last_rev)
         INSERT INTO bench.messages (id, company_id, conversation_id, user_id, practitioner_id, sender_id, client_id, seq, rev,
                                     sealed, created_at)
         SELECT $3, company_id, id, user_id, practitioner_id, $2, $4, last_seq, last_rev, $5, $6 FROM it
         RETURNING seq, rev`,
};
const SENT = {
  name: "sent",
  text: `SELECT id, client_id, seq, rev, sender_id, created_at FROM bench.messages
         WHERE conversation_id = $1 AND sender_id = $2 AND client_id = $3`,
};
const CHANGES = {
  name: "changes",
  text: `SELECT id, client_id, seq, rev, sender_id, sealed, created_at FROM bench.messages
         WHERE company_id = $1 AND conversation_id = $2 AND rev > $3 ORDER BY rev LIMIT 20`,
};
const RECEIPT = {
  name: "receipt",
  text: `WITH it AS (UPDATE bench.conversations SET last_rev = last_rev + 1 WHERE id = $1
                     RETURNING id, company_id, user_id, practitioner_id, last_rev)
         INSERT INTO bench.receipts AS r (company_id, conversation_id, user_id, practitioner_id, reader_id, delivered_seq,
                                          read_seq, rev, updated_at)
         SELECT company_id, id, user_id, practitioner_id, $2, $3, 0, last_rev, now() FROM it
         ON CONFLICT (company_id, conversation_id, reader_id)
         DO UPDATE SET delivered_seq = greatest(r.delivered_seq, $3), rev = excluded.rev, updated_at = now()
         RETURNING rev`,
};

const http = createServer();
const io = new Server(http, { transports: ["websocket", "polling"], maxHttpBufferSize: 256 << 10, perMessageDeflate: false });
const chat = io.of("/chat");

chat.use((socket, next) => {
  try {
    socket.data.user = whose(socket.handshake.auth.token);
    socket.data.joined = new Map();
    next();
  } catch (error) {
    next(error);
  }
});

function answering(socket, event, work) {
  socket.on(event, async (data, ack) => {
    const say = typeof ack === "function" ? ack : () => {};
    try {
      if (typeof data !== "object" || data === null || !UUID.test(data.conversationId)) throw new Error("invalid");
      say({ ok: true, ...(await work(data)) });
    } catch (error) {
      say({ ok: false, code: error.message });
    }
  });
}

chat.on("connection", (socket) => {
  const { user, joined } = socket.data;
  const find = async (id) => {
    const { rows: [it] } = await pool.query({ ...FIND, values: [id, user] });
    if (!it) throw new Error("not_found");
    return it;
  };

  answering(socket, "conversation:join", async ({ conversationId }) => {
    const it = await find(conversationId);
    joined.set(conversationId, it);
    socket.join(conversationId);
    return { rev: it.last_rev, items: [], receipts: [] };
  });

  answering(socket, "sync", async ({ conversationId, afterRev }) => {
    const it = joined.get(conversationId) ?? (await find(conversationId));
    const { rows } = await pool.query({ ...CHANGES, values: [it.company_id, it.id, Number(afterRev)] });
    const items = rows.map((row) => ({
      id: row.id, clientId: row.client_id, seq: row.seq, rev: row.rev, senderId: row.sender_id,
      body: open(it.key, row.id, row.sealed), createdAt: row.created_at,
    }));
    return { items, rev: rows.at(-1)?.rev ?? Number(afterRev), hasMore: rows.length === 20 };
  });

  answering(socket, "message:send", async ({ conversationId, clientId, body }) => {
    if (!UUID.test(clientId) || typeof body !== "string" || body.length > 4000 || !/\S/.test(body)) throw new Error("invalid");
    const it = joined.get(conversationId) ?? (await find(conversationId));
    const id = randomUUID();
    const createdAt = new Date();
    let stored;
    try {
      const values = [it.id, user, id, clientId, seal(it.key, id, body), createdAt];
      ({ rows: [stored] } = await pool.query({ ...SEND, values }));
    } catch (error) {
      if (error.code !== "23505") throw new Error("internal");
      const { rows: [known] } = await pool.query({ ...SENT, values: [it.id, user, clientId] });
      return { message: { ...known, conversationId, body } };
    }
    if (!stored) throw new Error("conversation_closed");
    const message = {
      id, conversationId, clientId, seq: stored.seq, rev: stored.rev, senderId: user, content: "text", body, createdAt,
    };
    if (RECEIPTS) {
      for (const other of chat.adapter.rooms.get(conversationId) ?? []) {
        const its = chat.sockets.get(other);
        if (its.data.user === user) its.emit("message:new", message);
        else its.emit("message:new", message, () => its.data.arrived(conversationId, message.seq));
      }
    } else {
      chat.to(conversationId).emit("message:new", message);
    }
    return { message };
  });

  // what arrives while a receipt is noted is noted with the next one
  const arrived = new Map();
  let noting = false;
  socket.data.arrived = async (conversationId, seq) => {
    arrived.set(conversationId, Math.max(seq, arrived.get(conversationId) ?? 0));
    if (noting) return;
    noting = true;
    while (arrived.size > 0) {
      const [id, upTo] = arrived.entries().next().value;
      arrived.delete(id);
      const { rows: [it] } = await pool.query({ ...RECEIPT, values: [id, user, upTo] }).catch(() => ({ rows: [] }));
      if (it) chat.to(id).emit("message:delivered", { conversationId: id, readerId: user, seq: upTo, rev: it.rev });
    }
    noting = false;
  };
});

await pool.query("SELECT 1");
http.listen({ port: Number(PORT), host: "127.0.0.1", backlog: 8192 }, () => console.log("ready"));
