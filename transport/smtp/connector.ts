/**
 * Chooses the receive connector of a client: on the binding it reached, the most specific range that holds it wins. Pure.
 *
 * @module
 */
import { type IpAddress, type IpRange, parseIp, rangeContains, rangeSize } from "../../mail/ip-range.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { bindingsAt, type Claim, type ConnectorTable, type LocalEnd, parseRanges } from "./binding.ts";

export type Verdict =
  | "selected"
  | "a more specific range wins"
  | "a binding with its own address wins"
  | "client outside its ranges";

export interface Candidate {
  readonly connector: string;
  /** Its most specific range that holds the client. */
  readonly range: string | undefined;
  readonly verdict: Verdict;
}

export interface Selection {
  readonly connector: ReceiveConnectorEntry | undefined;
  readonly range: string | undefined;
  readonly candidates: readonly Candidate[];
}

/** The connector for this client, without the explanation: what each connection asks. */
export function findConnector(table: ConnectorTable, local: LocalEnd, client: string): Claim | undefined {
  const address = parseIp(client);
  if (address === undefined) return undefined;
  for (const binding of bindingsAt(table, local)) {
    const claim = binding.index.find(address);
    if (claim !== undefined) return claim;
  }
  return undefined;
}

/** The connector for this client, with every connector of the port and why it was or was not chosen. */
export function selectConnector(table: ConnectorTable, local: LocalEnd, client: string): Selection {
  const winner = findConnector(table, local, client);
  const address = parseIp(client);
  const candidates: Candidate[] = [];
  let settled = false;
  for (const binding of bindingsAt(table, local)) {
    for (const { connector } of binding.members) {
      const range = address === undefined ? undefined : narrowestRange(connector, address);
      const isWinner = !settled && connector === winner?.connector && range !== undefined;
      candidates.push({
        connector: connector.name,
        range: range?.text,
        verdict: verdict(range, isWinner, settled),
      });
    }
    settled ||=
      winner !== undefined && binding.members.some((member) => member.connector === winner.connector);
  }
  return { connector: winner?.connector, range: winner?.range.text, candidates };
}

function narrowestRange(connector: ReceiveConnectorEntry, client: IpAddress): IpRange | undefined {
  const holding = parseRanges(connector.remoteIPRanges).filter((range) => rangeContains(range, client));
  return holding.reduce<IpRange | undefined>(
    (best, range) => (best === undefined || rangeSize(range) < rangeSize(best) ? range : best),
    undefined,
  );
}

function verdict(range: IpRange | undefined, isWinner: boolean, settled: boolean): Verdict {
  if (range === undefined) return "client outside its ranges";
  if (isWinner) return "selected";
  return settled ? "a binding with its own address wins" : "a more specific range wins";
}
