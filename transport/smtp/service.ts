/**
 * The smtp room at work: listeners, the configuration in force, and the sessions that run.
 *
 * @module
 */
import { createCounts } from "../../lib/counts.ts";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import { createRates } from "../../lib/rates.ts";
import { Roster } from "../../lib/roster.ts";
import { type Reception, type RunningSession, receive, type StartSession } from "./accept.ts";
import type { Arrival } from "./arrival.ts";
import { endpointsOf } from "./binding.ts";
import { type InForce, Preparer } from "./in-force.ts";
import { SessionCounts } from "./limits.ts";
import { Listeners } from "./listener.ts";
import type { PreparedSmtp, PressureLevel, SmtpConfig, SmtpDeps, SmtpService } from "./mod.ts";
import { startSession } from "./session.ts";
import { Watch } from "./watch.ts";

/** How often drain() and close() look whether all is quiet. */
const POLL_MS = 20;

class Service {
  readonly #deps: SmtpDeps;
  readonly #preparer = new Preparer();
  readonly #counts: SessionCounts;
  readonly #arrivals = new Roster<Arrival>();
  readonly #watch: Watch;
  readonly #listeners: Listeners;
  #inForce: InForce | undefined;
  #pressure: { readonly level: PressureLevel; readonly sinceMs: number } = { level: "normal", sinceMs: 0 };
  #draining = false;
  #closed = false;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(deps: SmtpDeps, start: StartSession) {
    this.#deps = deps;
    this.#counts = new SessionCounts(deps.counts ?? createCounts());
    this.#watch = new Watch(deps.clock);
    const reception: Reception = {
      deps,
      start,
      counts: this.#counts,
      arrivals: this.#arrivals,
      refused: 0,
      watch: this.#watch,
      rates: deps.rates ?? createRates(),
      inForce: () => this.#current(),
      pressure: () => this.#pressure,
      draining: () => this.#draining,
    };
    this.#listeners = new Listeners(
      (socket, port) => receive(reception, socket, port),
      (error) => deps.log.error({ err: error }, "listener fault"),
      deps.reusePort,
    );
  }

  prepare(config: SmtpConfig): Promise<PreparedSmtp> {
    const over = Promise.withResolvers<void>();
    const turn = this.#lastTurn.then(() => this.#prepare(config, over.resolve));
    // The next turn begins whatever became of this one; its caller hears of it.
    this.#lastTurn = turn.then(() => over.promise).catch(() => undefined);
    return turn;
  }

  async apply(config: SmtpConfig): Promise<readonly Diagnostic[]> {
    const { diagnostics, take } = await this.prepare(config);
    take();
    return diagnostics;
  }

  bindings() {
    return this.#listeners.bindings();
  }

  setPressure(level: PressureLevel): void {
    if (level !== this.#pressure.level) this.#pressure = { level, sinceMs: this.#deps.clock.now() };
  }

  setDraining(draining: boolean): void {
    this.#draining = draining;
    if (draining) for (const session of this.#sessions()) session.shutdown();
  }

  async drain(): Promise<void> {
    this.setDraining(true);
    await this.#until(() => !this.#sessions().some((session) => session.inTransaction()));
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    await this.#lastTurn;
    this.#listeners.close();
    const deadline = this.#deps.clock.now() + graceMs;
    this.setDraining(true);
    await this.#until(() => this.#sessions().length === 0 || this.#deps.clock.now() >= deadline);
    // Their sessions end with them.
    for (const { socket } of this.#arrivals) socket.destroy();
    await this.#until(() => this.#arrivals.size === 0);
    this.#watch.close();
  }

  stats() {
    return { sessions: this.#sessions().length, byConnector: this.#counts.byConnector() };
  }

  async #prepare(config: SmtpConfig, over: () => void): Promise<PreparedSmtp> {
    if (this.#closed) throw new Error("Cannot apply a configuration: the service is closed");
    const { clock, listenAddress } = this.#deps;
    const { inForce, diagnostics, keep } = this.#preparer.prepare(config, {
      nowMs: clock.now(),
      listenAddress,
    });
    const opening = await this.#listeners.prepare(endpointsOf(inForce.table));
    return {
      diagnostics: [...diagnostics, ...opening.diagnostics],
      take: () => {
        keep();
        // In force before the first connection of a new socket is served.
        this.#inForce = inForce;
        opening.take();
        over();
      },
      drop: async () => {
        await opening.drop();
        over();
      },
    };
  }

  #current(): InForce {
    if (this.#inForce === undefined)
      throw new Error("Cannot serve a connection: no configuration is in force");
    return this.#inForce;
  }

  #sessions(): readonly RunningSession[] {
    return [...this.#arrivals].flatMap(({ session }) => session ?? []);
  }

  async #until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#deps.clock.sleep(POLL_MS);
  }
}

/** Makes the service; nothing listens before the first apply(). Its functions may be handed on one by one. */
export function createSmtpService(deps: SmtpDeps, start: StartSession = startSession): SmtpService {
  const service = new Service(deps, start);
  return {
    prepare: (config) => service.prepare(config),
    apply: (config) => service.apply(config),
    bindings: () => service.bindings(),
    setPressure: (level) => service.setPressure(level),
    setDraining: (draining) => service.setDraining(draining),
    drain: () => service.drain(),
    close: (graceMs) => service.close(graceMs),
    stats: () => service.stats(),
  };
}
