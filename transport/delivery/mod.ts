/** Door of delivery: one message to one next hop, an outcome for each recipient. */
import type { Message, Recipient } from "../../mail/message.ts";
import type { NextHop } from "../../mail/next-hop.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";

export interface RecipientOutcome {
  readonly recipient: Recipient;
  /** delivered: final (LMTP, drop). relayed: handed on, the next hop does DSN. relayed-no-dsn: handed on to one that does not (RFC 3461 §5.2.2). */
  readonly result: "delivered" | "relayed" | "relayed-no-dsn" | "deferred" | "failed";
  /** RFC 3463. */
  readonly status: string;
  /** The remote's reply line, or our own reason. */
  readonly text: string;
  /** Host that answered; "" when none did. */
  readonly remoteMta: string;
}

export interface DeliveryResult {
  readonly outcomes: readonly RecipientOutcome[];
  /** The host spoken to, for tracking; "" when none could be reached. */
  readonly remoteAddress: string;
  readonly tls: string | undefined;
  /** The next hop as a whole failed (no connection, 421): its other messages should wait too, until then (ms since 1970). */
  readonly backOffUntil: number | undefined;
}

export interface DeliveryJob {
  readonly message: Message;
  readonly recipients: readonly Recipient[];
  readonly nextHop: NextHop;
  readonly connector: SendConnectorEntry;
}

export interface Delivery {
  /** Never rejects for reasons of the peer or the network: they are outcomes. */
  deliver(job: DeliveryJob): Promise<DeliveryResult>;
  /** Jobs that may run now over all next hops, those that run included: all connections but other threads'. */
  readonly room: number;
  /** Takes places for up to `most` jobs to this next hop: adaptive concurrency minus running; 0 while it backs off. */
  reserve(nextHop: NextHop, connector: SendConnectorEntry, most: number): number;
  /** Gives back places of jobs that are over, or did not begin. */
  release(nextHopKey: string, places: number): void;
  /** When to ask for places again that were refused: a rest is over, or other threads may have given some; undefined: when a job ends. */
  askAgainAt(nextHopKey: string): number | undefined;
  /** When a backed-off next hop may be tried again (ms since 1970); undefined: now. */
  backOffUntil(nextHopKey: string): number | undefined;
  /** Forget back-off and remembered TLS failures (queue retry). */
  reset(nextHopKey: string): void;
  stats(): { readonly connections: number; readonly idle: number };
  /** Waits for running jobs, at most graceMs: then they are cut and end deferred. QUITs idle connections. */
  close(graceMs?: number): Promise<void>;
}

export { createDelivery, type DeliveryDeps } from "./delivery.ts";
export { type DnsAnswer, type DnsResolver, systemResolver } from "./dns.ts";
