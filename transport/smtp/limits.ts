/**
 * Limits: how many sessions at once, how many messages a minute, how much slower under pressure.
 *
 * No sockets and no clock here: callers say what time it is.
 *
 * @module
 */
import { parseIp } from "../../mail/ip-range.ts";
import { type Reply, reply } from "../../mail/reply.ts";

/** Keys that a rate remembers at most; those longest unused are forgotten first. */
const MAX_KEYS = 100_000;
const MINUTE = 60_000;

export const tooManySessions = reply(421, "4.3.2", "Too many concurrent connections, try again later");
export const tooManyFromSource = reply(421, "4.7.0", "Too many concurrent connections from this source");
export const rateExceeded = reply(
  421,
  "4.4.2",
  "Message submission rate for this client has exceeded the configured limit",
);
export const tooManyMessages = reply(421, "4.7.0", "Too many messages on this connection, open another one");
export const insufficientResources = reply(452, "4.3.1", "Insufficient system resources");

export interface SessionLimits {
  readonly connector: string;
  readonly maxInboundConnection: number;
  readonly maxInboundConnectionPerSource: number;
}

/** Sessions by connector, and by connector and client. */
export class SessionCounts {
  readonly #byConnector = new Map<string, number>();
  readonly #bySource = new Map<string, number>();

  /** Counts one more session, or says why it may not be. Each counted session is released once. */
  admit(limits: SessionLimits, clientAddress: string): Reply | { release(): void } {
    const { connector, maxInboundConnection, maxInboundConnectionPerSource } = limits;
    const source = `${connector}|${sourceOf(clientAddress)}`;
    if ((this.#byConnector.get(connector) ?? 0) >= maxInboundConnection) return tooManySessions;
    if ((this.#bySource.get(source) ?? 0) >= maxInboundConnectionPerSource) return tooManyFromSource;
    add(this.#byConnector, connector, 1);
    add(this.#bySource, source, 1);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        add(this.#byConnector, connector, -1);
        add(this.#bySource, source, -1);
      },
    };
  }

  byConnector(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#byConnector);
  }
}

/**
 * Events a minute by key, over a sliding window: the last whole minute weighs in by the part of it
 * that the window still covers. Two numbers a key, and nobody gets twice the limit at a minute's turn.
 */
export class MessageRate {
  // Two generations: when the younger is full it becomes the older, and the older is dropped as a whole.
  // (A Map that loses its first key again and again scans ever more of what it lost.)
  #young = new Map<string, Window>();
  #old = new Map<string, Window>();
  readonly #generation: number;

  constructor(maxKeys = MAX_KEYS) {
    this.#generation = Math.ceil(maxKeys / 2);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Counts the event when it is within the limit; false: it is not, and is not counted. */
  admit(key: string, limit: number, nowMs: number): boolean {
    const minute = Math.floor(nowMs / MINUTE);
    const window = turn(this.#young.get(key) ?? this.#old.get(key), minute);
    const covered = 1 - (nowMs - minute * MINUTE) / MINUTE;
    const admitted = window.before * covered + window.now + 1 <= limit;
    this.#remember(key, admitted ? { ...window, now: window.now + 1 } : window);
    return admitted;
  }

  #remember(key: string, window: Window): void {
    this.#old.delete(key);
    this.#young.set(key, window);
    if (this.#young.size < this.#generation) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}

/** Events of one key in a minute and in the one before it. */
interface Window {
  readonly minute: number;
  readonly before: number;
  readonly now: number;
}

/** Who counts as one client: an IPv4 address, or the /64 that one IPv6 network is given (RFC 6177). */
export function sourceOf(clientAddress: string): string {
  const address = parseIp(clientAddress);
  if (address === undefined) return clientAddress;
  return address.family === 4 ? `4:${address.value}` : `6:${address.value >> 64n}`;
}

/** How long MAIL waits under medium pressure: 1 s at first, 1 s more every 5 s that it lasts, 10 s at most. */
export function pressureDelayMs(lastedMs: number): number {
  return Math.min(10, 1 + Math.floor(Math.max(0, lastedMs) / 5000)) * 1000;
}

function turn(window: Window | undefined, minute: number): Window {
  if (window === undefined) return { minute, before: 0, now: 0 };
  if (window.minute === minute) return window;
  return { minute, before: window.minute === minute - 1 ? window.now : 0, now: 0 };
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
