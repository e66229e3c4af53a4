/** Bounce: DSN requests become messages in the submission queue, from the null reverse-path to the sender (RFC 3464, RFC 5321 §6.1). */
import type { Clock } from "../lib/clock.ts";
import type { Ids } from "../lib/ids.ts";
import type { Metrics } from "../lib/metrics.ts";
import { formatAddress } from "../mail/address.ts";
import { composeDsn } from "../mail/dsn.ts";
import type { Message } from "../mail/message.ts";
import { bodyOf, readWhole } from "./content.ts";
import type { Pipeline } from "./pipeline.ts";
import type { Queue, QueueItem } from "./queue/mod.ts";
import type { DsnRequest } from "./settle.ts";
import { submissionItem } from "./submission.ts";
import { ofMessage, type Tracking } from "./tracking.ts";

export interface BounceDeps {
  pipeline(): Pipeline;
  readonly queue: Queue;
  readonly tracking: Tracking;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly metrics: Metrics;
}

/** Octets of the original that a DSN may carry whole (RET=FULL); larger ones are cut to their header. */
const MAX_ORIGINAL = 1_048_576;

/** One item per request. Insert them in the same change that ends the recipients they speak of. */
export function bounceItems(
  item: QueueItem,
  requests: readonly DsnRequest[],
  deps: BounceDeps,
): Promise<QueueItem[]> {
  return Promise.all(requests.map((request) => bounceItem(item, request, deps)));
}

async function bounceItem(item: QueueItem, request: DsnRequest, deps: BounceDeps): Promise<QueueItem> {
  const { message } = item;
  const { sender } = message.envelope;
  // settle.ts asks for no DSN to the null reverse-path.
  if (sender === null) throw new Error(`A DSN for message "${message.id}" has no one to go to`);
  const now = deps.clock.now();
  const { transport } = deps.pipeline().snapshot;
  const id = deps.ids.next();
  const whole = message.envelope.ret === "FULL" && message.body.size <= MAX_ORIGINAL;
  const { header, body, bodyType, smtpUtf8 } = composeDsn({
    kind: request.kind,
    hostname: transport.hostname,
    id,
    now,
    to: sender,
    recipients: request.recipients.map((recipient) => ({ ...recipient, willRetryUntil: item.expiresAt })),
    original: {
      envelope: message.envelope,
      receivedAt: message.origin.receivedAt,
      header: message.header,
      body: whole ? await readWhole(deps.queue, message.body) : undefined,
    },
    maxOriginalSize: MAX_ORIGINAL,
  });
  deps.metrics.dsns.inc({ kind: request.kind });
  const recipient = { address: sender, original: sender, notify: ["NEVER" as const] };
  const report: Message = {
    id,
    networkMessageId: deps.ids.uuid(),
    envelope: { sender: null, recipients: [recipient], bodyType, smtpUtf8, requireTls: false },
    origin: { receivedAt: now, clientAddress: "", helo: "", connector: "", internal: true },
    header,
    body: await bodyOf(deps.queue, body),
    priority: "Normal",
    stamps: {},
  };
  const about = request.recipients.map(({ recipient: { address } }) => formatAddress(address));
  deps.tracking.track({
    of: ofMessage(report),
    step: { event: "DSN", source: "DSN", kind: request.kind, about, reference: message.id },
  });
  return submissionItem(report, now, now + transport.queue.messageExpirationMs);
}
