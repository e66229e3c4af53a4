/** MimeMemory: summaries that intake made, until the categorizer asks; so that a message is scanned once. Bounded. */
import { SteadyMap } from "../lib/steady-map.ts";
import type { MimeSummary } from "../mail/mime.ts";

export interface MimeMemory {
  remember(networkMessageId: string, summary: MimeSummary): void;
  /** The summary, forgotten as it is given. */
  recall(networkMessageId: string): MimeSummary | undefined;
}

const MAX_ENTRIES = 1000;
const MAX_CHARACTERS = 32 * 1024 * 1024;

export function createMimeMemory(): MimeMemory {
  const entries = new SteadyMap<MimeSummary>();
  let characters = 0;
  const forget = (id: string) => {
    characters -= entries.get(id)?.textLength ?? 0;
    entries.delete(id);
  };
  return {
    remember(id, summary) {
      if (summary.textLength > MAX_CHARACTERS) return;
      entries.set(id, summary);
      characters += summary.textLength;
      for (const oldest of entries.keys()) {
        if (entries.size <= MAX_ENTRIES && characters <= MAX_CHARACTERS) break;
        forget(oldest);
      }
    },
    recall(id) {
      const summary = entries.get(id);
      if (summary !== undefined) forget(id);
      return summary;
    },
  };
}
