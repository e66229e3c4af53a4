/**
 * Session: one SMTP connection, from the greeting to its end.
 *
 * In: a socket after PROXY header and implicit TLS, and the services of its listener. Out: events of the
 * SessionHandler, replies on the wire. Octets are taken one after the other, so order is kept under PIPELINING, and
 * nothing is read while a handler or a sink works.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import { isRefusal, type Reply, reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import { type Dialogue, dropTransaction, guard, makeDialogue, type Outcome, setUser } from "./dialogue.ts";
import { type GreetingSession, greet } from "./greeting.ts";
import { Intake, type IntakeSession } from "./intake.ts";
import { countError, replyDelayMs } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { refuseSession } from "./refuse-session.ts";
import { IDLE, INTERNAL_FAULT, SHUTTING_DOWN, TALKED_TOO_SOON, TOO_LONG, TOO_SLOW } from "./replies.ts";
import { formatLines } from "./reply-lines.ts";
import { sessionId } from "./session-id.ts";
import { Sleeper } from "./sleeper.ts";
import { HALF_CLOSE_MS, type Watch, type Watched } from "./watch.ts";
import { openWire, tlsFacts, type Wire, type WireEvents } from "./wire.ts";

export interface SessionOptions {
  readonly clock: Clock;
  /** Looks after its time. */
  readonly watch: Watch;
  /** True when `socket` is a TLSSocket whose handshake is done. */
  readonly implicitTls: boolean;
  /** Octets that came behind the PROXY header. */
  readonly earlyBytes?: Buffer | undefined;
}

export interface SessionControl {
  /** Live: changes as the session goes on. */
  readonly session: SmtpSession;
  /** True from MAIL to the reply that ends its transaction. */
  inTransaction(): boolean;
  /** 421 4.3.2 at the next command boundary; an open transaction may end. */
  shutdown(): void;
  /** Closes at once. */
  destroy(): void;
}

/** As for implicit TLS: nothing of SMTP can be said meanwhile, so the session's own times are too long. */
const HANDSHAKE_TIMEOUT_MS = 30_000;

const VERDICTS: Readonly<Record<"idle" | "slow" | "long", Reply>> = {
  idle: IDLE,
  slow: TOO_SLOW,
  long: TOO_LONG,
};

/**
 * Runs a session until its socket is gone. Returns at once; `services.handler` is first read afterwards, so it may be a
 * getter that opens the handler with the session of the returned control.
 */
export function startSession(
  socket: Socket | TLSSocket,
  endpoints: Endpoints,
  services: SessionServices,
  options: SessionOptions,
): SessionControl {
  const id = sessionId();
  const connector = services.connector();
  if (connector === undefined) return refuseSession(socket, { id, endpoints, services, options });
  const dialogue = makeDialogue({ services, clock: options.clock, endpoints }, { id, connector });
  const session = new Session(socket, dialogue, options);
  session.start(options.earlyBytes);
  return session;
}

class Session implements SessionControl, IntakeSession, GreetingSession, WireEvents, Watched {
  readonly dialogue: Dialogue;
  readonly pace: Pace;
  readonly #wire: Wire;
  readonly #watch: Watch;
  #watchedAt: number | undefined;
  readonly #intake: Intake;
  readonly #sleeper: Sleeper;
  #isGreeted = false;
  #isBusy = false;
  #isClosing = false;
  #mustStop = false;
  #closedAt = 0;

  constructor(socket: Socket | TLSSocket, dialogue: Dialogue, { watch, implicitTls }: SessionOptions) {
    const { services, session } = dialogue;
    this.dialogue = dialogue;
    this.pace = new Pace(dialogue.clock.now());
    if (implicitTls) session.tls = tlsFacts(socket as TLSSocket);
    const secureContext = (name: string) => services.secureContext(name);
    this.#wire = openWire(socket, { id: session.id, endpoints: session, secureContext }, this);
    this.#watch = watch;
    this.#intake = new Intake(this);
    this.#sleeper = new Sleeper(dialogue.clock);
  }

  get session(): SmtpSession {
    return this.dialogue.session;
  }

  inTransaction(): boolean {
    return this.dialogue.transaction !== undefined;
  }

  shutdown(): void {
    this.#mustStop = true;
    if (this.#isGreeted && !this.#isBusy) this.#stopIfDue();
  }

  destroy(): void {
    this.#isClosing = true;
    this.#wire.destroy();
  }

  start(earlyBytes: Buffer | undefined): void {
    this.#watchedAt = this.#watch.add(this);
    this.#wire.open();
    greet(this, earlyBytes !== undefined && earlyBytes.length > 0);
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  work(octets: number): void {
    this.#isBusy = true;
    this.pace.work(this.dialogue.clock.now(), octets);
  }

  greeted(answer: Reply, isRefused: boolean): void {
    this.#isGreeted = true;
    this.#send("CONNECT", answer);
    this.#rest();
    // RFC 5321 §3.1: after a refusal only QUIT is left to say, so the connection is closed.
    if (isRefused) this.#close();
    else this.#stopIfDue();
  }

  // RFC 5321 §4.3.1: the client waits for the greeting.
  tooSoon(): void {
    this.dialogue.services.handler.onReject("CONNECT", TALKED_TOO_SOON);
    this.#cut(TALKED_TOO_SOON, "CONNECT");
  }

  octets(chunk: Buffer): Promise<void> | undefined {
    if (this.#isClosing) return undefined;
    try {
      if (!this.#isGreeted) return void this.tooSoon();
      this.work(chunk.length);
      const pending = this.#intake.takeAll(chunk);
      if (pending !== undefined) return this.#afterwards(pending);
    } catch (error) {
      this.broken(error);
    }
    this.#rest();
    return this.#wire.drained();
  }

  async #afterwards(pending: Promise<void>): Promise<void> {
    try {
      await pending;
    } catch (error) {
      this.broken(error);
    }
    this.#rest();
    await this.#wire.drained();
  }

  hasMore(): boolean {
    return this.#wire.hasMore();
  }

  /** Sends the reply of a verb, late if it must be, and does what follows from it. */
  answer(verb: string, outcome: Outcome): Promise<void> | undefined {
    const { dialogue } = this;
    if (this.#isClosing) return undefined;
    const final = countError(dialogue, outcome);
    if (!final.isTheirs && isRefusal(final.reply)) {
      const about =
        final.about ?? (verb === "DATA" || verb === "BDAT" ? dialogue.transaction?.envelope : undefined);
      guard(dialogue, verb, () => dialogue.services.handler.onReject(verb, final.reply, about));
    }
    const delayMs = replyDelayMs(dialogue, final);
    if (delayMs > 0) return this.sleep(delayMs).then(() => this.#answerNow(verb, final));
    this.#answerNow(verb, final);
    return undefined;
  }

  #answerNow(verb: string, final: Outcome): void {
    if (this.#isClosing) return;
    this.#send(verb, final.reply);
    if (final.endsTransaction) this.#endTransaction();
    if (final.startTls) this.#startTls();
    if (final.leaves || final.disconnect || final.reply.code === 421) this.#close(final.leaves);
    else this.#stopIfDue();
  }

  #startTls(): void {
    if (!this.#wire.startTls()) {
      this.#close();
      return;
    }
    const cut = () => {
      if (this.dialogue.session.tls === undefined) this.destroy();
    };
    this.sleep(HANDSHAKE_TIMEOUT_MS).then(cut, (error: unknown) => this.broken(error));
  }

  #endTransaction(): void {
    const { transaction } = this.dialogue;
    // A sink that ended has been answered for; anything else was given up, and the handler is told.
    if (transaction?.content?.isOver) this.dialogue.transaction = undefined;
    else dropTransaction(this.dialogue);
  }

  #stopIfDue(): void {
    if (this.#mustStop && !this.#isClosing && !this.inTransaction()) this.#cut(SHUTTING_DOWN);
  }

  #cut(answer: Reply, verb = "SESSION"): void {
    if (this.#isClosing) return;
    this.#send(verb, answer);
    this.#close();
  }

  /** `hasLeft`: the client has taken its leave. */
  #close(hasLeft = false): void {
    this.#isClosing = true;
    this.#closedAt = this.dialogue.clock.now();
    if (hasLeft) this.#wire.leave();
    else this.#wire.close();
  }

  #send(verb: string, answer: Reply): void {
    this.#wire.send(answer);
    if (this.#isVerbose) for (const line of formatLines(answer)) this.#log(">", line);
    this.dialogue.services.replied(verb, answer);
  }

  #rest(): void {
    this.#isBusy = false;
    this.pace.wait(this.dialogue.clock.now());
  }

  ended(): void {
    if (!this.#isClosing) this.#close();
  }

  secured(tls: TLSSocket): void {
    const { session } = this.dialogue;
    // RFC 3207 §4.2: what was said before TLS is forgotten.
    session.helo = "";
    session.extended = false;
    setUser(this.dialogue, undefined);
    session.tls = tlsFacts(tls);
  }

  failed(error: Error): void {
    this.#log("*", `Connection failed: ${error.message}`);
  }

  closed(): void {
    const { services, transaction } = this.dialogue;
    this.#isClosing = true;
    if (this.#watchedAt !== undefined) this.#watch.remove(this.#watchedAt);
    this.#watchedAt = undefined;
    this.#sleeper.wake();
    transaction?.content?.abort();
    this.dialogue.transaction = undefined;
    guard(this.dialogue, "disconnect", () => services.handler.onDisconnect());
    services.closed();
  }

  /** Ends the session of a client that is idle, too slow or too long, or does not close after us. */
  look(now: number): number {
    const { connector } = this.dialogue;
    if (this.#isClosing) {
      if (now - this.#closedAt >= HALF_CLOSE_MS) this.#wire.destroy();
      return this.#closedAt + HALF_CLOSE_MS - now;
    }
    // Most clients have left before they are looked at: for them it would be system calls for nothing.
    this.#wire.keepAlive();
    const verdict = this.pace.judge(now, connector, this.inTransaction());
    if (verdict !== undefined) this.#cut(VERDICTS[verdict]);
    return this.pace.nextCheckMs(now, connector);
  }

  sleep(ms: number): Promise<void> {
    return this.#sleeper.sleep(ms);
  }

  heard(line: string): void {
    if (this.#isVerbose) this.#log("<", line);
  }

  get #isVerbose(): boolean {
    return this.dialogue.connector.protocolLoggingLevel === "Verbose";
  }

  #log(direction: "<" | ">" | "*", line: string): void {
    if (this.#isVerbose) this.dialogue.services.protocolLog(direction, line);
  }

  broken(error: unknown): void {
    this.dialogue.services.fault(error, "session");
    this.#cut(reply(421, "4.3.0", INTERNAL_FAULT.text));
  }
}
