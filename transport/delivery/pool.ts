/**
 * ConnectionPool: open sessions kept between messages, by next hop.
 *
 * A session goes back in when it is clean; idle for 30 s, or after its connector's number of messages, it is
 * told QUIT. One made under other settings is never handed out again. One timer for all of them.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { ClientOptions, Closable, OpenFailure } from "./client-options.ts";
import { openClient, SmtpClient } from "./smtp-client.ts";

export interface PooledConnection {
  readonly client: SmtpClient;
  readonly nextHopKey: string;
  /** Settings it was made under. */
  readonly fingerprint: string;
  readonly maxMessages: number;
  idleSince: number;
}

export interface PoolOptions {
  readonly clock: Clock;
  readonly idleMs: number;
  maxConnections(): number;
}

export class ConnectionPool {
  readonly #options: PoolOptions;
  /** Idle ones by next hop, the longest idle first. */
  readonly #idle = new Map<string, PooledConnection[]>();
  #idleCount = 0;
  /** Connecting or connected. */
  readonly #clients = new Set<Closable>();
  #isCut = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#clients.size;
  }

  get idle(): number {
    return this.#idleCount;
  }

  /** The session used last, if one is idle that was made under these settings. */
  take(nextHopKey: string, fingerprint: string): PooledConnection | undefined {
    const list = this.#idle.get(nextHopKey);
    for (let connection = list?.pop(); connection !== undefined; connection = list?.pop()) {
      this.#idleCount -= 1;
      if (list?.length === 0) this.#idle.delete(nextHopKey);
      if (connection.client.lost === undefined && connection.fingerprint === fingerprint) return connection;
      void connection.client.quit();
    }
    return undefined;
  }

  /** Opens a new session. When all connections are taken, the longest idle one makes room. */
  async open(
    place: Pick<PooledConnection, "nextHopKey" | "fingerprint" | "maxMessages">,
    options: ClientOptions,
  ): Promise<PooledConnection | OpenFailure> {
    if (this.#isCut) return { phase: "connect", answer: { lost: true, reason: "the transport stops" } };
    if (this.#clients.size >= this.#options.maxConnections()) this.#evict();
    let made: Closable | undefined;
    const client = await openClient({
      ...options,
      onMade: (one) => {
        made = one;
        this.#clients.add(one);
      },
    });
    if (!(client instanceof SmtpClient)) {
      if (made !== undefined) this.#clients.delete(made);
      return client;
    }
    const connection = { client, idleSince: 0, ...place };
    client.onLost = () => this.#forget(connection);
    if (client.lost !== undefined) this.#forget(connection);
    return connection;
  }

  /** Takes a session back; it must have no transaction open. */
  give(connection: PooledConnection): void {
    const { client, nextHopKey, maxMessages } = connection;
    if (client.lost !== undefined) return;
    if (client.messages >= maxMessages) {
      void client.quit();
      return;
    }
    connection.idleSince = this.#options.clock.now();
    const list = this.#idle.get(nextHopKey);
    if (list === undefined) this.#idle.set(nextHopKey, [connection]);
    else list.push(connection);
    this.#idleCount += 1;
    this.#timer ??= setTimeout(() => this.#sweep(), this.#options.idleMs).unref();
  }

  /** QUITs what is idle: of one next hop, or of all. */
  async quitIdle(nextHopKey?: string): Promise<void> {
    const keys = nextHopKey === undefined ? [...this.#idle.keys()] : [nextHopKey];
    const leaving = keys.flatMap((key) => this.#idle.get(key) ?? []);
    for (const key of keys) this.#idle.delete(key);
    this.#idleCount -= leaving.length;
    await Promise.all(leaving.map(({ client }) => client.quit()));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.quitIdle();
  }

  /** Closes every connection at once, those in use too; none is opened any more. */
  cut(): void {
    this.#isCut = true;
    for (const client of [...this.#clients]) client.close();
  }

  #forget(connection: PooledConnection): void {
    this.#clients.delete(connection.client);
    connection.client.onLost = undefined;
    const list = this.#idle.get(connection.nextHopKey);
    const at = list?.indexOf(connection) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    this.#idleCount -= 1;
    if (list.length === 0) this.#idle.delete(connection.nextHopKey);
  }

  #evict(): void {
    let oldest: PooledConnection | undefined;
    for (const [first] of this.#idle.values()) {
      if (first !== undefined && (oldest === undefined || first.idleSince < oldest.idleSince)) oldest = first;
    }
    oldest?.client.close();
  }

  #sweep(): void {
    this.#timer = undefined;
    const limit = this.#options.clock.now() - this.#options.idleMs;
    const stale = [...this.#idle.values()].flat().filter(({ idleSince }) => idleSince <= limit);
    for (const connection of stale) {
      const list = this.#idle.get(connection.nextHopKey) ?? [];
      list.splice(list.indexOf(connection), 1);
      if (list.length === 0) this.#idle.delete(connection.nextHopKey);
      void connection.client.quit();
    }
    this.#idleCount -= stale.length;
    if (this.#idleCount === 0) return;
    // At worst a session idles half as long again.
    this.#timer = setTimeout(() => this.#sweep(), this.#options.idleMs / 2).unref();
  }
}
