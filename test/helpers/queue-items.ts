/** Builders for queue tests: items with few words, a clock that moves by hand, a log that remembers. */

import type { Clock } from "../../lib/clock.ts";
import type { Message, Priority } from "../../mail/message.ts";
import { nextHop } from "../../mail/next-hop.ts";
import type { QueueItem, QueueKind } from "../../transport/queue/store.ts";

export const T0 = Date.UTC(2026, 0, 1);

let made = 0;

export interface ItemWords {
  readonly id?: string;
  readonly queue?: QueueKind;
  /** Domain of the next hop; makes it a Delivery item. */
  readonly to?: string;
  readonly priority?: Priority;
  readonly body?: Message["body"] | string;
  readonly subject?: string;
  readonly sender?: string | null;
  readonly recipients?: readonly string[];
  readonly networkMessageId?: string;
  readonly receivedAt?: number;
}

/** An item due at T0, or as the words say. */
export function queueItem(
  words: ItemWords & Partial<Omit<QueueItem, "message" | "nextHop" | "queue">> = {},
): QueueItem {
  const {
    id = newId(),
    queue,
    to,
    priority = "Normal",
    subject = "Hello",
    receivedAt = T0,
    ...state
  } = words;
  const { body = "Hello\r\n", sender = "ann@contoso.example", recipients = ["bob@fabrikam.example"] } = words;
  const bytes = Buffer.from(typeof body === "string" ? body : "", "latin1");
  const message: Message = {
    id,
    networkMessageId: words.networkMessageId ?? `network-${id}`,
    envelope: {
      sender: sender === null ? null : address(sender),
      recipients: recipients.map((each) => ({ address: address(each), original: address(each) })),
      bodyType: "8BITMIME",
      smtpUtf8: false,
      requireTls: false,
    },
    origin: {
      receivedAt,
      clientAddress: "192.0.2.1",
      helo: "client.example",
      connector: "default/internet",
      internal: false,
    },
    header: [
      { name: "Received", raw: "Received: from client.example\r\n\tby mx.contoso.example;\r\n" },
      { name: "Subject", raw: `Subject: ${subject}\r\n` },
    ],
    body: typeof body === "string" ? { kind: "inline", bytes, size: bytes.length } : body,
    priority,
    stamps: { SCL: "1" },
  };
  return {
    message,
    queue: queue ?? (to === undefined ? "Submission" : "Delivery"),
    nextHop: to === undefined ? undefined : nextHop("default/internet", to, false),
    status: state.status ?? "Ready",
    dueAt: state.dueAt ?? T0,
    expiresAt: state.expiresAt ?? T0 + 172_800_000,
    attempts: state.attempts ?? 0,
    delayNotified: state.delayNotified ?? false,
    lastError: state.lastError,
    crashes: state.crashes ?? 0,
  };
}

/** Ids of items, in order. */
export function idsOf(items: readonly QueueItem[]): string[] {
  return items.map(({ message }) => message.id);
}

export interface HandClock extends Clock {
  /** Moves time on and wakes whoever waited for it. */
  advance(ms: number): void;
  /** How many are asleep. */
  sleepers(): number;
}

export function handClock(start = T0): HandClock {
  let now = start;
  const sleeping = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: now + ms, wake: resolve };
        sleeping.add(sleeper);
        signal?.addEventListener("abort", () => {
          sleeping.delete(sleeper);
          reject(signal.reason);
        });
      }),
    advance(ms) {
      now += ms;
      for (const sleeper of [...sleeping]) {
        if (sleeper.at > now) continue;
        sleeping.delete(sleeper);
        sleeper.wake();
      }
    },
    sleepers: () => sleeping.size,
  };
}

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** A log that remembers its lines. */
export function memoryLog() {
  const lines: LogLine[] = [];
  const at = (level: LogLine["level"]) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as Record<string, unknown>, message });
  };
  return { lines, info: at("info"), warn: at("warn"), error: at("error") };
}

/** All octets of a body. */
export async function collect(octets: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of octets) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function newId(): string {
  return `M${String(++made).padStart(9, "0")}`;
}

function address(text: string) {
  const at = text.lastIndexOf("@");
  return { localPart: text.slice(0, at), domain: text.slice(at + 1) };
}
