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
  readonly subject: Subject;
  readonly call: (handlers: AgentHandlers) => Result;
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
    return steps.length === 0 ? undefined : this.#run(steps, { event, subject: ofSession(session), call });
  }

  inTransaction(event: AgentEvent, mail: AgentTransaction, call: Run["call"]): Result {
    const steps = this.steps(event);
    if (steps.length === 0) return undefined;
    return this.#run(steps, { event, subject: ofSession(mail.session, mail.networkMessageId), call });
  }

  inCategorizer(event: AgentEvent, message: Message, call: Run["call"]): Result {
    const steps = this.steps(event);
    return steps.length === 0 ? undefined : this.#run(steps, { event, subject: ofMessage(message), call });
  }

  /** Events without an answer. A failure is logged; the other agents still hear of it. */
  tell(event: AgentEvent, session: SmtpSession, call: (handlers: AgentHandlers) => void): void {
    const subject = ofSession(session);
    for (const step of this.steps(event)) {
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

  /** Synchronous until an agent answers with a promise or a delay. */
  #run(steps: readonly AgentStep[], run: Run): Result {
    for (const [index, step] of steps.entries()) {
      if (this.#skips(step, run.subject)) continue;
      const startedAt = this.#options.clock.now();
      const answer = this.#ask(step, run, startedAt);
      if (answer === undefined) continue;
      if (isPromise(answer) || delayOf(answer) > 0) return this.#wait(answer, steps.slice(index + 1), run);
      if (answer.action !== "tarpit") return answer;
    }
    return undefined;
  }

  #ask(step: AgentStep, run: Run, startedAt: number): Result {
    try {
      const answer = run.call(step.handlers);
      if (isPromise(answer)) return this.#settle(answer, step, run, startedAt);
      return this.#report(step, run, { verdict: checked(answer), startedAt, failed: false });
    } catch (cause) {
      this.#log(step, run, cause);
      return this.#report(step, run, { verdict: FAILED, startedAt, failed: true });
    }
  }

  async #settle(pending: Promise<Verdict>, step: AgentStep, run: Run, startedAt: number): Promise<Verdict> {
    try {
      // Most promises wait for no I/O: a timer is armed only for those that outlive this turn of the event loop.
      const early = await Promise.race([pending, this.#turn.over()]);
      const verdict = checked(early === TURN_OVER ? await this.#inTime(pending) : early);
      return this.#report(step, run, { verdict, startedAt, failed: false });
    } catch (cause) {
      this.#log(step, run, cause);
      return this.#report(step, run, { verdict: FAILED, startedAt, failed: true });
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

  async #wait(answer: Result, rest: readonly AgentStep[], run: Run): Promise<Verdict> {
    const verdict = await answer;
    const delayMs = delayOf(verdict);
    if (delayMs > 0) await this.#options.clock.sleep(delayMs);
    return verdict === undefined || verdict.action === "tarpit" ? this.#run(rest, run) : verdict;
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

  #report(
    { agent }: AgentStep,
    { event, subject }: Run,
    { verdict, startedAt, failed }: { verdict: Verdict; startedAt: number; failed: boolean },
  ): Verdict {
    const durationMs = this.#options.clock.now() - startedAt;
    const { sessionId, messageId, networkMessageId } = subject;
    const { name } = agent;
    const ids = { sessionId, messageId, networkMessageId };
    this.#options.trace?.({ agent: name, event, verdict, durationMs, failed, ...ids });
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

function ofSession(session: SmtpSession, networkMessageId = ""): Subject {
  const { connector, clientAddress, internal, id } = session;
  const ids = { sessionId: id, messageId: "", networkMessageId };
  return { connector, clientAddress, internal, ...ids, trusted: undefined };
}

function ofMessage({ id, networkMessageId, origin }: Message): Subject {
  const { connector, clientAddress, internal } = origin;
  const ids = { sessionId: "", messageId: id, networkMessageId };
  return { connector, clientAddress, internal, ...ids, trusted: undefined };
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
