// A client of chat that misses nothing: it comes back by itself, catches up, and says again what was not answered.
// The types are those of /asyncapi.json.
import { io, type Socket } from "socket.io-client";
import { pauseAfter, stay } from "./session.js";

/** Fetched over HTTP, with a token. */
export interface Attachment {
  id: string;
  name: string;
  mediaType: string;
  sizeBytes: number;
  url: string;
}

export interface Message {
  id: string;
  conversationId: string;
  /** As the sender's client made it. */
  clientId: string;
  /** Its place in the conversation: 1 is the first. */
  seq: number;
  /** The revision of its last change. */
  rev: number;
  senderId: string;
  content: "text" | "deleted" | "erased" | "unreadable";
  body?: string;
  attachments: Attachment[];
  createdAt: string;
  editedAt?: string;
  deletedAt?: string;
}

interface About { conversationId: string }
interface News extends About { readerId: string; seq: number; rev: number }
/** How far somebody has got. */
export interface Receipt { readerId: string; deliveredSeq: number; readSeq: number }
interface Refusal { ok: false; code: string; detail: string; errors?: { pointer: string; code: string; detail: string }[] }
type Answer<T> = ({ ok: true } & T) | Refusal;
type Ack<T> = (answer: Answer<T>) => void;
interface Excerpt { items: Message[]; receipts: Receipt[]; rev: number; hasMore: boolean; closesAt: string }

interface Takes {
  "conversation:join": (about: About, ack: Ack<Excerpt>) => void;
  "conversation:leave": (about: About, ack: Ack<object>) => void;
  "message:send": (message: About & { clientId: string; body: string; attachmentIds?: string[] }, ack: Ack<{ message: Message }>) => void;
  "message:edit": (message: { id: string; body: string }, ack: Ack<{ message: Message }>) => void;
  "message:delete": (message: { id: string }, ack: Ack<{ message: Message }>) => void;
  "message:read": (upTo: About & { seq: number; state?: "delivered" | "read" }, ack: Ack<{ deliveredSeq: number; readSeq: number; rev: number }>) => void;
  "typing:start": (about: About, ack: Ack<object>) => void;
  "typing:stop": (about: About, ack: Ack<object>) => void;
  "sync": (after: About & { afterRev: number; limit?: number }, ack: Ack<Excerpt>) => void;
  "auth:refresh": (renewal: { token: string }, ack: Ack<{ expiresAt: string }>) => void;
}

interface Tells {
  "message:new": (message: Message, arrived?: (nothing: object) => void) => void;
  "message:edited": (message: Message) => void;
  "message:deleted": (message: Message) => void;
  "message:delivered": (news: News) => void;
  "message:read": (news: News) => void;
  "typing": (news: About & { userId: string; typing: boolean }) => void;
  "presence": (news: About & { userId: string; online: boolean }) => void;
  "conversation:closed": (news: About & { closedAt: string }) => void;
}

export class Refused extends Error {
  readonly code: string;
  constructor({ code, detail }: Refusal) {
    super(detail);
    this.code = code;
  }
}

const PATIENCE = 10_000;
/** What is refused so is refused for good, and the conversation with it. */
const FOR_GOOD = ["not_found", "forbidden", "unauthenticated"];
/** A message that is refused so is said again: the server cannot now, or does not yet. */
const PASSES = ["unavailable", "internal", "maintenance", "too_many_requests", "token_expired"];

const pause = (failures: number) => new Promise((resolve) => setTimeout(resolve, pauseAfter(failures)));

export class Conversation {
  readonly socket: Socket<Tells, Takes>;
  /** In no order; sort by `seq` to show them. */
  readonly messages = new Map<string, Message>();
  /** How far either has got, by their ids: what has arrived, and what was read. */
  readonly receipts = new Map<string, Receipt>();
  /** Nobody is signed in any more, or may read it. */
  isClosed = false;
  /** Everything up to here is known. */
  private rev = 0;
  /** Nothing is missing that was said so far. */
  synced = false;
  /** Everything up to this message is said to have arrived. */
  private arrived = 0;
  private readonly leave: () => void;

  /**
   * `freshToken` is that of the page, which all its sockets share: `tokens(server)`. `changed` is called whenever there is
   * something new to show.
   */
  constructor(
    server: string, private readonly id: string, freshToken: () => Promise<string>, private readonly changed = () => {},
  ) {
    this.socket = io(`${server}/chat`);
    this.leave = stay(this.socket, freshToken, () => this.close());
    this.socket.on("connect", () => void this.catchUp());
    this.socket.on("disconnect", () => { this.synced = false; });
    this.socket.on("message:new", (message, arrived) => { this.take(message); arrived?.({}); });
    this.socket.on("message:edited", (message) => this.take(message));
    this.socket.on("message:deleted", (message) => this.take(message));
    this.socket.on("message:delivered", ({ readerId, seq }) => this.note({ readerId, deliveredSeq: seq, readSeq: 0 }));
    this.socket.on("message:read", ({ readerId, seq }) => this.note({ readerId, deliveredSeq: seq, readSeq: seq }));
  }

  /** Sends a message, again and again under the same name until it is answered. */
  async send(body: string): Promise<Message> {
    const message = { conversationId: this.id, clientId: crypto.randomUUID(), body };
    for (let failures = 0; !this.isClosed; failures += 1) {
      const answer = await this.socket.timeout(PATIENCE).emitWithAck("message:send", message).catch(() => undefined);
      if (answer?.ok) return answer.message;
      if (answer && !PASSES.includes(answer.code)) throw new Refused(answer);
      await pause(Math.min(failures, 3));
    }
    throw new Refused({ ok: false, code: "unauthenticated", detail: "The conversation was closed before this was sent." });
  }

  /** Says that everything up to a message was seen: the other one is shown so, and it is unread no more on any device. */
  async read(seq: number): Promise<void> {
    check(await this.socket.timeout(PATIENCE).emitWithAck("message:read", { conversationId: this.id, seq }));
  }

  close(): void {
    this.isClosed = true;
    this.leave();
    this.changed();
  }

  /** Until it is done, as long as the connection lasts: another one begins anew. */
  private async catchUp(): Promise<void> {
    const connection = this.socket.id;
    const isCurrent = () => this.socket.connected && this.socket.id === connection;
    for (let failures = 0; isCurrent(); failures += 1) {
      try {
        if (!this.synced) await this.sync(isCurrent);
        return await this.sayArrived();
      } catch (error) {
        if (error instanceof Refused && FOR_GOOD.includes(error.code)) return this.close();
        await pause(failures);
      }
    }
  }

  /** Joins, and then reads what changed meanwhile: what is told live begins where the join was answered. */
  private async sync(isCurrent: () => boolean): Promise<void> {
    const about = { conversationId: this.id };
    check<Excerpt>(await this.socket.timeout(PATIENCE).emitWithAck("conversation:join", about));
    for (let more = true; more;) {
      const news = check<Excerpt>(await this.socket.timeout(PATIENCE).emitWithAck("sync", { ...about, afterRev: this.rev }));
      news.items.forEach((message) => this.take(message));
      news.receipts.forEach((receipt) => this.note(receipt));
      this.rev = Math.max(this.rev, news.rev);
      more = news.hasMore;
    }
    this.synced = isCurrent();
    this.changed();
  }

  /** What is told live is acknowledged as it comes; what was read by `sync`, so. */
  private async sayArrived(): Promise<void> {
    const seq = Math.max(0, ...[...this.messages.values()].map((message) => message.seq));
    if (seq <= this.arrived) return;
    const upTo = { conversationId: this.id, seq, state: "delivered" as const };
    check(await this.socket.timeout(PATIENCE).emitWithAck("message:read", upTo));
    this.arrived = seq;
  }

  private note({ readerId, deliveredSeq, readSeq }: Receipt): void {
    const known = this.receipts.get(readerId);
    this.receipts.set(readerId, {
      readerId,
      deliveredSeq: Math.max(known?.deliveredSeq ?? 0, deliveredSeq),
      readSeq: Math.max(known?.readSeq ?? 0, readSeq),
    });
    this.changed();
  }

  private take(message: Message): void {
    const known = this.messages.get(message.id);
    if (!known || known.rev < message.rev) this.messages.set(message.id, message);
    if (this.synced) this.rev = Math.max(this.rev, message.rev);
    this.changed();
  }
}

function check<T extends object>(answer: Answer<T>): { ok: true } & T {
  if (!answer.ok) throw new Refused(answer);
  return answer;
}
