/**
 * Session: one SMTP connection, from the greeting to its end.
 *
 * In: a socket after PROXY header and implicit TLS, and the services of its listener. Out: events of the
 * SessionHandler, replies on the wire. Octets are taken one after the other, so order is kept under PIPELINING, and
 * nothing is read while a handler or a sink works.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import { isRefusal, type Reply, reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import {
  ask,
  type Dialogue,
  dropTransaction,
  guard,
  makeDialogue,
  type Outcome,
  refusalOf,
  setUser,
} from "./dialogue.ts";
import { Intake } from "./intake.ts";
import { countError, replyDelayMs } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { refuseSession } from "./refuse-session.ts";
import { IDLE, INTERNAL_FAULT, SHUTTING_DOWN, TALKED_TOO_SOON, TOO_LONG, TOO_SLOW } from "./replies.ts";
import { openWire, tlsFacts, type Wire } from "./wire.ts";

export interface SessionOptions {
  readonly clock: Clock;
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
  const id = randomBytes(8).toString("hex").toUpperCase();
  const connector = services.connector();
  if (connector === undefined) return refuseSession(socket, { id, endpoints, services, options });
  const dialogue = makeDialogue({ services, clock: options.clock, endpoints }, { id, connector });
  const session = new Session(socket, dialogue, options.implicitTls);
  session.start(options.earlyBytes);
  return session;
}

class Session implements SessionControl {
  readonly #dialogue: Dialogue;
  readonly #wire: Wire;
  readonly #pace: Pace;
  readonly #intake: Intake;
  readonly #gone = new AbortController();
  #isGreeted = false;
  #isBusy = false;
  #isClosing = false;
  #mustStop = false;

  constructor(socket: Socket | TLSSocket, dialogue: Dialogue, isTls: boolean) {
    const { services, session } = dialogue;
    this.#dialogue = dialogue;
    this.#pace = new Pace(dialogue.clock.now());
    if (isTls) session.tls = tlsFacts(socket as TLSSocket);
    this.#wire = openWire(
      socket,
      { id: session.id, isTls, endpoints: session, secureContext: (name) => services.secureContext(name) },
      {
        octets: (chunk) => this.#octets(chunk),
        ended: () => this.#ended(),
        secured: (tls) => this.#secured(tls),
        failed: (error) => this.#log("*", `Connection failed: ${error.message}`),
        closed: () => this.#closed(),
      },
    );
    this.#intake = new Intake({
      dialogue,
      pace: this.#pace,
      answer: (verb, outcome) => this.#answer(verb, outcome),
      hasMore: () => this.#wire.hasMore(),
      log: (line) => this.#log("<", line),
    });
  }

  get session(): SmtpSession {
    return this.#dialogue.session;
  }

  inTransaction(): boolean {
    return this.#dialogue.transaction !== undefined;
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
    this.#wire.open();
    this.#greet(earlyBytes).catch((error: unknown) => this.#broken(error));
    this.#keepTime().catch((error: unknown) => this.#broken(error));
  }

  async #greet(earlyBytes: Buffer | undefined): Promise<void> {
    const { connector, services, clock } = this.#dialogue;
    await nextPoll();
    if (earlyBytes !== undefined && earlyBytes.length > 0) this.#tooSoon();
    else await this.#sleep(connector.greetingDelayMs);
    if (this.#isClosing) return;
    this.#isBusy = true;
    this.#pace.work(clock.now(), 0);
    const answer = await ask(this.#dialogue, "CONNECT", () => services.handler.onConnect());
    const refusal = refusalOf(answer);
    const banner = reply(220, undefined, `${connector.fqdn} ESMTP ${connector.banner ?? "Postroom"}`);
    await this.#sleep(answer?.delayMs ?? 0);
    if (this.#isClosing) return;
    this.#isGreeted = true;
    this.#send("CONNECT", refusal?.reply ?? banner);
    this.#rest();
    // RFC 5321 §3.1: after a refusal only QUIT is left to say, so the connection is closed.
    if (refusal !== undefined) this.#close();
    else this.#stopIfDue();
  }

  // RFC 5321 §4.3.1: the client waits for the greeting.
  #tooSoon(): void {
    this.#dialogue.services.handler.onReject("CONNECT", TALKED_TOO_SOON);
    this.#cut(TALKED_TOO_SOON, "CONNECT");
  }

  async #octets(chunk: Buffer): Promise<void> {
    const { clock } = this.#dialogue;
    if (this.#isClosing) return;
    try {
      if (!this.#isGreeted) {
        this.#tooSoon();
        return;
      }
      this.#isBusy = true;
      this.#pace.work(clock.now(), chunk.length);
      let rest = chunk;
      while (rest.length > 0 && !this.#isClosing) rest = await this.#intake.take(rest);
    } catch (error) {
      this.#broken(error);
    }
    this.#rest();
    await this.#wire.drained();
  }

  /** Sends the reply of a verb, late if it must be, and does what follows from it. */
  async #answer(verb: string, outcome: Outcome): Promise<void> {
    const dialogue = this.#dialogue;
    if (this.#isClosing) return;
    const final = countError(dialogue, outcome);
    if (!final.isTheirs && isRefusal(final.reply)) {
      const about =
        final.about ?? (verb === "DATA" || verb === "BDAT" ? dialogue.transaction?.envelope : undefined);
      guard(dialogue, verb, () => dialogue.services.handler.onReject(verb, final.reply, about));
    }
    await this.#sleep(replyDelayMs(dialogue, final));
    if (this.#isClosing) return;
    this.#send(verb, final.reply);
    if (final.endsTransaction) this.#endTransaction();
    if (final.startTls) this.#startTls();
    if (final.disconnect || final.reply.code === 421) this.#close();
    else this.#stopIfDue();
  }

  #startTls(): void {
    if (!this.#wire.startTls()) {
      this.#close();
      return;
    }
    const cut = () => {
      if (this.#dialogue.session.tls === undefined) this.destroy();
    };
    this.#sleep(HANDSHAKE_TIMEOUT_MS).then(cut, (error: unknown) => this.#broken(error));
  }

  #endTransaction(): void {
    const { transaction } = this.#dialogue;
    // A sink that ended has been answered for; anything else was given up, and the handler is told.
    if (transaction?.content?.isOver) this.#dialogue.transaction = undefined;
    else dropTransaction(this.#dialogue);
  }

  #stopIfDue(): void {
    if (this.#mustStop && !this.#isClosing && !this.inTransaction()) this.#cut(SHUTTING_DOWN);
  }

  #cut(answer: Reply, verb = "SESSION"): void {
    if (this.#isClosing) return;
    this.#send(verb, answer);
    this.#close();
  }

  #close(): void {
    this.#isClosing = true;
    this.#wire.close();
  }

  #send(verb: string, answer: Reply): void {
    for (const line of this.#wire.send(answer)) this.#log(">", line);
    this.#dialogue.services.replied(verb, answer);
  }

  #rest(): void {
    this.#isBusy = false;
    this.#pace.wait(this.#dialogue.clock.now());
  }

  #ended(): void {
    if (!this.#isClosing) this.#close();
  }

  #secured(tls: TLSSocket): void {
    const { session } = this.#dialogue;
    // RFC 3207 §4.2: what was said before TLS is forgotten.
    session.helo = "";
    session.extended = false;
    setUser(this.#dialogue, undefined);
    session.tls = tlsFacts(tls);
  }

  #closed(): void {
    const { services, transaction } = this.#dialogue;
    this.#isClosing = true;
    this.#gone.abort();
    transaction?.content?.abort();
    this.#dialogue.transaction = undefined;
    guard(this.#dialogue, "disconnect", () => services.handler.onDisconnect());
    services.closed();
  }

  /** Ends the session of a client that is idle, too slow or too long. */
  async #keepTime(): Promise<void> {
    const { clock } = this.#dialogue;
    while (!this.#isClosing) {
      await this.#sleep(this.#pace.nextCheckMs(clock.now(), this.#dialogue.connector));
      if (this.#isClosing) return;
      const verdict = this.#pace.judge(clock.now(), this.#dialogue.connector, this.inTransaction());
      if (verdict !== undefined) this.#cut(VERDICTS[verdict]);
    }
  }

  /** Waits; returns early when the socket is gone. */
  async #sleep(ms: number): Promise<void> {
    if (ms <= 0 || this.#gone.signal.aborted) return;
    await this.#dialogue.clock.sleep(ms, this.#gone.signal).catch(() => undefined);
  }

  #log(direction: "<" | ">" | "*", line: string): void {
    const { services, connector } = this.#dialogue;
    if (connector.protocolLoggingLevel === "Verbose") services.protocolLog(direction, line);
  }

  #broken(error: unknown): void {
    this.#dialogue.services.fault(error, "session");
    this.#cut(reply(421, "4.3.0", INTERNAL_FAULT.text));
  }
}

/** Resolves when whatever lay in the socket before has been read: a turn to begin reading, one to read. */
async function nextPoll(): Promise<void> {
  await turn();
  await turn();
}
