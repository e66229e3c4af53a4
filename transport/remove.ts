/** Remove: an administrator takes messages off the queue, with or without telling the sender. */
import { type BounceDeps, bounceItems } from "./bounce.ts";
import type { QueueItem } from "./queue/mod.ts";
import { settleFailed } from "./settle.ts";

const REMOVED = { status: "5.7.1", text: "Removed by the administrator", remoteMta: "" };

/** Ends the items in one change, with the DSNs that are due. */
export async function removeByHand(
  items: readonly QueueItem[],
  withDsn: boolean,
  deps: BounceDeps,
): Promise<void> {
  for (const item of items) {
    const failed = item.message.envelope.recipients.map((recipient) => ({ recipient, ...REMOVED }));
    const { dsns, events } = settleFailed(item, failed, "ADMIN");
    const insert = withDsn ? await bounceItems(item, dsns, deps) : [];
    await deps.queue.apply({ insert, remove: [item.message.id] });
    for (const event of events) deps.tracking.track(event);
  }
}
