/** Turns: which messages are categorized side by side. One that outlived a crash goes alone, so that the next crash blames nobody else. */
import type { QueueItem } from "./queue/mod.ts";

export function inTurns(items: readonly QueueItem[]): readonly (readonly QueueItem[])[] {
  const innocent = items.filter(({ crashes }) => crashes === 0);
  const suspects = items.filter(({ crashes }) => crashes > 0).map((item) => [item]);
  return innocent.length === 0 ? suspects : [innocent, ...suspects];
}
