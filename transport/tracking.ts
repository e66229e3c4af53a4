/**
 * Message tracking: one JSON line an event, with Exchange's event names and ids, so that a message's path can be replayed.
 *
 * Written in batches (at most 100 ms late) to tracking/YYYY-MM-DD.jsonl of the state folder; kept 30 days.
 * A trace is no journal: a crash may lose the last batch, never a message.
 *
 * @module
 */
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { formatAddress, formatPath } from "../mail/address.ts";
import { headerValues } from "../mail/header.ts";
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
    messageId: headerValues(message.header, "Message-ID")[0] ?? "",
    sender: formatPath(message.envelope.sender),
    recipients: message.envelope.recipients.map((recipient) => formatAddress(recipient.address)),
  };
}

const RETENTION_DAYS = 30;
const FLUSH_MS = 100;

/** Opens the tracking log below `stateDirectory`. */
export async function openTracking(stateDirectory: string, clock: Clock): Promise<Tracking> {
  const folder = join(stateDirectory, "tracking");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let day = "";
  let stream: WriteStream | undefined;
  let lines: string[] = [];
  let timer: NodeJS.Timeout | undefined;

  const flush = () => {
    timer = undefined;
    if (lines.length === 0) return;
    const today = new Date(clock.now()).toISOString().slice(0, 10);
    if (today !== day) {
      stream?.end();
      stream = createWriteStream(join(folder, `${today}.jsonl`), { flags: "a", mode: 0o600 });
      // A full disk must not stop mail: the trace is what gives way.
      stream.on("error", () => {});
      day = today;
      void removeOld(folder, clock.now());
    }
    stream?.write(lines.join(""));
    lines = [];
  };
  return {
    track(event) {
      lines.push(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), ...event })}\n`);
      timer ??= setTimeout(flush, FLUSH_MS);
    },
    close() {
      clearTimeout(timer);
      flush();
      return new Promise((resolve) => (stream === undefined ? resolve() : stream.end(() => resolve())));
    },
  };
}

async function removeOld(folder: string, now: number): Promise<void> {
  const oldest = new Date(now - RETENTION_DAYS * 864e5).toISOString().slice(0, 10);
  for (const name of await readdir(folder).catch(() => [])) {
    if (/^\d{4}-\d\d-\d\d\.jsonl$/.test(name) && name.slice(0, 10) < oldest)
      await rm(join(folder, name), { force: true });
  }
}
