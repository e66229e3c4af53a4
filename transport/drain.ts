/**
 * Drain: no new mail comes in (421 4.3.2), what waits is sent at once. Taken back, mail comes in again.
 *
 * @module
 */
import type { Logger } from "../lib/log.ts";
import type { Delivery } from "./delivery/mod.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { Queue } from "./queue/mod.ts";
import type { SmtpService } from "./smtp/mod.ts";

export interface DrainDeps {
  readonly smtp: SmtpService;
  readonly queue: Queue;
  readonly delivery: Delivery;
  readonly log: Logger;
  dispatcher(): Dispatcher | undefined;
}

export function setDraining(draining: boolean, deps: DrainDeps): void {
  deps.smtp.setDraining(draining);
  deps.log.info({}, draining ? "draining: no new mail is taken" : "drain taken back: mail is taken again");
  if (!draining) return;
  sendWhatWaits(deps).catch((cause: unknown) => {
    deps.log.warn({ cause: String(cause) }, "waiting mail not woken, it is tried at its own time");
  });
}

async function sendWhatWaits({ queue, delivery, dispatcher }: DrainDeps): Promise<void> {
  await queue.retry({ queue: "Unreachable" }, { resubmit: true });
  for (const row of await queue.summary()) {
    if (row.queue !== "Delivery") continue;
    delivery.reset(row.nextHop);
    await queue.retry({ queue: "Delivery", nextHop: row.nextHop }, { resubmit: false });
    dispatcher()?.wake(row.nextHop);
  }
}
