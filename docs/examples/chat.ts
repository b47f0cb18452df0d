// A client of chat that misses nothing: it comes back by itself, catches up, and says again what was not answered.
// The types are those of /asyncapi.json.
import { io, type Socket } from "socket.io-client";

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
interface Receipt extends About { readerId: string; seq: number; rev: number }
interface Refusal { ok: false; code: string; detail: string; errors?: { pointer: string; code: string; detail: string }[] }
type Answer<T> = ({ ok: true } & T) | Refusal;
type Ack<T> = (answer: Answer<T>) => void;
interface Excerpt { items: Message[]; rev: number; hasMore: boolean; closesAt: string }

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
  "message:delivered": (receipt: Receipt) => void;
  "message:read": (receipt: Receipt) => void;
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

export class Conversation {
  readonly socket: Socket<Tells, Takes>;
  /** In no order; sort by `seq` to show them. */
  readonly messages = new Map<string, Message>();
  /** Everything up to here is known. */
  private rev = 0;
  private synced = false;
  /** Everything up to this message is said to have arrived. */
  private arrived = 0;
  private timer?: ReturnType<typeof setTimeout>;

  /**
   * `freshToken` gives a token that was just made (`POST /auth/refresh`), and fails only where nobody is signed in any more:
   * then the conversation stays closed. `changed` is called whenever there is something new to show.
   */
  constructor(
    server: string, private readonly id: string, private readonly freshToken: () => Promise<string>,
    private readonly changed = () => {},
  ) {
    this.socket = io(`${server}/chat`, { auth: (give) => void freshToken().then((token) => {
      this.shown(token);
      give({ token });
    }, () => this.close()) });
    this.socket.on("connect", () => void this.catchUp());
    this.socket.on("disconnect", (reason) => {
      this.synced = false;
      clearTimeout(this.timer);
      // the client comes back by itself from everything but this
      if (reason === "io server disconnect") this.later(1, () => this.socket.connect());
    });
    this.socket.on("connect_error", ({ message }) => {
      // refused at the door: what passes is tried again, the end of a session is not
      if (!this.socket.active && !["unauthenticated", "forbidden"].includes(message)) this.later(5, () => this.socket.connect());
    });
    this.socket.on("message:new", (message, arrived) => { this.take(message); arrived?.({}); });
    this.socket.on("message:edited", (message) => this.take(message));
    this.socket.on("message:deleted", (message) => this.take(message));
  }

  /** Sends a message, again and again under the same name until it is answered. */
  async send(body: string): Promise<Message> {
    const message = { conversationId: this.id, clientId: crypto.randomUUID(), body };
    for (;;) {
      const answer = await this.socket.timeout(PATIENCE).emitWithAck("message:send", message).catch(() => undefined);
      if (answer?.ok) return answer.message;
      if (answer && answer.code !== "too_many_requests" && answer.code !== "unavailable") throw new Refused(answer);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  close(): void {
    clearTimeout(this.timer);
    this.socket.disconnect();
  }

  private later(seconds: number, what: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(what, Math.max(1, seconds) * 1000);
  }

  /** A minute before a token runs out, a newer one is shown. */
  private shown(token: string): void {
    const left = secondsLeft(token);
    this.later(left - Math.min(60, left / 2), () => void this.renew());
  }

  private async renew(): Promise<void> {
    try {
      const token = await this.freshToken();
      const answer = await this.socket.timeout(PATIENCE).emitWithAck("auth:refresh", { token });
      if (answer.ok) return this.shown(token);
    } catch {
      // once more, below
    }
    if (this.socket.connected) this.later(5, () => void this.renew()); // else it shows one when it comes back
  }

  /** Joins, and then reads what changed meanwhile: what is told live begins where the join was answered. */
  private async catchUp(): Promise<void> {
    const about = { conversationId: this.id };
    const connection = this.socket.id;
    try {
      check<Excerpt>(await this.socket.timeout(PATIENCE).emitWithAck("conversation:join", about));
      for (let more = true; more;) {
        const news = check<Excerpt>(await this.socket.timeout(PATIENCE).emitWithAck("sync", { ...about, afterRev: this.rev }));
        news.items.forEach((message) => this.take(message));
        this.rev = Math.max(this.rev, news.rev);
        more = news.hasMore;
      }
      this.synced = connection === this.socket.id;
      // what is told live is acknowledged as it comes; what was read here, so
      const seq = Math.max(0, ...[...this.messages.values()].map((message) => message.seq));
      if (seq > this.arrived) {
        check(await this.socket.timeout(PATIENCE).emitWithAck("message:read", { ...about, seq, state: "delivered" }));
        this.arrived = seq;
      }
    } catch (error) {
      // not there yet: another connection tries again. What is refused for good is not worth one
      const passes = !(error instanceof Refused) || ["unavailable", "too_many_requests"].includes(error.code);
      if (!passes) this.close();
      else this.socket.io.engine.close();
    }
  }

  private take(message: Message): void {
    const known = this.messages.get(message.id);
    if (!known || known.rev < message.rev) this.messages.set(message.id, message);
    if (this.synced) this.rev = Math.max(this.rev, message.rev);
    this.changed();
  }
}

/** Until when a token counts, in seconds from now: by its own length where the clock of this machine is wrong. */
function secondsLeft(token: string): number {
  const part = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const { iat, exp } = JSON.parse(atob(part)) as { iat: number; exp: number };
  return Math.min(exp - Date.now() / 1000, exp - iat);
}

function check<T extends object>(answer: Answer<T>): { ok: true } & T {
  if (!answer.ok) throw new Refused(answer);
  return answer;
}
