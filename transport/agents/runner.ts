/**
 * AgentRunner: runs one event over the agents that take it; knows who is skipped and what a failure means.
 *
 * @module
 */
import type { Message } from "../../mail/message.ts";
import { reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { Agent, AgentHandlers, AgentTransaction, Verdict } from "./agent.ts";
import type { AgentChainOptions, AgentEvent } from "./chain.ts";
import { EventLoopTurn, TURN_OVER } from "./event-loop-turn.ts";

type Result = Verdict | Promise<Verdict>;

/** One agent of the chain, built. */
export interface AgentStep {
  readonly agent: Agent<unknown>;
  readonly handlers: AgentHandlers;
}

/** Whom an event is about, from a session or from a stored message. */
interface Subject {
  readonly connector: string;
  readonly clientAddress: string;
  readonly internal: boolean;
  readonly sessionId: string;
  readonly messageId: string;
  readonly networkMessageId: string;
  /** No anti-spam agent sees what comes from there; undefined: not asked yet. */
  trusted: boolean | undefined;
}

interface Run {
  readonly event: AgentEvent;
  /** The agents that take it. */
  readonly steps: readonly AgentStep[];
  readonly subject: Subject;
  readonly call: (handlers: AgentHandlers) => Result;
  /** When the agent at work was asked: one reading of the clock is the end of an agent and the start of the next. */
  startedAt: number;
}

const FAILED: Verdict = {
  action: "defer",
  reply: reply(451, "4.3.0", "Temporary failure, try again later"),
};

export class AgentRunner {
  readonly #options: AgentChainOptions;
  readonly #all: readonly AgentStep[];
  readonly #byEvent = new Map<AgentEvent, readonly AgentStep[]>();
  readonly #exempting: readonly AgentStep[];
  readonly #turn = new EventLoopTurn();

  constructor(all: readonly AgentStep[], options: AgentChainOptions) {
    this.#all = all;
    this.#options = options;
    this.#exempting = all.filter(({ handlers }) => handlers.exempts !== undefined);
  }

  steps(event: AgentEvent): readonly AgentStep[] {
    let steps = this.#byEvent.get(event);
    if (steps === undefined) {
      steps = this.#all.filter(({ handlers }) => handlers[event] !== undefined);
      this.#byEvent.set(event, steps);
    }
    return steps;
  }

  inSession(event: AgentEvent, session: SmtpSession, call: Run["call"]): Result {
    const steps = this.steps(event);
    if (steps.length === 0) return undefined;
    return this.#run({ event, steps, subject: ofSession(session, ""), call, startedAt: 0 });
  }

  inTransaction(event: AgentEvent, mail: AgentTransaction, call: Run["call"]): Result {
    const steps = this.steps(event);
    if (steps.length === 0) return undefined;
    const subject = ofSession(mail.session, mail.networkMessageId);
    return this.#run({ event, steps, subject, call, startedAt: 0 });
  }

  inCategorizer(event: AgentEvent, message: Message, call: Run["call"]): Result {
    const steps = this.steps(event);
    if (steps.length === 0) return undefined;
    return this.#run({ event, steps, subject: ofMessage(message), call, startedAt: 0 });
  }

  /** Events without an answer. A failure is logged; the other agents still hear of it. */
  tell(event: AgentEvent, session: SmtpSession, call: (handlers: AgentHandlers) => void): void {
    const steps = this.steps(event);
    if (steps.length === 0) return;
    const subject = ofSession(session, "");
    for (const step of steps) {
      // The end of a session is told to all: an agent may have counted it before the client proved to be internal.
      if (event === "onReject" ? this.#skips(step, subject) : this.#isDisabled(step, subject)) continue;
      const fault = (cause: unknown) => this.#log(step, { event, subject }, cause);
      try {
        const answer: unknown = call(step.handlers);
        if (isPromise(answer)) answer.then(undefined, fault);
      } catch (cause) {
        fault(cause);
      }
    }
  }

  /** From one of the agents on. Synchronous until an agent answers with a promise or a delay. */
  #run(run: Run, from = 0): Result {
    const { steps, subject } = run;
    run.startedAt = this.#options.clock.now();
    for (let at = from; at < steps.length; at++) {
      const step = steps[at];
      if (step === undefined || this.#skips(step, subject)) continue;
      const answer = this.#ask(step, run);
      if (answer === undefined) continue;
      if (isPromise(answer) || delayOf(answer) > 0) return this.#wait(answer, run, at + 1);
      if (answer.action !== "tarpit") return answer;
    }
    return undefined;
  }

  #ask(step: AgentStep, run: Run): Result {
    try {
      const answer = run.call(step.handlers);
      return isPromise(answer) ? this.#settle(answer, step, run) : this.#report(step, run, checked(answer));
    } catch (cause) {
      return this.#failed(step, run, cause);
    }
  }

  async #settle(pending: Promise<Verdict>, step: AgentStep, run: Run): Promise<Verdict> {
    try {
      // Most promises wait for no I/O: a timer is armed only for those that outlive this turn of the event loop.
      const early = await this.#turn.within(pending);
      const verdict = early === TURN_OVER ? await this.#inTime(pending) : early;
      return this.#report(step, run, checked(verdict));
    } catch (cause) {
      return this.#failed(step, run, cause);
    }
  }

  async #inTime(pending: Promise<Verdict>): Promise<Verdict> {
    const { clock, timeoutMs } = this.#options;
    const stop = new AbortController();
    const timeout = clock.sleep(timeoutMs, stop.signal).then(() => {
      throw new Error(`No answer within ${timeoutMs} ms`);
    });
    try {
      return await Promise.race([pending, timeout]);
    } finally {
      stop.abort();
    }
  }

  /** Goes on with the agents from `next` on, when the answer lets it. */
  async #wait(answer: Result, run: Run, next: number): Promise<Verdict> {
    const verdict = await answer;
    const delayMs = delayOf(verdict);
    if (delayMs > 0) await this.#options.clock.sleep(delayMs);
    return verdict === undefined || verdict.action === "tarpit" ? this.#run(run, next) : verdict;
  }

  #skips(step: AgentStep, subject: Subject): boolean {
    if (this.#isDisabled(step, subject)) return true;
    if (!step.agent.antispam) return false;
    subject.trusted ??= subject.internal || this.#isExempt(subject);
    return subject.trusted;
  }

  #isDisabled({ agent }: AgentStep, { connector }: Subject): boolean {
    return this.#options.disabledFor?.(connector).has(agent.key) ?? false;
  }

  #isExempt(subject: Subject): boolean {
    return this.#exempting.some((step) => {
      if (this.#isDisabled(step, subject)) return false;
      try {
        return step.handlers.exempts?.(subject.clientAddress) === true;
      } catch (cause) {
        this.#log(step, { event: "exempts", subject }, cause);
        return false;
      }
    });
  }

  #failed(step: AgentStep, run: Run, cause: unknown): Verdict {
    this.#log(step, run, cause);
    return this.#report(step, run, FAILED, true);
  }

  #report({ agent }: AgentStep, run: Run, verdict: Verdict, failed = false): Verdict {
    const { event, subject, startedAt } = run;
    run.startedAt = this.#options.clock.now();
    this.#options.trace?.({
      agent: agent.name,
      event,
      verdict,
      durationMs: run.startedAt - startedAt,
      sessionId: subject.sessionId,
      messageId: subject.messageId,
      networkMessageId: subject.networkMessageId,
      failed,
    });
    return verdict;
  }

  #log(
    { agent }: AgentStep,
    { event, subject }: { event: keyof AgentHandlers; subject: Subject },
    cause: unknown,
  ): void {
    const { sessionId, messageId } = subject;
    // The first line only: a message of an error may quote what it could not read.
    const line = String(cause).split("\n", 1)[0]?.slice(0, 200);
    this.#options.deps.log.warn(
      { agent: agent.name, event, sessionId, messageId, cause: line },
      "agent failed",
    );
  }
}

function ofSession(session: SmtpSession, networkMessageId: string): Subject {
  return {
    connector: session.connector,
    clientAddress: session.clientAddress,
    internal: session.internal,
    sessionId: session.id,
    messageId: "",
    networkMessageId,
    trusted: undefined,
  };
}

function ofMessage({ id, networkMessageId, origin }: Message): Subject {
  return {
    connector: origin.connector,
    clientAddress: origin.clientAddress,
    internal: origin.internal,
    sessionId: "",
    messageId: id,
    networkMessageId,
    trusted: undefined,
  };
}

function delayOf(verdict: Verdict): number {
  return verdict !== undefined && "delayMs" in verdict ? (verdict.delayMs ?? 0) : 0;
}

/** A refusal that is no refusal would confuse the client: it is the agent's failure. */
function checked(verdict: Verdict): Verdict {
  if (verdict?.action !== "reject" && verdict?.action !== "defer") return verdict;
  const { code } = verdict.reply;
  if (Math.floor(code / 100) === (verdict.action === "reject" ? 5 : 4)) return verdict;
  throw new Error(`Cannot ${verdict.action} with the reply ${code}`);
}

function isPromise(value: unknown): value is Promise<Verdict> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
