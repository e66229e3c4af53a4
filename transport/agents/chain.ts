/**
 * AgentChain: runs the agents of a transport over each event, in order.
 *
 * The first verdict that is not a tarpit ends the event. An agent that throws, answers nonsense or outlives its
 * time is answered 451 4.3.0: the message is neither lost nor passed. Nothing asynchronous, no promise.
 *
 * @module
 */
import type { Clock } from "../../lib/clock.ts";
import type { Recipient } from "../../mail/message.ts";
import type { Reply } from "../../mail/reply.ts";
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
import { AgentRunner, type AgentStep } from "./runner.ts";

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
  /** Of the transaction or the message; "" before MAIL. */
  readonly networkMessageId: string;
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
  const runner = new AgentRunner(createSteps(entries, options), options);
  return {
    onConnect: (session) => runner.inSession("onConnect", session, (on) => on.onConnect?.(session)),
    onEhlo: (session, name) => runner.inSession("onEhlo", session, (on) => on.onEhlo?.(session, name)),
    onAuth: (session, user) => runner.inSession("onAuth", session, (on) => on.onAuth?.(session, user)),
    onMail: (mail) => runner.inTransaction("onMail", mail, (on) => on.onMail?.(mail)),
    onRcpt: (mail, rcpt) => runner.inTransaction("onRcpt", mail, (on) => on.onRcpt?.(mail, rcpt)),
    onData: (mail) => runner.inTransaction("onData", mail, (on) => on.onData?.(mail)),
    onEndOfHeaders: (mail) => runner.inTransaction("onEndOfHeaders", mail, (on) => on.onEndOfHeaders?.(mail)),
    onEndOfData: (mail) => runner.inTransaction("onEndOfData", mail, (on) => on.onEndOfData?.(mail)),
    onReject: (session, verb, refusal) =>
      runner.tell("onReject", session, (on) => on.onReject?.(session, verb, refusal)),
    onReset: (session) => runner.tell("onReset", session, (on) => on.onReset?.(session)),
    onDisconnect: (session) => runner.tell("onDisconnect", session, (on) => on.onDisconnect?.(session)),
    onSubmitted: (mail) => runner.inCategorizer("onSubmitted", mail.message, (on) => on.onSubmitted?.(mail)),
    onResolved: (mail) => runner.inCategorizer("onResolved", mail.message, (on) => on.onResolved?.(mail)),
    onRouted: (mail) => runner.inCategorizer("onRouted", mail.message, (on) => on.onRouted?.(mail)),
    onCategorized: (mail) =>
      runner.inCategorizer("onCategorized", mail.message, (on) => on.onCategorized?.(mail)),
    listens: (event) => runner.steps(event).length > 0,
  };
}

function createSteps(entries: readonly object[], { registry, deps, clock }: AgentChainOptions): AgentStep[] {
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
