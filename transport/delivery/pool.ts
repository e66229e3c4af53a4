/**
 * ConnectionPool: open sessions kept between messages, by next hop.
 *
 * A session goes back in when it is clean; idle for 30 s, or after its connector's number of messages, it is
 * told QUIT. One made under other settings is never handed out again. One timer for all of them.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import { SteadyMap } from "../../lib/steady-map.ts";
import type { ClientOptions, Closable, OpenFailure } from "./client-options.ts";
import type { Places } from "./places.ts";
import { openClient, SmtpClient } from "./smtp-client.ts";

export interface PooledConnection {
  readonly client: SmtpClient;
  readonly nextHopKey: string;
  /** Settings it was made under. */
  readonly fingerprint: string;
  readonly maxMessages: number;
  idleSince: number;
  /** Told QUIT. */
  isClosing: boolean;
}

export interface PoolOptions {
  readonly clock: Clock;
  readonly idleMs: number;
  maxConnections(): number;
  /** Told of connections made and ended. */
  readonly places: Pick<Places, "opened" | "closing" | "closed" | "isShort">;
}

export class ConnectionPool {
  readonly #options: PoolOptions;
  /** Idle ones by next hop, the longest idle first. */
  readonly #idle = new SteadyMap<PooledConnection[]>();
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
      void this.#quit(connection);
    }
    return undefined;
  }

  /** Opens a new session. When all connections are taken, the longest idle one makes room. */
  async open(
    place: Pick<PooledConnection, "nextHopKey" | "fingerprint" | "maxMessages">,
    options: ClientOptions,
  ): Promise<PooledConnection | OpenFailure> {
    if (this.#isCut) return { phase: "connect", answer: { lost: true, reason: "the transport stops" } };
    const { places, maxConnections } = this.#options;
    const { nextHopKey } = place;
    if (this.#clients.size >= maxConnections()) this.evict(() => true);
    if (places.isShort(nextHopKey)) this.evict((key) => key === nextHopKey);
    places.opened(nextHopKey);
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
      places.closed(nextHopKey);
      return client;
    }
    const connection = { client, idleSince: 0, isClosing: false, ...place };
    client.onLost = () => this.#forget(connection);
    if (client.lost !== undefined) this.#forget(connection);
    return connection;
  }

  /** Takes a session back; it must have no transaction open. */
  give(connection: PooledConnection): void {
    const { client, nextHopKey, maxMessages } = connection;
    if (client.lost !== undefined) return;
    if (client.messages >= maxMessages) {
      void this.#quit(connection);
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
    await Promise.all(leaving.map((connection) => this.#quit(connection)));
  }

  /** Closes the connection that idles longest, of those next hops. False: none does. */
  evict(isMeant: (nextHopKey: string) => boolean): boolean {
    let oldest: PooledConnection | undefined;
    for (const [key, [first]] of this.#idle) {
      if (first === undefined || (oldest !== undefined && first.idleSince >= oldest.idleSince)) continue;
      if (isMeant(key)) oldest = first;
    }
    oldest?.client.close();
    return oldest !== undefined;
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
    this.#options.places.closed(connection.nextHopKey, connection.isClosing);
    const list = this.#idle.get(connection.nextHopKey);
    const at = list?.indexOf(connection) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    this.#idleCount -= 1;
    if (list.length === 0) this.#idle.delete(connection.nextHopKey);
  }

  #quit(connection: PooledConnection): Promise<void> {
    if (connection.client.lost === undefined) {
      connection.isClosing = true;
      this.#options.places.closing(connection.nextHopKey);
    }
    return connection.client.quit();
  }

  #sweep(): void {
    this.#timer = undefined;
    const limit = this.#options.clock.now() - this.#options.idleMs;
    const stale = [...this.#idle.values()].flat().filter(({ idleSince }) => idleSince <= limit);
    for (const connection of stale) {
      const list = this.#idle.get(connection.nextHopKey) ?? [];
      list.splice(list.indexOf(connection), 1);
      if (list.length === 0) this.#idle.delete(connection.nextHopKey);
      void this.#quit(connection);
    }
    this.#idleCount -= stale.length;
    if (this.#idleCount === 0) return;
    // At worst a session idles half as long again.
    this.#timer = setTimeout(() => this.#sweep(), this.#options.idleMs / 2).unref();
  }
}
