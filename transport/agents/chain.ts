/**
 * AgentChain: runs the agents of a transport over each event, in order.
 *
 * The first verdict that is not a tarpit ends the event. An agent that throws, answers nonsense or outlives its
 * time is answered 451 4.3.0: the message is neither lost nor passed. Nothing asynchronous, no promise.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Message, Recipient } from "../../mail/message.ts";
import { type Reply, reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type {
  Agent,
  AgentContent,
  AgentDeps,
  AgentHandlers,
  AgentHeaders,
  AgentRouting,
  AgentTransaction,
  Verdict,
} from "./agent.ts";

export type AgentEvent = Exclude<keyof AgentHandlers, "exempts">;

/** One run of one agent; feeds AGENTINFO tracking and metrics. */
export interface AgentTrace {
  /** Agent.name. */
  readonly agent: string;
  readonly event: AgentEvent;
  readonly verdict: Verdict;
  readonly durationMs: number;
  /** SmtpSession.id, "" at the categorizer's events. */
  readonly sessionId: string;
  /** Message.id, "" in a session. */
  readonly messageId: string;
  /** True when the verdict is the chain's, because the agent failed. */
  readonly failed: boolean;
}

export interface AgentChainOptions {
  /** Agents there are; an entry names one of them by its key. */
  readonly registry: readonly Agent<unknown>[];
  readonly deps: AgentDeps;
  readonly clock: Pick<Clock, "now" | "sleep">;
  /** For one asynchronous answer of one agent. */
  readonly timeoutMs: number;
  /** Keys of the agents that do not run for a receive connector (its disabledAgents). */
  disabledFor?(connector: string): ReadonlySet<string>;
  trace?(trace: AgentTrace): void;
}

type Result = Verdict | Promise<Verdict>;

export interface AgentChain {
  onConnect(session: SmtpSession): Result;
  onEhlo(session: SmtpSession, name: string): Result;
  onAuth(session: SmtpSession, user: string): Result;
  onMail(transaction: AgentTransaction): Result;
  onRcpt(transaction: AgentTransaction, recipient: Recipient): Result;
  onData(transaction: AgentTransaction): Result;
  onEndOfHeaders(transaction: AgentHeaders): Result;
  onEndOfData(transaction: AgentContent): Result;
  onReject(session: SmtpSession, verb: string, reply: Reply): void;
  onReset(session: SmtpSession): void;
  onDisconnect(session: SmtpSession): void;
  onSubmitted(routing: AgentRouting): Result;
  onResolved(routing: AgentRouting): Result;
  onRouted(routing: AgentRouting): Result;
  onCategorized(routing: AgentRouting): Result;
  /** True when an agent takes the event: without one, its facts need not be gathered. */
  listens(event: AgentEvent): boolean;
}

/** Builds the agents. Throws when an entry names none that is registered. */
export function createAgentChain(entries: readonly object[], options: AgentChainOptions): AgentChain {
  const chain = new Chain(createSteps(entries, options), options);
  return {
    onConnect: (session) => chain.inSession("onConnect", session, (on) => on.onConnect?.(session)),
    onEhlo: (session, name) => chain.inSession("onEhlo", session, (on) => on.onEhlo?.(session, name)),
    onAuth: (session, user) => chain.inSession("onAuth", session, (on) => on.onAuth?.(session, user)),
    onMail: (mail) => chain.inSession("onMail", mail.session, (on) => on.onMail?.(mail)),
    onRcpt: (mail, rcpt) => chain.inSession("onRcpt", mail.session, (on) => on.onRcpt?.(mail, rcpt)),
    onData: (mail) => chain.inSession("onData", mail.session, (on) => on.onData?.(mail)),
    onEndOfHeaders: (mail) =>
      chain.inSession("onEndOfHeaders", mail.session, (on) => on.onEndOfHeaders?.(mail)),
    onEndOfData: (mail) => chain.inSession("onEndOfData", mail.session, (on) => on.onEndOfData?.(mail)),
    onReject: (session, verb, refusal) =>
      chain.tell("onReject", session, (on) => on.onReject?.(session, verb, refusal)),
    onReset: (session) => chain.tell("onReset", session, (on) => on.onReset?.(session)),
    onDisconnect: (session) => chain.tell("onDisconnect", session, (on) => on.onDisconnect?.(session)),
    onSubmitted: (mail) => chain.inCategorizer("onSubmitted", mail.message, (on) => on.onSubmitted?.(mail)),
    onResolved: (mail) => chain.inCategorizer("onResolved", mail.message, (on) => on.onResolved?.(mail)),
    onRouted: (mail) => chain.inCategorizer("onRouted", mail.message, (on) => on.onRouted?.(mail)),
    onCategorized: (mail) =>
      chain.inCategorizer("onCategorized", mail.message, (on) => on.onCategorized?.(mail)),
    listens: (event) => chain.steps(event).length > 0,
  };
}

interface Step {
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

function createSteps(entries: readonly object[], { registry, deps, clock }: AgentChainOptions): Step[] {
  const tools = { ...deps, sleep: (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal) };
  return entries.flatMap((entry) =>
    Object.entries(entry)
      .filter(([, settings]) => settings !== undefined)
      .map(([key, settings]) => {
        const agent = registry.find((candidate) => candidate.key === key);
        if (agent === undefined) throw new Error(`Cannot build the agent chain: "${key}" is no agent`);
        return { agent, handlers: agent.create(settings, tools) };
      }),
  );
}

class Chain {
  readonly #options: AgentChainOptions;
  readonly #all: readonly Step[];
  readonly #byEvent = new Map<AgentEvent, readonly Step[]>();
  readonly #exempting: readonly Step[];

  constructor(all: readonly Step[], options: AgentChainOptions) {
    this.#all = all;
    this.#options = options;
    this.#exempting = all.filter(({ handlers }) => handlers.exempts !== undefined);
  }

  steps(event: AgentEvent): readonly Step[] {
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
  #run(steps: readonly Step[], run: Run): Result {
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

  #ask(step: Step, run: Run, startedAt: number): Result {
    try {
      const answer = run.call(step.handlers);
      if (isPromise(answer)) return this.#settle(answer, step, run, startedAt);
      return this.#report(step, run, { verdict: checked(answer), startedAt, failed: false });
    } catch (cause) {
      this.#log(step, run, cause);
      return this.#report(step, run, { verdict: FAILED, startedAt, failed: true });
    }
  }

  async #settle(pending: Promise<Verdict>, step: Step, run: Run, startedAt: number): Promise<Verdict> {
    const { clock, timeoutMs } = this.#options;
    const stop = new AbortController();
    const timeout = clock.sleep(timeoutMs, stop.signal).then(() => {
      throw new Error(`No answer within ${timeoutMs} ms`);
    });
    try {
      const verdict = checked(await Promise.race([pending, timeout]));
      return this.#report(step, run, { verdict, startedAt, failed: false });
    } catch (cause) {
      this.#log(step, run, cause);
      return this.#report(step, run, { verdict: FAILED, startedAt, failed: true });
    } finally {
      stop.abort();
    }
  }

  async #wait(answer: Result, rest: readonly Step[], run: Run): Promise<Verdict> {
    const verdict = await answer;
    const delayMs = delayOf(verdict);
    if (delayMs > 0) await this.#options.clock.sleep(delayMs);
    return verdict === undefined || verdict.action === "tarpit" ? this.#run(rest, run) : verdict;
  }

  #skips(step: Step, subject: Subject): boolean {
    if (this.#isDisabled(step, subject)) return true;
    return step.agent.antispam && (subject.internal || this.#isExempt(subject));
  }

  #isDisabled({ agent }: Step, { connector }: Subject): boolean {
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
    { agent }: Step,
    { event, subject }: Run,
    { verdict, startedAt, failed }: { verdict: Verdict; startedAt: number; failed: boolean },
  ): Verdict {
    const durationMs = this.#options.clock.now() - startedAt;
    const { sessionId, messageId } = subject;
    this.#options.trace?.({ agent: agent.name, event, verdict, durationMs, sessionId, messageId, failed });
    return verdict;
  }

  #log(
    { agent }: Step,
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

function ofSession({ connector, clientAddress, internal, id }: SmtpSession): Subject {
  return { connector, clientAddress, internal, sessionId: id, messageId: "" };
}

function ofMessage({ id, origin }: Message): Subject {
  const { connector, clientAddress, internal } = origin;
  return { connector, clientAddress, internal, sessionId: "", messageId: id };
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
