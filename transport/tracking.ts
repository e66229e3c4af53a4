/**
 * Message tracking: one JSON line an event, with Exchange's event names and ids, so that a message's path can be replayed.
 *
 * Written in batches (at most 100 ms late) to tracking/YYYY-MM-DD.jsonl of the state folder; kept 30 days.
 * A trace is no journal: a crash may lose the last batch, never a message.
 *
 * @module
 */
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { createIsoTime } from "../lib/iso-time.ts";
import { Lines } from "../lib/lines.ts";
import { formatAddress, formatPath } from "../mail/address.ts";
import { fieldValue } from "../mail/header.ts";
import type { Message } from "../mail/message.ts";
import { createFormat } from "./tracking-text.ts";

/** Exchange's event ids that this transport knows. */
export type TrackingEventId =
  | "RECEIVE"
  | "SUBMIT"
  | "RESOLVE"
  | "EXPAND"
  | "REDIRECT"
  | "TRANSFER"
  | "SEND"
  | "DELIVER"
  | "DEFER"
  | "FAIL"
  | "DROP"
  | "DSN"
  | "AGENTINFO"
  | "RESUBMIT"
  | "SUPPRESSED"
  | "POISONMESSAGE";

/** The fields every event of a message has. */
export interface MessageFacts {
  readonly id: string;
  readonly networkMessageId: string;
  /** Message-ID field. */
  readonly messageId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** What happened. */
export interface TrackingStep {
  readonly event: TrackingEventId;
  /** SMTP, ROUTING, AGENT, DSN, QUEUE, ADMIN. */
  readonly source: "SMTP" | "ROUTING" | "AGENT" | "DSN" | "QUEUE" | "ADMIN";
  /** Anything else that explains the event: connector, client, nextHop, status, text, rule, reference ... */
  readonly [detail: string]: unknown;
}

/** One line: the message's fields, then those of the step. */
export interface TrackingEvent {
  readonly of: MessageFacts;
  /** Whom the event is about, where those are not the message's recipients. */
  readonly recipients?: readonly string[] | undefined;
  readonly step: TrackingStep;
  /** Further fields of the step, as JSON without its braces: of what is formatted more cheaply than it is listed. */
  readonly more?: string;
}

export interface Tracking {
  track(event: TrackingEvent): void;
  close(): Promise<void>;
}

/** The message asked about last: its events come one after the other. */
let latest: { readonly message: Message; readonly facts: MessageFacts } | undefined;

/** The fields every event of a message has. */
export function ofMessage(message: Message): MessageFacts {
  if (latest?.message === message) return latest.facts;
  const facts = {
    id: message.id,
    networkMessageId: message.networkMessageId,
    messageId: messageIdOf(message.header),
    sender: formatPath(message.envelope.sender),
    recipients: message.envelope.recipients.map((recipient) => formatAddress(recipient.address)),
  };
  latest = { message, facts };
  return facts;
}

/** The first Message-ID field; asked for at every event, so by length first. */
function messageIdOf(header: Message["header"]): string {
  const field = header.find(({ name }) => name.length === 10 && name.toLowerCase() === "message-id");
  return field === undefined ? "" : fieldValue(field);
}

const RETENTION_DAYS = 30;
const FLUSH_MS = 100;
/** Octets that may wait for a disk that hangs; further events are not traced. */
const MAX_WAITING = 64 * 1024 * 1024;
const LINE_END = Buffer.from("\n");

/** Opens the tracking log below `stateDirectory`. */
export async function openTracking(stateDirectory: string, clock: Clock): Promise<Tracking> {
  const folder = join(stateDirectory, "tracking");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let day = "";
  const lines = new Lines();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let isTorn = false;
  const timeOf = createIsoTime();
  const format = createFormat();

  const write = async (octets: Buffer) => {
    const today = new Date(clock.now()).toISOString().slice(0, 10);
    // What a full disk took half of must not spoil the next line.
    isTorn = !(await append(folder, `${today}.jsonl`, isTorn ? Buffer.concat([LINE_END, octets]) : octets));
    if (today === day) return;
    day = today;
    await removeOld(folder, clock.now());
  };
  const flush = () => {
    timer = undefined;
    writing = writing.then(async () => {
      if (lines.length === 0) return;
      const octets = lines.take();
      await write(octets);
      lines.giveBack(octets);
    });
    return writing;
  };
  return {
    track(event) {
      if (lines.length >= MAX_WAITING) return;
      lines.add(`{"time":"${timeOf(clock.now())}",${format(event)}}\n`);
      timer ??= setTimeout(() => void flush(), FLUSH_MS);
    },
    close() {
      clearTimeout(timer);
      return flush();
    },
  };
}

/** Opened anew each time, so that a folder or file that somebody removed is there again. False: not written whole. */
async function append(folder: string, name: string, octets: Buffer): Promise<boolean> {
  const path = join(folder, name);
  try {
    return await appendAtOnce(path, octets).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return await appendAtOnce(path, octets);
    });
  } catch {
    // A full disk must not stop mail: the trace is what gives way.
    return false;
  }
}

/** One write(2), which puts it behind all others whole: workers write to the same file. (appendFile makes pieces of it.) */
async function appendAtOnce(path: string, octets: Buffer): Promise<boolean> {
  const file = await open(path, "a", 0o600);
  try {
    return (await file.write(octets)).bytesWritten === octets.length;
  } finally {
    await file.close();
  }
}

async function removeOld(folder: string, now: number): Promise<void> {
  const oldest = new Date(now - RETENTION_DAYS * 864e5).toISOString().slice(0, 10);
  for (const name of await readdir(folder).catch(() => [])) {
    if (/^\d{4}-\d\d-\d\d\.jsonl$/.test(name) && name.slice(0, 10) < oldest)
      await rm(join(folder, name), { force: true }).catch(() => {});
  }
}
