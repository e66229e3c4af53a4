/** Explain: why each connector was chosen for a domain, or was not. Asked for by `postroom explain`; never on the hot path. */
import { isAddressLiteral, isSameOrSubdomain } from "../../mail/domain.ts";
import type { DomainTable } from "../../snapshot/domain-table.ts";
import type { SendConnectorEntry } from "../../snapshot/schema.ts";
import type { RouteCandidate, RouteFacts } from "./mod.ts";
import { compareSpaces, isTooSmall, type Space, specificity } from "./space.ts";

interface Context {
  readonly domain: string;
  readonly facts: RouteFacts;
  readonly domains: DomainTable;
}

/** One line for each connector, its best address space, the chosen one first, those that do not match last. */
export function explainRoute(
  spaces: readonly Space[],
  chosen: SendConnectorEntry | undefined,
  context: Context,
): RouteCandidate[] {
  const ranked = bestSpaces(spaces, context.domain);
  const winner = ranked.find(({ connector }) => connector === chosen);
  const ordered = winner === undefined ? ranked : [winner, ...ranked.filter((space) => space !== winner)];
  return ordered.map((space) => candidate(space, verdictOn(space, winner, context)));
}

export function explainOverride(
  spaces: readonly Space[],
  choice: SendConnectorEntry | "too-small" | undefined,
  override: string,
): RouteCandidate[] {
  const others = bestSpaces(spaces, "").filter(({ connector }) => connector.name !== override);
  return [
    { connector: override, addressSpace: "", cost: 0, verdict: overrideVerdict(choice) },
    ...others.map((space) => candidate(space, `a rule chose ${override}`)),
  ];
}

function overrideVerdict(choice: SendConnectorEntry | "too-small" | undefined): string {
  if (choice === "too-small") return "chosen by a rule, but too small for the message";
  return choice === undefined ? "chosen by a rule, but there is no such connector" : "chosen by a rule";
}

function candidate({ connector, text, cost }: Space, verdict: string): RouteCandidate {
  return { connector: connector.name, addressSpace: text, cost, verdict };
}

/** For each connector the space that ranks first, in the order of ranking. */
function bestSpaces(spaces: readonly Space[], domain: string): Space[] {
  const rank = (space: Space) => (matches(space, domain) ? specificity(space) : -1);
  const compare = (a: Space, b: Space) => compareNumbers(rank(b), rank(a)) || compareSpaces(a, b);
  const seen = new Set<SendConnectorEntry>();
  return [...spaces].sort(compare).filter(({ connector }) => {
    if (seen.has(connector)) return false;
    seen.add(connector);
    return true;
  });
}

/** Like subtraction, but equal infinities are equal. */
function compareNumbers(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

function matches({ kind, domain: space }: Space, domain: string): boolean {
  if (kind === "Any") return true;
  if (isAddressLiteral(domain)) return false;
  return kind === "Exact" ? domain === space : isSameOrSubdomain(domain, space);
}

function verdictOn(space: Space, winner: Space | undefined, { domain, facts, domains }: Context): string {
  const { connector, cost } = space;
  if (space === winner) return `chosen${loopWarning(space, domain, domains)}`;
  if (!matches(space, domain)) return "address space does not match";
  if (connector.transportRuleScoped) return "only rules choose this connector";
  if (isTooSmall(connector, facts.size)) return `too small for ${facts.size} octets`;
  if (winner === undefined) return "not chosen";
  if (specificity(space) !== specificity(winner)) return `less specific than ${winner.text}`;
  if (cost !== winner.cost) return `cost ${cost} > ${winner.cost}`;
  return `name after ${winner.connector.name}`;
}

/** Mail for a domain of ours that only * takes, by MX, comes back when the MX records name us. */
function loopWarning({ kind, connector }: Space, domain: string, domains: DomainTable): string {
  if (kind !== "Any" || connector.routing.type !== "MX" || !domains.isInside(domain)) return "";
  return `, but ${domain} is ours: mail loops if its MX records name this transport`;
}
