/** Status of the kinds as the operator writes it, for the CustomResourceDefinitions. Its types are in operator/types.ts. */
import { z } from "zod";

const Time = z.iso.datetime({ offset: true });
const count = (what: string) => z.number().int().min(0).describe(what);

const Condition = z.strictObject({
  type: z.string().min(1).max(316).describe("What is said: Accepted, ResolvedRefs, Programmed, Ready, ..."),
  status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
  reason: z.string().min(1).max(1024).describe("Why, in one CamelCase word."),
  message: z.string().max(32768).describe("Why, for people: object, field, mend."),
  observedGeneration: count("metadata.generation that was looked at."),
  lastTransitionTime: Time.describe("When `status` changed last."),
});

const observed = {
  observedGeneration: z
    .number()
    .int()
    .min(-1)
    .optional()
    .describe("metadata.generation that was looked at last; -1: none was."),
  conditions: z
    .array(Condition)
    .max(16)
    .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
    .optional()
    .describe("Accepted, ResolvedRefs, Programmed and their summary Ready; others only while they are True."),
};

/** kstatus (Helm, Flux, kubectl) takes an object without a status for finished. */
const UNSEEN = { observedGeneration: -1 };

export const ResourceStatusSchema = z
  .strictObject({
    ...observed,
    transports: z
      .array(z.string().max(507))
      .max(256)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe("namespace/name of the MailTransports it attaches to."),
  })
  .default(UNSEEN)
  .describe("What the operator says of it.");

export const TransportStatusSchema = z
  .strictObject({
    ...observed,
    replicas: count("Pods that there are.").optional(),
    readyReplicas: count("Pods that are ready.").optional(),
    selector: z.string().max(1024).optional().describe("Labels of the pods, for autoscalers."),
    snapshot: z
      .strictObject({
        revision: count("Number of the revision in force."),
        digest: z.string().max(128).describe("Digest of the snapshot."),
        acknowledged: z.string().max(32).describe("Ready pods that serve it, of ready pods: 2/3."),
        bytes: count("Octets of all its chunks, compressed."),
        rejected: count("Objects that are not in force as written."),
        counts: z
          .record(z.string(), z.number().int().min(0))
          .meta({ maxProperties: 64 })
          .describe("Objects in force, by kind."),
      })
      .optional()
      .describe("What the pods serve."),
    queue: z
      .strictObject({
        messages: count("Messages on all volumes, poison and quarantine not counted."),
        oldestMessageTime: Time.optional().describe("When the oldest of them was accepted."),
        setAside: count("Messages in Poison and Quarantine."),
      })
      .optional()
      .describe("What the queues of all pods hold."),
  })
  .default(UNSEEN)
  .describe("What the operator says of it and its pods.");
