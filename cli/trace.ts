/** `postroom trace`: replays a message's path from the tracking log. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { systemClock } from "../lib/clock.ts";
import { readTrackingLine, type TrackingRecord } from "../lib/tracking-line.ts";
import { type OutputFormat, printRows } from "./table.ts";
import { UsageError } from "./usage.ts";

interface TraceOptions {
  readonly state: string;
  readonly messageId?: string;
  readonly sender?: string;
  readonly recipient?: string;
  readonly since?: string;
  readonly output: OutputFormat;
}

export function addTrace(program: Command): void {
  program
    .command("trace")
    .description("Show what happened to messages: every event, in order")
    .option("--state <dir>", "state folder of the transport", ".state/contoso")
    .option("--message-id <id>", "Message-ID, internal id or network message id")
    .option("--sender <address>", "envelope sender")
    .option("--recipient <address>", "recipient, as given or as resolved")
    .option("--since <time>", "RFC 3339 time, or an age such as 15m, 2h, 1d")
    .addOption(
      new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"),
    )
    .action(trace);
}

async function trace(options: TraceOptions): Promise<void> {
  const since = options.since === undefined ? "" : sinceTime(options.since, systemClock.now());
  const events = (await readEvents(options.state, since)).filter((event) => event.time >= since);
  const wanted = new Set(
    events.filter((event) => matches(event, options)).map((event) => event.networkMessageId),
  );
  // A DSN is a message of its own, that refers to the one it speaks of.
  const ids = new Set(events.filter((event) => wanted.has(event.networkMessageId)).map(({ id }) => id));
  for (const { reference, networkMessageId } of events)
    if (typeof reference === "string" && ids.has(reference)) wanted.add(networkMessageId);
  const found = events.filter((event) => wanted.has(event.networkMessageId));
  if (found.length === 0) process.exitCode = 1;
  printRows(options.output === "json" ? found : found.map(asRow), options.output);
}

/** RFC 3339 time, or now minus an age. Throws on anything else. */
export function sinceTime(text: string, now: number): string {
  const age = /^(\d+)(s|m|h|d)$/.exec(text);
  const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[age?.[2] ?? ""];
  if (age !== null && unit !== undefined) return new Date(now - Number(age[1]) * unit).toISOString();
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new UsageError(`Cannot read --since "${text}": use 2026-01-31T08:00:00Z or an age such as 2h`);
  return new Date(time).toISOString();
}

function matches(event: TrackingRecord, { messageId, sender, recipient }: TraceOptions): boolean {
  const same = (a: unknown, b: string) => String(a).toLowerCase() === b.toLowerCase();
  if (messageId !== undefined) {
    const ids = [event.id, event.networkMessageId, event.messageId];
    if (!ids.some((id) => same(id, messageId) || same(id, `<${messageId}>`))) return false;
  }
  if (sender !== undefined && !same(event.sender, sender)) return false;
  if (recipient === undefined) return true;
  return [...event.recipients, event.from].some((address) => same(address, recipient));
}

async function readEvents(state: string, since: string): Promise<TrackingRecord[]> {
  const folder = join(state, "tracking");
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".jsonl")).sort();
  if (names.length === 0)
    throw new Error(`No tracking log in "${folder}": is --state the transport's state folder?`);
  const texts = await Promise.all(
    names
      .filter((name) => name.slice(0, 10) >= since.slice(0, 10))
      .map((name) => readFile(join(folder, name), "utf8")),
  );
  return texts.flatMap((text) => text.split("\n").flatMap(readTrackingLine));
}

const SHOWN = [
  "connector",
  "client",
  "user",
  "queue",
  "nextHop",
  "server",
  "rule",
  "outcome",
  "actions",
  "agent",
  "verdict",
  "from",
  "kind",
  "about",
  "status",
  "text",
  "reason",
];

function asRow(event: TrackingRecord): Readonly<Record<string, unknown>> {
  const detail = SHOWN.filter((key) => event[key] !== undefined && event[key] !== "").map(
    (key) => `${key}=${event[key]}`,
  );
  const { time, id, sender, recipients } = event as Readonly<Record<string, unknown>>;
  return {
    time: String(time).slice(0, 23),
    event: event.event,
    id,
    sender: sender || "<>",
    recipients,
    detail: detail.join(" "),
  };
}
