/**
 * IP list: is a client on a list of ranges, some of which expire? Asked several times a message, mostly of the same clients.
 *
 * @module
 */
import { type IpRange, parseIp, parseIpRange, rangeContains } from "../../mail/ip-range.ts";

export interface IpListEntry {
  readonly range: string;
  /** RFC 3339; undefined: never. */
  readonly expires?: string | undefined;
}

interface Entry {
  readonly range: IpRange;
  readonly expiresAt: number;
}

/** Clients whose answer is kept; then all are forgotten. */
const MAX_KEPT = 10_000;

/** `now`: milliseconds since 1970. Text that is no address is on no list. */
export function createIpList(texts: readonly IpListEntry[]): (clientAddress: string, now: number) => boolean {
  const entries = texts.flatMap(readEntry);
  /** Until when each client is listed. */
  const listed = new Map<string, number>();
  return (clientAddress, now) => {
    if (entries.length === 0) return false;
    let until = listed.get(clientAddress);
    if (until === undefined) {
      until = listedUntil(entries, clientAddress);
      if (listed.size >= MAX_KEPT) listed.clear();
      listed.set(clientAddress, until);
    }
    return now < until;
  };
}

function readEntry({ range: text, expires }: IpListEntry): Entry[] {
  const range = parseIpRange(text);
  const expiresAt = expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires);
  return range === undefined || Number.isNaN(expiresAt) ? [] : [{ range, expiresAt }];
}

/** When the last entry that holds the client expires. */
function listedUntil(entries: readonly Entry[], clientAddress: string): number {
  const address = parseIp(clientAddress);
  if (address === undefined) return Number.NEGATIVE_INFINITY;
  return entries
    .filter(({ range }) => rangeContains(range, address))
    .reduce((latest, { expiresAt }) => Math.max(latest, expiresAt), Number.NEGATIVE_INFINITY);
}
