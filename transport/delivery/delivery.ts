/**
 * Delivery: takes jobs, keeps the window of each next hop, hands the job to the wire or the drop folder.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { Counts } from "../../lib/counts.ts";
import type { Logger } from "../../lib/log.ts";
import type { Body } from "../../mail/message.ts";
import type { Secrets } from "../../snapshot/schema.ts";
import { type AttemptDeps, type AttemptResult, attemptDelivery } from "./attempt.ts";
import type { DnsResolver } from "./dns.ts";
import { dropMessage } from "./drop.ts";
import { type Hop, Hops } from "./hops.ts";
import type { Delivery, DeliveryJob, DeliveryResult } from "./mod.ts";
import { Places } from "./places.ts";
import { ConnectionPool } from "./pool.ts";

export interface DeliveryDeps {
  readonly resolver: DnsResolver;
  secrets(): Secrets;
  readBody(body: Body): AsyncIterable<Uint8Array>;
  readonly clock: Clock;
  readonly log: Logger;
  /** This transport's own name: mail is never sent to an MX of that name. The connector's fqdn always counts too. */
  hostname?(): string;
  readonly dropDirectory: string;
  limits(): { readonly maxOutboundConnections: number };
  /** Where threads count connections out together: `maxOutboundConnections` and a connector's `maxConnections` hold over all. */
  readonly counts?: Counts | undefined;
  count(event: string, labels: Record<string, string>): void;
  /** When messages that were deferred are tried again: a next hop that failed rests no longer. None: a minute and more. */
  retryIntervalsMs?(): readonly number[];
  /** Idle connections are kept so long; default 30 s. */
  readonly idleMs?: number;
  /** Dice in [0, 1); default Math.random. */
  readonly random?: () => number;
}

const CUT_MS = 1000;

/** Makes the delivery room. */
export function createDelivery(deps: DeliveryDeps): Delivery {
  return new Deliverer(deps);
}

class Deliverer implements Delivery {
  readonly #deps: DeliveryDeps;
  readonly #pool: ConnectionPool;
  readonly #places: Places;
  readonly #hops = new Hops();
  readonly #attempt: AttemptDeps;
  #running = 0;
  /** Called when nothing runs any more. */
  #onQuiet: (() => void) | undefined;
  readonly #random: () => number;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
    this.#random = deps.random ?? Math.random;
    this.#places = new Places({
      counts: deps.counts,
      clock: deps.clock,
      random: this.#random,
      most: () => deps.limits().maxOutboundConnections,
      evict: (isFree) => this.#pool.evict(isFree),
      letGo: (key) => void this.#pool.quitIdle(key),
    });
    this.#pool = new ConnectionPool({
      places: this.#places,
      clock: deps.clock,
      idleMs: deps.idleMs ?? 30_000,
      maxConnections: () => deps.limits().maxOutboundConnections,
    });
    const { resolver, clock, log, readBody, secrets, count, hostname } = deps;
    const pool = this.#pool;
    const random = this.#random;
    this.#attempt = { resolver, clock, log, readBody, secrets, count, hostname, pool, random };
  }

  async deliver(job: DeliveryJob): Promise<DeliveryResult> {
    const hop = this.#hops.of(job.nextHop.key);
    if (hop.window.running === 0) hop.reported.clear();
    hop.window.begin();
    this.#running += 1;
    try {
      return await this.#run(job, hop);
    } finally {
      hop.window.end();
      this.#running -= 1;
      if (this.#running === 0) this.#onQuiet?.();
    }
  }

  get room(): number {
    return this.#places.room;
  }

  reserve(
    { key }: DeliveryJob["nextHop"],
    { maxConnections }: DeliveryJob["connector"],
    most: number,
  ): number {
    const slots = this.#hops.of(key).window.slots(this.#deps.clock.now(), maxConnections);
    return slots === 0 ? 0 : this.#places.take(key, maxConnections, Math.min(most, slots));
  }

  release(nextHopKey: string, places: number): void {
    this.#places.give(nextHopKey, places);
  }

  askAgainAt(nextHopKey: string): number | undefined {
    return this.backOffUntil(nextHopKey) ?? this.#places.askAgainAt(nextHopKey);
  }

  backOffUntil(nextHopKey: string): number | undefined {
    return this.#hops.get(nextHopKey)?.window.restUntil(this.#deps.clock.now());
  }

  reset(nextHopKey: string): void {
    this.#hops.reset(nextHopKey, this.#deps.clock.now());
  }

  stats() {
    return { connections: this.#pool.connections, idle: this.#pool.idle };
  }

  async close(graceMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (!(await this.#quietWithin(graceMs))) {
      this.#deps.log.warn({ jobs: this.#running }, "deliveries cut, their messages stay in the queue");
      this.#pool.cut();
      // What still hangs now waits for a resolver or a disk.
      await this.#quietWithin(CUT_MS);
    }
    await this.#pool.close();
    this.#places.stop();
  }

  /** False: jobs still run. */
  async #quietWithin(ms: number): Promise<boolean> {
    if (this.#running === 0) return true;
    const quiet = new Promise<true>((resolve) => {
      this.#onQuiet = () => resolve(true);
    });
    if (ms === Number.POSITIVE_INFINITY) return quiet;
    const over = new AbortController();
    const late = this.#deps.clock.sleep(ms, over.signal).then(
      () => false,
      () => true,
    );
    return Promise.race([quiet, late]).finally(() => over.abort());
  }

  async #run(job: DeliveryJob, hop: Hop): Promise<DeliveryResult> {
    const startedAt = this.#deps.clock.now();
    const { nextHop, ...result } =
      job.connector.routing.type === "Drop"
        ? await this.#drop(job)
        : await attemptDelivery(this.#attempt, job, hop);
    const now = this.#deps.clock.now();
    let backOffUntil: number | undefined;
    if (nextHop === "ok") hop.window.succeeded(now, job.connector.maxConnections);
    if (nextHop === "failed") {
      const retryIntervalsMs = this.#deps.retryIntervalsMs?.() ?? [];
      backOffUntil = hop.window.failed(now, { startedAt, retryIntervalsMs, random: this.#random() });
    }
    return { ...result, backOffUntil };
  }

  async #drop({ message, recipients, connector }: DeliveryJob): Promise<AttemptResult> {
    const { readBody, dropDirectory } = this.#deps;
    const folder = join(dropDirectory, connector.routing.directory ?? "");
    const dropped = await dropMessage({ message, recipients, folder, readBody });
    const outcome = dropped.ok
      ? ({ result: "delivered", status: "2.0.0", text: `dropped as ${dropped.name}`, remoteMta: "" } as const)
      : ({ result: "deferred", status: dropped.status, text: dropped.text, remoteMta: "" } as const);
    if (!dropped.ok) this.#deps.log.error({ messageId: message.id, reason: dropped.text }, "drop failed");
    return {
      outcomes: recipients.map((recipient) => ({ recipient, ...outcome })),
      remoteAddress: "",
      tls: undefined,
      nextHop: dropped.ok ? "ok" : "failed",
    };
  }
}
