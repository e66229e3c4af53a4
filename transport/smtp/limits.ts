/**
 * Limits: how many sessions at once, who counts as one client, how much slower under pressure.
 *
 * No sockets and no clock here: callers say what time it is.
 *
 * @module
 */
import type { Counts } from "../../lib/counts.ts";
import { SteadyMap } from "../../lib/steady-map.ts";
import { parseIp } from "../../mail/ip-range.ts";
import { type Reply, reply } from "../../mail/reply.ts";

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
  readonly maxInboundConnection: number;
  readonly maxInboundConnectionPerSource: number;
}

/** A place that is held until it is released; a second release does nothing. */
export interface Place {
  release(): void;
}

const CONNECTIONS = "smtp connections";

/** Connections in all, sessions by connector, and by connector and client; with all who share the counts. */
export class SessionCounts {
  readonly #counts: Counts;
  /** Of this thread alone. */
  readonly #byConnector = new SteadyMap<number>();

  constructor(counts: Counts) {
    this.#counts = counts;
  }

  /** A place among all connections of the transport; undefined: none is free. */
  admitConnection(limit: number): Place | undefined {
    if (this.#counts.take(CONNECTIONS, limit) === 0) return undefined;
    return new Held(() => this.#counts.give(CONNECTIONS));
  }

  /** Counts one more session, or says why it may not be. */
  admit(connector: string, limits: SessionLimits, clientAddress: string): Reply | Place {
    const { maxInboundConnection, maxInboundConnectionPerSource } = limits;
    const all = `smtp sessions ${connector}`;
    const source = `${all} ${sourceOf(clientAddress)}`;
    if (this.#counts.take(all, maxInboundConnection) === 0) return tooManySessions;
    if (this.#counts.take(source, maxInboundConnectionPerSource) === 0) {
      this.#counts.give(all);
      return tooManyFromSource;
    }
    add(this.#byConnector, connector, 1);
    return new Held(() => {
      add(this.#byConnector, connector, -1);
      this.#counts.give(all);
      this.#counts.give(source);
    });
  }

  byConnector(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#byConnector);
  }
}

class Held implements Place {
  #giveBack: (() => void) | undefined;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  release(): void {
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.();
  }
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

function add(counts: SteadyMap<number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
