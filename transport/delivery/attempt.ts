/**
 * Attempt: one job to one next hop: kept connections first, then host after host until nobody is pending.
 *
 * Never rejects for reasons of the peer or the network. RFC 5321 §5.1 asks to try the hosts in order; a host that
 * could not be reached is tried last for a minute.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Secrets } from "../../snapshot/schema.ts";
import type { ClientOptions, OpenFailure } from "./client-options.ts";
import type { DnsResolver } from "./dns.ts";
import { type Hop, isNews, markUnreachable } from "./hops.ts";
import { addressesOf, type Host, hostsOf } from "./hosts.ts";
import type { DeliveryJob, DeliveryResult } from "./mod.ts";
import { isLoss, lostStatus } from "./outcome.ts";
import type { ConnectionPool, PooledConnection } from "./pool.ts";
import type { PrepareJob } from "./prepare.ts";
import { Tally } from "./recipients.ts";
import { useSession } from "./session.ts";
import { type JobSettings, settingsFor, settingsOf } from "./settings.ts";
import { planTls, type TlsPlan } from "./tls-policy.ts";

export interface AttemptDeps {
  readonly resolver: DnsResolver;
  readonly pool: ConnectionPool;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readBody: PrepareJob["readBody"];
  /** This transport's own name, beside the connector's. */
  hostname?: (() => string) | undefined;
  readonly random: () => number;
  secrets(): Secrets;
  count(event: string, labels: Record<string, string>): void;
}

export interface AttemptResult extends Omit<DeliveryResult, "backOffUntil"> {
  /** ok: a host spoke and stayed. failed: none did, or the one left in the middle. neither: nothing was learned. */
  readonly nextHop: "ok" | "failed" | "neither";
}

const MAX_TRIES = 10;
const MAX_SESSIONS = 3;
const UNREACHABLE_MS = 60_000;
const FINAL_REPLY_MS = 600_000;

/** Delivers what can be delivered now. */
export function attemptDelivery(deps: AttemptDeps, job: DeliveryJob, hop: Hop): Promise<AttemptResult> {
  const settings = settingsOf(job.connector, deps.secrets());
  const attempt = new Attempt(deps, job, hop);
  return "missing" in settings
    ? Promise.resolve(attempt.withoutSecret(settings.missing))
    : attempt.run(settingsFor(job, settings));
}

class Attempt {
  readonly #deps: AttemptDeps;
  readonly #job: DeliveryJob;
  readonly #hop: Hop;
  readonly #tally: Tally;
  readonly #tried = new Set<string>();
  #sessions = 0;
  #remoteAddress = "";
  #tls: string | undefined;
  #nextHop: AttemptResult["nextHop"] = "neither";
  /** Every host so far refused with 5yz at its greeting (RFC 7504 §4). */
  #allRefuse = true;

  constructor(deps: AttemptDeps, job: DeliveryJob, hop: Hop) {
    this.#deps = deps;
    this.#job = job;
    this.#hop = hop;
    this.#tally = new Tally(job.recipients);
  }

  withoutSecret(text: string): AttemptResult {
    this.#tally.putAll({ result: "deferred", status: "4.7.8", text, remoteMta: "" }, { provisional: false });
    return this.#result();
  }

  async run(settings: JobSettings): Promise<AttemptResult> {
    await this.#useKept(settings);
    if (!this.#tally.done) await this.#tryHosts(settings);
    return this.#result();
  }

  async #useKept(settings: JobSettings): Promise<void> {
    const { pool } = this.#deps;
    const { key } = this.#job.nextHop;
    for (;;) {
      const connection = pool.take(key, settings.fingerprint);
      if (connection === undefined) return;
      if (await this.#use(connection)) return;
    }
  }

  async #tryHosts(settings: JobSettings): Promise<void> {
    const { nextHop, connector } = this.#job;
    this.#hop.turn += 1;
    const { resolver, random, hostname } = this.#deps;
    const ownNames = [connector.fqdn, hostname?.() ?? connector.fqdn].map((name) => name.toLowerCase());
    const hosts = await hostsOf(nextHop, connector, { resolver, random, ownNames, turn: this.#hop.turn });
    if ("kind" in hosts) return this.#noHosts(hosts);
    for await (const { host, address } of this.#endpoints(hosts)) {
      if (this.#tally.done || this.#sessions >= MAX_SESSIONS || this.#tried.size >= MAX_TRIES) return;
      if (this.#tried.has(`${address}:${host.port}`)) continue;
      await this.#tryEndpoint(host, address, settings);
    }
    if (this.#allRefuse && this.#tried.size > 0 && this.#sessions === 0) this.#settleRefusals();
  }

  /** Addresses in order; those that lately could not be reached come last. */
  async *#endpoints(hosts: readonly Host[]): AsyncGenerator<{ host: Host; address: string }> {
    const late: { host: Host; address: string }[] = [];
    const now = this.#deps.clock.now();
    for (const host of hosts) {
      const addresses = await addressesOf(host, this.#job.connector, this.#deps.resolver);
      if ("kind" in addresses) {
        if (addresses.kind === "deferred") this.#unreached();
        this.#tally.putAll(
          { result: addresses.kind, ...textOf(addresses), remoteMta: host.name },
          unlessDeferred,
        );
        continue;
      }
      for (const address of addresses) {
        const deadUntil = this.#hop.unreachable.get(`${address}:${host.port}`) ?? 0;
        if (deadUntil > now) late.push({ host, address });
        else yield { host, address };
      }
    }
    yield* late;
  }

  #noHosts({ kind, status, text }: { kind: "failed" | "deferred"; status: string; text: string }): void {
    this.#tally.putAll({ result: kind, status, text, remoteMta: "" }, { provisional: false });
    if (kind === "deferred") this.#nextHop = "failed";
  }

  async #tryEndpoint(host: Host, address: string, settings: JobSettings): Promise<void> {
    this.#tried.add(`${address}:${host.port}`);
    const opened = await this.#open(host, address, settings);
    if ("client" in opened) {
      this.#hop.unreachable.delete(`${address}:${host.port}`);
      this.#hop.reported.delete(`${address}:${host.port}`);
      await this.#use(opened);
      return;
    }
    this.#refused(host, address, opened);
  }

  /** Opens a connection; after a failed opportunistic handshake once more, in clear text. */
  async #open(host: Host, address: string, settings: JobSettings): Promise<PooledConnection | OpenFailure> {
    const { connector, nextHop } = this.#job;
    const { brokenTls } = this.#hop;
    const { clock, count, pool } = this.#deps;
    const { demand } = settings;
    const place = {
      nextHopKey: nextHop.key,
      fingerprint: settings.fingerprint,
      maxMessages: connector.smtpMaxMessagesPerConnection,
    };
    for (;;) {
      const broken = brokenTls.has(address, clock.now());
      const plan = planTls(connector.tls, settings.tls, { host: host.name, demand, broken });
      const opened = await pool.open(place, this.#clientOptions(host, address, { plan, settings }));
      if ("client" in opened) {
        count("connection", { connector: connector.name, result: "opened" });
        return opened;
      }
      count("connection", { connector: connector.name, result: opened.phase });
      if (opened.phase !== "tls" || !plan.mayFallBack) return opened;
      brokenTls.remember(address, clock.now());
      count("tls fallback", { connector: connector.name });
      this.#deps.log.warn(
        { nextHop: nextHop.key, host: host.name, address, reason: reasonOf(opened) },
        "tls failed, going on in clear text",
      );
    }
  }

  #clientOptions(
    host: Host,
    address: string,
    { plan, settings }: { plan: TlsPlan; settings: JobSettings },
  ): ClientOptions {
    const { connector } = this.#job;
    const replyMs = connector.connectionInactivityTimeoutMs;
    return {
      address,
      port: host.port,
      host: host.name,
      lmtp: host.lmtp,
      name: connector.fqdn,
      localAddress: connector.sourceIPAddress,
      tls: plan,
      auth: settings.auth,
      // RFC 5321 §4.5.3.2.6: ten minutes for the reply to the final dot, whatever the others get.
      timeouts: {
        connectMs: connector.connectionTimeoutMs,
        replyMs,
        finalMs: Math.max(replyMs, FINAL_REPLY_MS),
      },
      clock: this.#deps.clock,
      protocolLog: connector.protocolLoggingLevel === "Verbose" ? this.#deps.log : undefined,
    };
  }

  #refused(host: Host, address: string, failure: OpenFailure): void {
    const { answer, phase } = failure;
    const refusal = !isLoss(answer) && answer.code >= 500 && phase === "greeting";
    if (!refusal) this.#unreached();
    markUnreachable(this.#hop, `${address}:${host.port}`, this.#deps.clock.now() + UNREACHABLE_MS);
    // RFC 5321 §5.1: the next host may answer; only when all refuse for good the message fails.
    const status = isLoss(answer) ? lostStatus(phase) : `4${answer.status.slice(1)}`;
    const outcome = { result: "deferred", status, text: reasonOf(failure), remoteMta: host.name } as const;
    this.#tally.putAll(outcome, unlessDeferred);
    if (!isNews(this.#hop, `${address}:${host.port}`)) return;
    this.#deps.log.info(
      { nextHop: this.#job.nextHop.key, host: host.name, address, phase, reason: outcome.text },
      "next hop not reached",
    );
  }

  #unreached(): void {
    this.#allRefuse = false;
    if (this.#nextHop === "neither") this.#nextHop = "failed";
  }

  #settleRefusals(): void {
    for (const outcome of this.#tally.outcomes()) {
      const status = outcome.status.replace(/^4/, "5");
      this.#tally.put({ ...outcome, result: "failed", status }, false);
    }
  }

  /** False: the kept connection was dead before anything was sent. */
  async #use(connection: PooledConnection): Promise<boolean> {
    const { client } = connection;
    const { message } = this.#job;
    this.#allRefuse = false;
    let use: Awaited<ReturnType<typeof useSession>>;
    try {
      use = await useSession(connection, { message, readBody: this.#deps.readBody }, this.#tally);
    } catch (error) {
      client.close();
      this.#unreadable(error);
      return true;
    }
    if (use === "stale") {
      client.close();
      return false;
    }
    const { address, port } = client.options;
    this.#sessions += 1;
    this.#tried.add(`${address}:${port}`);
    this.#remoteAddress = address;
    this.#tls = client.tls ?? this.#tls;
    this.#nextHop = use === "lost" ? "failed" : "ok";
    if (use === "lost") client.close();
    else this.#deps.pool.give(connection);
    return true;
  }

  /** Our own disk failed, not the next hop. */
  #unreadable(error: unknown): void {
    const { code = "" } = error as NodeJS.ErrnoException;
    this.#deps.log.error({ messageId: this.#job.message.id, code }, "message content can not be read");
    const text = "The message can not be read from the queue";
    this.#tally.putAll({ result: "deferred", status: "4.3.0", text, remoteMta: "" }, { provisional: false });
  }

  #result(): AttemptResult {
    const { name } = this.#job.connector;
    const outcomes = this.#tally.outcomes();
    for (const { result } of outcomes) this.#deps.count("recipient", { connector: name, result });
    return { outcomes, remoteAddress: this.#remoteAddress, tls: this.#tls, nextHop: this.#nextHop };
  }
}

const unlessDeferred = { provisional: true, keepDeferred: true };

function textOf({ status, text }: { status: string; text: string }) {
  return { status, text };
}

function reasonOf({ phase, answer }: OpenFailure): string {
  return isLoss(answer) ? `${phase}: ${answer.reason}` : answer.text;
}
