/** RangeIndex: the smallest of many IP ranges that holds an address, by binary search. Built once per snapshot. Pure. */
import type { IpAddress, IpRange } from "../../mail/ip-range.ts";
import { rangeSize } from "../../mail/ip-range.ts";

export interface RangeIndex<Item> {
  find(address: IpAddress): Item | undefined;
}

/** Equal ranges: the earlier item wins. */
export function indexRanges<Item extends { readonly range: IpRange }>(
  items: readonly Item[],
): RangeIndex<Item> {
  const families = {
    4: indexFamily(items.filter(({ range }) => range.family === 4)),
    6: indexFamily(items.filter(({ range }) => range.family === 6)),
  };
  return { find: (address) => families[address.family](address.value) };
}

/**
 * Cuts the line of addresses into segments at every range's ends and paints them, smallest range first;
 * a painted segment is skipped ever after, so the whole costs n log n.
 */
function indexFamily<Item extends { readonly range: IpRange }>(
  items: readonly Item[],
): (value: bigint) => Item | undefined {
  const ends = items.flatMap(({ range }) => [range.first, range.last + 1n]);
  const starts = [...new Set(ends)].sort(ascending);
  const owners: (Item | undefined)[] = starts.map(() => undefined);
  const nextFree = Int32Array.from({ length: starts.length + 1 }, (_, segment) => segment);
  const bySize = items.toSorted((a, b) => ascending(rangeSize(a.range), rangeSize(b.range)));
  for (const item of bySize) {
    const end = segmentOf(starts, item.range.last);
    let segment = firstFree(nextFree, segmentOf(starts, item.range.first));
    while (segment <= end) {
      owners[segment] = item;
      nextFree[segment] = segment + 1;
      segment = firstFree(nextFree, segment);
    }
  }
  return (value) => owners[segmentOf(starts, value)];
}

/** Position of the last start that is not above `value`; -1: below all. */
function segmentOf(starts: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0n) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Next unpainted segment at or after this one; shortens the path it walked. */
function firstFree(nextFree: Int32Array, segment: number): number {
  let free = segment;
  while (nextFree[free] !== free) free = nextFree[free] ?? free;
  let walked = segment;
  while (walked !== free) {
    const next = nextFree[walked] ?? free;
    nextFree[walked] = free;
    walked = next;
  }
  return free;
}

function ascending(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
