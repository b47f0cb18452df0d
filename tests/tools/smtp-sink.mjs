// An SMTP server that keeps what it takes: one folder for each sender, one JSON file for each mail.
// usage: node smtp-sink.mjs FOLDER        prints its port, ends with its standard input
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";

const folder = process.argv[2];
let count = 0;

const server = new SMTPServer({
  disabledCommands: ["AUTH", "STARTTLS"],
  logger: false,
  onRcptTo({ address }, _session, done) {
    if (address.startsWith("refused")) {
      done(Object.assign(new Error("no such mailbox"), { responseCode: 550 }));
    } else if (address.startsWith("busy")) {
      done(Object.assign(new Error("try again later"), { responseCode: 451 }));
    } else {
      done();
    }
  },
  onData(stream, session, done) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", async () => {
      const mail = await PostalMime.parse(Buffer.concat(pieces), { attachmentEncoding: "utf8" });
      const sender = session.envelope.mailFrom.address.replace(/[^a-z0-9@.-]/gi, "_");
      const kept = {
        from: mail.from?.address,
        fromName: mail.from?.name,
        to: session.envelope.rcptTo.map((to) => to.address),
        subject: mail.subject,
        text: mail.text ?? null,
        html: mail.html ?? null,
        messageId: mail.messageId,
        headers: Object.fromEntries(mail.headers.map(({ key, value }) => [key, value])),
        attachments: mail.attachments.map((part) => ({
          type: part.mimeType,
          method: part.method ?? null,
          name: part.filename,
          content: part.content,
        })),
      };
      const into = join(folder, sender);
      mkdirSync(into, { recursive: true });
      const name = String(count++).padStart(8, "0");
      writeFileSync(join(into, `.${name}`), JSON.stringify(kept));
      renameSync(join(into, `.${name}`), join(into, `${name}.json`));
      done();
    });
  },
});
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.server.address().port));
process.stdin.resume().on("end", () => process.exit(0));
