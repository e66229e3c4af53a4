/** Smart hosts in the order to try them: priority first, equal ones taking turns. Pure; the turn is a parameter. */
import type { SendConnectorEntry } from "../../snapshot/schema.ts";

export type SmartHost = SendConnectorEntry["routing"]["smartHosts"][number];

/** `turn` counts up; each turn another of the equal hosts comes first, the rest follow for failover. */
export function orderSmartHosts(hosts: readonly SmartHost[], turn: number): SmartHost[] {
  const priorities = [...new Set(hosts.map(({ priority }) => priority))].sort((one, two) => one - two);
  return priorities.flatMap((priority) => {
    const equal = hosts.filter((host) => host.priority === priority);
    const first = turn % equal.length;
    return [...equal.slice(first), ...equal.slice(0, first)];
  });
}

/** RFC 2033 names no port; 24 is IANA's for "any private mail system", and what mailbox servers listen on. */
export function smartHostPort({ port, protocol }: SmartHost): number {
  return port ?? (protocol === "LMTP" ? 24 : 25);
}
