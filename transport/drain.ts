/**
 * Drain: no new mail comes in (421 4.3.2), what waits is sent at once. Taken back, mail comes in again.
 *
 * @module
 */
import type { Logger } from "../lib/log.ts";
import type { Queue } from "./queue/mod.ts";
import type { SmtpService } from "./smtp/mod.ts";

export interface DrainDeps {
  readonly smtp: SmtpService;
  readonly queue: Queue;
  readonly log: Logger;
}

export function setDraining(draining: boolean, deps: DrainDeps): void {
  deps.smtp.setDraining(draining);
  deps.log.info({}, draining ? "draining: no new mail is taken" : "drain taken back: mail is taken again");
  if (!draining) return;
  sendWhatWaits(deps.queue).catch((cause: unknown) => {
    deps.log.warn({ cause: String(cause) }, "waiting mail not woken, it is tried at its own time");
  });
}

async function sendWhatWaits(queue: Queue): Promise<void> {
  await queue.retry({ queue: "Unreachable" }, { resubmit: true });
  await queue.retry({ queue: "Delivery" }, { resubmit: false });
}
