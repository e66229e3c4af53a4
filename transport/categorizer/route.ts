/**
 * Route: from recipients to next hops, by Exchange's order.
 *
 * Connectors too small for the message are left out, then the most specific address space wins (the exact
 * name, *.parent by length, *), then the lowest cost, then the name. No connector: unreachable, which is a
 * result. Pure: MX records are delivery's business (RFC 5321 §5.1).
 *
 * @module
 */
import { isAddressLiteral } from "../../mail/domain.ts";
import type { Recipient } from "../../mail/message.ts";
import { type NextHop, nextHop } from "../../mail/next-hop.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";
import { explainOverride, explainRoute } from "./explain.ts";
import type { RouteCandidate, RouteFacts, Router, Routing } from "./mod.ts";
import { compareSpaces, isTooSmall, type Space, spacesOf } from "./space.ts";

interface SpaceIndex {
  readonly exact: ReadonlyMap<string, readonly Space[]>;
  readonly subtree: ReadonlyMap<string, readonly Space[]>;
  readonly any: readonly Space[];
  readonly byName: ReadonlyMap<string, SendConnectorEntry>;
}

/** "too-small": a connector matches, none takes the size. undefined: none matches. */
type Choice = SendConnectorEntry | "too-small" | undefined;

/** Route of one domain: the same for all its recipients. */
interface DomainRoute {
  readonly choice: Choice;
  readonly nextHop: NextHop | undefined;
  readonly candidates: readonly RouteCandidate[];
}

/** Indexes the address spaces: a route costs as many look-ups as the domain has labels, not as connectors exist. */
export function createRouter(connectors: readonly SendConnectorEntry[], domains: DomainTable): Router {
  const spaces = connectors.flatMap(spacesOf);
  const index = indexSpaces(connectors, spaces);
  return {
    route(recipients, facts, { explain = false } = {}) {
      const decide = (domain: string): DomainRoute => {
        const choice = choose(index, domain, facts);
        const hop = typeof choice === "object" ? hopOf(choice, domain, facts) : undefined;
        const candidates = explain ? explainDomain(spaces, choice, { domain, facts, domains }) : [];
        return { choice, nextHop: hop, candidates };
      };
      return collect(recipients, decide, { size: facts.size, explain });
    },
  };
}

function indexSpaces(connectors: readonly SendConnectorEntry[], spaces: readonly Space[]): SpaceIndex {
  const exact = new Map<string, Space[]>();
  const subtree = new Map<string, Space[]>();
  const any: Space[] = [];
  const sorted = spaces.filter(({ connector }) => !connector.transportRuleScoped).sort(compareSpaces);
  for (const space of sorted) {
    if (space.kind === "Any") any.push(space);
    else append(space.kind === "Exact" ? exact : subtree, space);
  }
  const byName = new Map(connectors.map((connector) => [connector.name, connector]));
  return { exact, subtree, any, byName };
}

function append(map: Map<string, Space[]>, space: Space): void {
  const list = map.get(space.domain);
  if (list === undefined) map.set(space.domain, [space]);
  else list.push(space);
}

function choose(index: SpaceIndex, domain: string, { size, connectorOverride }: RouteFacts): Choice {
  if (connectorOverride !== undefined) {
    const connector = index.byName.get(connectorOverride);
    return connector !== undefined && isTooSmall(connector, size) ? "too-small" : connector;
  }
  let choice: Choice;
  for (const spaces of matching(index, domain)) {
    const found = spaces.find(({ connector }) => !isTooSmall(connector, size));
    if (found !== undefined) return found.connector;
    choice = "too-small";
  }
  return choice;
}

/** Spaces that hold the domain, the most specific first, each list by cost and name. */
function* matching({ exact, subtree, any }: SpaceIndex, domain: string): Generator<readonly Space[]> {
  // RFC 5321 §4.1.3: an address literal has no parents; "" is <postmaster>, which no space but * holds.
  if (!isAddressLiteral(domain)) {
    const same = exact.get(domain);
    if (same !== undefined) yield same;
    for (let from = 0; from >= 0; from = nextLabel(domain, from)) {
      const below = subtree.get(domain.slice(from));
      if (below !== undefined) yield below;
    }
  }
  if (any.length > 0) yield any;
}

function nextLabel(domain: string, from: number): number {
  const dot = domain.indexOf(".", from);
  return dot < 0 ? -1 : dot + 1;
}

/** MX: one queue for each recipient domain. SmartHost, Drop: one for the connector. */
function hopOf({ name, routing }: SendConnectorEntry, domain: string, { requireTls }: RouteFacts): NextHop {
  return nextHop(name, routing.type === "MX" ? domain : "", requireTls);
}

function explainDomain(
  spaces: readonly Space[],
  choice: Choice,
  context: { domain: string; facts: RouteFacts; domains: DomainTable },
): readonly RouteCandidate[] {
  const chosen = typeof choice === "object" ? choice : undefined;
  return context.facts.connectorOverride === undefined
    ? explainRoute(spaces, chosen, context)
    : explainOverride(spaces, choice, context.facts.connectorOverride);
}

function collect(
  recipients: readonly Recipient[],
  decide: (domain: string) => DomainRoute,
  { size, explain }: { size: number; explain: boolean },
): Routing {
  const decided = new Map<string, DomainRoute>();
  const routes = new Map<string, { nextHop: NextHop; recipients: Recipient[] }>();
  const routing = {
    unreachable: [] as Recipient[],
    failed: [] as Routing["failed"][number][],
    explanation: [] as Routing["explanation"][number][],
  };
  for (const recipient of recipients) {
    const { domain } = recipient.address;
    const route = decided.get(domain) ?? decide(domain);
    decided.set(domain, route);
    if (explain) routing.explanation.push({ recipient, candidates: route.candidates });
    if (route.choice === "too-small") routing.failed.push(tooBig(recipient, size));
    else if (route.nextHop === undefined) routing.unreachable.push(recipient);
    else addTo(routes, route.nextHop, recipient);
  }
  return { routes: [...routes.values()], ...routing };
}

function addTo(
  routes: Map<string, { nextHop: NextHop; recipients: Recipient[] }>,
  hop: NextHop,
  recipient: Recipient,
): void {
  const route = routes.get(hop.key);
  if (route === undefined) routes.set(hop.key, { nextHop: hop, recipients: [recipient] });
  else route.recipients.push(recipient);
}

function tooBig(recipient: Recipient, size: number): Routing["failed"][number] {
  // RFC 3463 X.3.4: message too big for system.
  return { recipient, status: "5.3.4", text: `Message of ${size} octets is too big for every route` };
}
