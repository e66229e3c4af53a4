/** MailTransport to TransportEntry: durations in ms, sizes in octets, the agents of its role. Pure. */
import { AgentEntry } from "../crds/agents.ts";
import { parseDuration, parseQuantity } from "../crds/common.ts";
import { type MailTransport, qualifiedName } from "../crds/mod.ts";
import type { TransportEntry } from "./schema.ts";

export function compileTransport(resource: MailTransport): TransportEntry {
  const { role, hostname, allowedNamespaces, queue, limits, backPressure, agents } = resource.spec;
  const { agentTimeout, ...counts } = limits;
  return {
    name: qualifiedName(resource),
    role,
    hostname,
    allowedNamespaces,
    queue: {
      storageSize: parseQuantity(queue.storage.size),
      messageExpirationMs: parseDuration(queue.messageExpiration),
      retryIntervalsMs: queue.retryIntervals.map(parseDuration),
      delayNotificationMs: parseDuration(queue.delayNotification),
      poisonThreshold: queue.poisonThreshold,
    },
    limits: { ...counts, agentTimeoutMs: parseDuration(agentTimeout) },
    backPressure,
    agents: agents ?? defaultAgents(role),
  };
}

/** A Hub believes its own network; an Edge faces the internet. */
function defaultAgents(role: TransportEntry["role"]): AgentEntry[] {
  const antispam = [{ connectionFilter: {} }, { senderFilter: {} }, { recipientFilter: {} }];
  const entries = [...(role === "Edge" ? antispam : []), { headerFirewall: {} }];
  return entries.map((entry) => AgentEntry.parse(entry));
}
