/**
 * Internal kinds by which a snapshot reaches the pods: TransportSnapshot (the head), SnapshotChunk (its immutable parts),
 * TransportPod (one a pod: the operator says what it shall do, the pod says what it does). Users read them only.
 *
 * Unknown fields are passed over: a pod may be older than the operator. One write of the head is the switch. A revision is the pair of a snapshot digest and a keys digest; its number is a label.
 *
 * @module
 */
import { z } from "zod";
import { DnsLabel } from "./common.ts";
import { matching, withRules } from "./validation.ts";

const Digest = matching(/^[0-9a-f]{64}$/, "sha256 as 64 hexadecimal digits")
  .max(64)
  .describe("sha256, hexadecimal.");
const Time = z.iso.datetime({ offset: true });

const KeysRef = z.object({
  secret: DnsLabel.describe(
    "Secret in this namespace that holds certificates, keys and passwords; immutable.",
  ),
  digest: Digest.describe("HMAC-SHA256 of its content under the salt that the Secret holds."),
});
export type KeysRef = z.infer<typeof KeysRef>;

const Revision = z.object({
  revision: z.number().int().min(1).describe("Counts up; a label for people."),
  digest: Digest.describe("Digest of the snapshot: sha256 of its index chunk's text."),
  keys: KeysRef.optional().describe(
    "Where the keys lie; left out: the snapshot names no Secret that exists.",
  ),
});
export type Revision = z.infer<typeof Revision>;

const refusalFields = {
  message: z.string().max(4096).describe("Why: object, field, mend."),
  objects: z
    .array(z.string().max(700))
    .max(100)
    .default([])
    .describe("Objects at fault, as kind/namespace/name: they fall back to their last good form."),
};

export const TransportSnapshotSpec = z.object({
  formatVersion: z.literal(1).describe("Format of index and chunks."),
  current: Revision.describe("What every pod shall serve, but for the canary."),
  canary: Revision.extend({
    pod: DnsLabel.describe("The one pod that serves it first."),
    since: Time.describe("When it was offered."),
  })
    .optional()
    .describe("A revision on trial."),
  refused: Revision.extend({ pod: DnsLabel.describe("The pod that refused it."), ...refusalFields })
    .optional()
    .describe("The last revision that a pod refused; it is not offered again."),
  history: z
    .array(Revision.omit({ keys: true }))
    .max(5)
    .default([])
    .describe("Earlier revisions whose chunks are kept for spec.rollbackTo, newest first."),
});
export type TransportSnapshotSpec = z.infer<typeof TransportSnapshotSpec>;

export const SnapshotChunkSpec = withRules(
  z.object({
    digest: Digest.describe("sha256 of the text before compression."),
    encoding: z.literal("zstd").describe("Compression of `data`."),
    data: z.string().max(1_400_000).describe("Base64 of the compressed text."),
  }),
  { rule: "self == oldSelf", message: "a chunk never changes: write another one" },
);
export type SnapshotChunkSpec = z.infer<typeof SnapshotChunkSpec>;

export const TransportPodSpec = z.object({
  transport: DnsLabel.describe("Name of the MailTransport in this namespace."),
  drain: z
    .boolean()
    .default(false)
    .describe("True: take no new mail (421), deliver what the queue holds, and say when it is empty."),
});
export type TransportPodSpec = z.infer<typeof TransportPodSpec>;

export const TransportPodStatus = z.object({
  snapshot: Revision.optional().describe("The revision in force in this pod."),
  refused: Revision.extend(refusalFields)
    .optional()
    .describe("The last revision it refused; gone with the next one it takes."),
  source: z
    .enum(["API", "Disk"])
    .optional()
    .describe("Disk: it started from its last good snapshot, without the API server."),
  queue: z
    .strictObject({
      messages: z
        .number()
        .int()
        .min(0)
        .describe("Messages on this pod's volume, poison and quarantine not counted."),
      oldestMessageTime: Time.optional().describe("When the oldest of them was accepted."),
      setAside: z.number().int().min(0).default(0).describe("Messages in Poison and Quarantine."),
    })
    .optional()
    .describe("What the queue holds; written when it changes, at most every 10 seconds."),
  draining: z.boolean().default(false).describe("It takes no new mail."),
  drained: z.boolean().default(false).describe("It drains and holds no message any more."),
});
export type TransportPodStatus = z.infer<typeof TransportPodStatus>;

/** Chunks are named by their transport and digest: equal content is one object. */
export function chunkName(transport: string, digest: string): string {
  return `${transport}-${digest.slice(0, 32)}`;
}

/** True when both name the same content, whatever their number. */
export function sameRevision(
  a: Pick<Revision, "digest" | "keys"> | undefined,
  b: Pick<Revision, "digest" | "keys"> | undefined,
): boolean {
  return a?.digest === b?.digest && a?.keys?.digest === b?.keys?.digest;
}
