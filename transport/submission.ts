/** Submission: a message as it enters the queue: fresh, due now, on its way to the categorizer. Pure. */
import type { Message } from "../mail/message.ts";
import type { QueueItem } from "./queue/mod.ts";

/** Times in ms since 1970. */
export function submissionItem(message: Message, now: number, expiresAt: number): QueueItem {
  return {
    message,
    queue: "Submission",
    nextHop: undefined,
    status: "Ready",
    dueAt: now,
    expiresAt,
    attempts: 0,
    delayNotified: false,
    lastError: undefined,
    crashes: 0,
  };
}
