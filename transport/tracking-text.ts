/** TrackingText: events as JSON. What an event has in common with the one before is not written anew. Pure. */
import type { MessageFacts, TrackingEvent } from "./tracking.ts";

/** Makes a function from events to JSON without its braces. */
export function createFormat(): (event: TrackingEvent) => string {
  let facts: MessageFacts | undefined;
  let factsText = "";
  let recipients: readonly string[] | undefined;
  let recipientsText = "";
  return (event) => {
    if (event.of !== facts) {
      const { id, networkMessageId, messageId, sender } = event.of;
      factsText = JSON.stringify({ id, networkMessageId, messageId, sender }).slice(1, -1);
      facts = event.of;
    }
    const about = event.recipients ?? event.of.recipients;
    if (about !== recipients) {
      recipientsText = JSON.stringify(about);
      recipients = about;
    }
    const text = `${factsText},"recipients":${recipientsText},${JSON.stringify(event.step).slice(1, -1)}`;
    return event.more === undefined ? text : `${text},${event.more}`;
  };
}
