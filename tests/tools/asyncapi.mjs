// Reads an AsyncAPI document from standard input, has the official parser look at it, and prints what it finds:
// {errors: […], others: […], events: {namespace: {takes: […], tells: […]}}}.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const said = diagnostics.map((it) => ({ severity: it.severity, said: `${it.code} ${it.path.join("/")}: ${it.message}` }));
const events = {};
for (const operation of document?.operations().all() ?? []) {
  const [channel] = operation.channels().all();
  const space = (events[channel.address()] ??= { takes: [], tells: [] });
  const side = operation.action() === "receive" ? space.takes : space.tells;
  side.push(...operation.messages().all().map((message) => message.name()));
}
process.stdout.write(JSON.stringify({
  errors: said.filter((it) => it.severity === 0).map((it) => it.said),
  others: said.filter((it) => it.severity !== 0).map((it) => it.said),
  events,
}));
