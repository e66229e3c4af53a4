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
import { formatAddress, formatPath } from "../mail/address.ts";
import { fieldValue } from "../mail/header.ts";
import type { Message } from "../mail/message.ts";

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

export interface TrackingEvent {
  readonly event: TrackingEventId;
  /** SMTP, ROUTING, AGENT, DSN, QUEUE, ADMIN. */
  readonly source: "SMTP" | "ROUTING" | "AGENT" | "DSN" | "QUEUE" | "ADMIN";
  readonly id: string;
  readonly networkMessageId: string;
  /** Message-ID field. */
  readonly messageId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Anything else that explains the event: connector, client, nextHop, status, text, rule, reference ... */
  readonly [detail: string]: unknown;
}

export interface Tracking {
  track(event: TrackingEvent): void;
  close(): Promise<void>;
}

/** The fields every event of a message has. */
export function ofMessage(message: Message) {
  return {
    id: message.id,
    networkMessageId: message.networkMessageId,
    messageId: messageIdOf(message.header),
    sender: formatPath(message.envelope.sender),
    recipients: message.envelope.recipients.map((recipient) => formatAddress(recipient.address)),
  };
}

/** The first Message-ID field; asked for at every event, so by length first. */
function messageIdOf(header: Message["header"]): string {
  const field = header.find(({ name }) => name.length === 10 && name.toLowerCase() === "message-id");
  return field === undefined ? "" : fieldValue(field);
}

const RETENTION_DAYS = 30;
const FLUSH_MS = 100;
/** Events that may wait for a disk that hangs; further ones are not traced. */
const MAX_WAITING = 100_000;

/** Opens the tracking log below `stateDirectory`. */
export async function openTracking(stateDirectory: string, clock: Clock): Promise<Tracking> {
  const folder = join(stateDirectory, "tracking");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let day = "";
  let lines: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let isTorn = false;
  const timeOf = createIsoTime();

  const write = async (text: string) => {
    const today = new Date(clock.now()).toISOString().slice(0, 10);
    // What a full disk took half of must not spoil the next line.
    isTorn = !(await append(folder, `${today}.jsonl`, isTorn ? `\n${text}` : text));
    if (today === day) return;
    day = today;
    await removeOld(folder, clock.now());
  };
  const flush = () => {
    timer = undefined;
    writing = writing.then(async () => {
      const text = lines.join("");
      lines = [];
      if (text !== "") await write(text);
    });
    return writing;
  };
  return {
    track(event) {
      if (lines.length >= MAX_WAITING) return;
      lines.push(`{"time":"${timeOf(clock.now())}",${JSON.stringify(event).slice(1)}\n`);
      timer ??= setTimeout(() => void flush(), FLUSH_MS);
    },
    close() {
      clearTimeout(timer);
      return flush();
    },
  };
}

/** Opened anew each time, so that a folder or file that somebody removed is there again. False: not written whole. */
async function append(folder: string, name: string, text: string): Promise<boolean> {
  const path = join(folder, name);
  try {
    return await appendAtOnce(path, text).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return await appendAtOnce(path, text);
    });
  } catch {
    // A full disk must not stop mail: the trace is what gives way.
    return false;
  }
}

/** One write(2), which puts it behind all others whole: workers write to the same file. (appendFile makes pieces of it.) */
async function appendAtOnce(path: string, text: string): Promise<boolean> {
  const octets = Buffer.from(text);
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
