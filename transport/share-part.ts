/** What parts of one transport have in common, as it is handed to their threads. */
import { randomInt } from "node:crypto";
import { ID_SOURCES } from "../lib/ids.ts";
import type { LogOptions } from "../lib/log.ts";
import { allocateCounts, type CountsMemory, createSharedCounts } from "../lib/shared-counts.ts";
import { allocateRates, createSharedRates, type RatesMemory } from "../lib/shared-rates.ts";
import type { Part } from "./rooms.ts";
import type { ShareOptions } from "./share.ts";
import { allocateUse, createCommonUse, type UseMemory } from "./workers/mod.ts";

/** Shared memory of all parts; cloneable. */
export interface Commons {
  readonly counts: CountsMemory;
  readonly rates: RatesMemory;
  readonly use: UseMemory;
  /** Source of ids of the first part; the others follow it. */
  readonly idSource: number;
}

/** One part's place among them. */
export interface Place {
  /** From 0 on, no two alike. */
  readonly slot: number;
  readonly queue: string;
  /** Others listen at the same addresses. */
  readonly sharesPorts: boolean;
  readonly commons: Commons;
}

/** All that a thread opens its share with; cloneable. */
export interface ThreadData
  extends Pick<ShareOptions, "state" | "listenAddress" | "poisonThreshold" | "memoryLimit"> {
  readonly worker: number;
  readonly log: LogOptions;
  readonly place: Place;
}

export function allocateCommons(parts: number): Commons {
  return {
    counts: allocateCounts(),
    rates: allocateRates(),
    use: allocateUse(parts),
    idSource: randomInt(ID_SOURCES),
  };
}

/** The options of a share that is one part of several. */
export function partOf({
  slot,
  queue,
  sharesPorts,
  commons,
}: Place): Required<Pick<ShareOptions, "part" | "use">> {
  const part: Part = {
    queue,
    sharesPorts,
    idSource: (commons.idSource + slot) % ID_SOURCES,
    counts: createSharedCounts(commons.counts),
    rates: createSharedRates(commons.rates),
  };
  return { part, use: createCommonUse(commons.use, slot) };
}
