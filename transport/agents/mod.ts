/** Door of the agents room: the built-in agents, the chain that runs them, and the shape to write your own (docs/agents.md). */
import type { Agent } from "./agent.ts";
import { attachmentFilter } from "./attachment-filter.ts";
import { connectionFilter } from "./connection-filter.ts";
import { headerFirewall } from "./header-firewall.ts";
import { recipientFilter } from "./recipient-filter.ts";
import { senderFilter } from "./sender-filter.ts";

export type {
  Agent,
  AgentContent,
  AgentDeps,
  AgentHandlers,
  AgentHeaders,
  AgentRouting,
  AgentTools,
  AgentTransaction,
  Verdict,
} from "./agent.ts";
export {
  type AgentChain,
  type AgentChainOptions,
  type AgentEvent,
  type AgentTrace,
  createAgentChain,
} from "./chain.ts";

/** Every agent that a MailTransport may name. Their order there is the order in which they run. */
export const builtInAgents: readonly Agent<unknown>[] = [
  connectionFilter,
  senderFilter,
  recipientFilter,
  headerFirewall,
  attachmentFilter,
];
