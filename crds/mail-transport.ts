/** MailTransport: a set of transport pods, or the one standalone process. */
import { z } from "zod";
import { AgentEntry } from "./agents.ts";
import { AllowedNamespaces, checkAllowedNamespaces } from "./allowed-namespaces.ts";
import { type ReportFault, withCheck } from "./checks.ts";
import { DnsLabel, Duration, PositiveDuration, PositiveQuantity } from "./common.ts";
import { checkWorkload, WORKLOAD_RULES, workloadFields } from "./transport-workload.ts";
import { withRules } from "./validation.ts";

const Level = (medium: number, high: number, what: string, max = Number.MAX_SAFE_INTEGER) =>
  withRules(
    z.strictObject({
      medium: z.number().int().min(1).max(max).default(medium).describe("From here on new mail is slowed."),
      high: z.number().int().min(1).max(max).default(high).describe("From here on new mail is answered 452."),
    }),
    {
      rule: "self.medium < self.high",
      message: "must be lower than high",
      fieldPath: ".medium",
    },
  )
    .prefault({})
    .describe(`${what}.`);

const Spec = z.strictObject({
  role: z
    .enum(["Hub", "Edge"])
    .default("Hub")
    .describe(
      "Hub expands aliases, groups and forwards. Edge only checks recipients and, without spec.agents, runs the anti-spam agents with their defaults.",
    ),
  hostname: DnsLabel.describe(
    "Name in the banner, in EHLO, in Received fields and DSNs; should resolve to the transport.",
  ),
  replicas: z
    .number()
    .int()
    .min(0)
    .max(100)
    .default(1)
    .describe(
      "Transport pods that the operator runs. A standalone transport is always one process and logs that it ignores more.",
    ),
  workers: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      "Threads of a pod that take and deliver mail, each with a queue of its own: at most one for each CPU of the pod. A change restarts the pods. A standalone transport is told by --workers.",
    ),
  allowedNamespaces: AllowedNamespaces.prefault({}).describe(
    "Namespaces whose objects may attach, by naming this transport and its namespace in transportRefs.",
  ),
  rollbackTo: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe(
      "Revision, of those in the TransportSnapshot's history, that stays in force until this is taken out. Pods only.",
    ),
  queue: z
    .strictObject({
      storage: z
        .strictObject({
          size: PositiveQuantity.default("10Gi").describe(
            "Volume of the queue; back pressure counts use against it.",
          ),
          storageClassName: DnsLabel.optional().describe(
            "StorageClass of the volume; left out: the cluster's default. Pods only.",
          ),
        })
        .prefault({})
        .describe("Where the queue lies."),
      messageExpiration: PositiveDuration.default("48h").describe(
        "A message not delivered by then fails (Exchange MessageExpirationTimeout).",
      ),
      retryIntervals: z
        .array(PositiveDuration)
        .min(1)
        .max(32)
        .default(["1m", "5m", "15m", "1h"])
        .describe("Waits between attempts; the last one repeats."),
      delayNotification: Duration.default("4h").describe(
        "A delay DSN is sent after this time (Exchange DelayNotificationTimeout); 0s: none.",
      ),
      poisonThreshold: z
        .number()
        .int()
        .min(1)
        .max(100)
        .default(2)
        .describe("Crashes of the process after which a message is set aside."),
    })
    .prefault({})
    .describe("The queue: its volume, retries and expiry."),
  limits: z
    .strictObject({
      maxInboundConnections: z
        .number()
        .int()
        .min(1)
        .default(10000)
        .describe("Open SMTP sessions over all connectors."),
      maxOutboundConnections: z
        .number()
        .int()
        .min(1)
        .default(1000)
        .describe("Open connections to next hops."),
      maxPerDomainOutboundConnections: z
        .number()
        .int()
        .min(1)
        .default(20)
        .describe("Open connections to one next hop."),
      maxMimeParts: z.number().int().min(1).default(1000).describe("More MIME parts are refused 554 5.6.0."),
      maxMimeDepth: z.number().int().min(1).default(50).describe("Deeper MIME nesting is refused 554 5.6.0."),
      agentTimeout: PositiveDuration.default("30s").describe(
        "An agent that takes longer is answered 451 4.3.0.",
      ),
    })
    .prefault({})
    .describe("Limits of the whole transport; connectors have their own."),
  backPressure: z
    .strictObject({
      submissionQueue: Level(9999, 15000, "Messages in the submission queue"),
      diskUsedPercent: Level(89, 99, "Percent of the queue's volume in use", 100),
      memoryUsedPercent: Level(88, 94, "Percent of the process's memory limit in use", 100),
    })
    .prefault({})
    .describe("Levels as in Exchange; each is left again a tenth below where it began."),
  agents: z
    .array(AgentEntry)
    .max(16)
    .optional()
    .describe(
      "Agents in the order they run; one property each. Left out: the header firewall, and on Edge the anti-spam agents.",
    ),
  ...workloadFields,
});

const LEVELS = ["submissionQueue", "diskUsedPercent", "memoryUsedPercent"] as const;

function checkTransport(spec: z.output<typeof Spec>, fault: ReportFault): void {
  const { allowedNamespaces, backPressure } = spec;
  checkAllowedNamespaces(allowedNamespaces, (path, message) =>
    fault(["allowedNamespaces", ...path], message),
  );
  checkWorkload(spec, fault);
  for (const name of LEVELS) {
    const { medium, high } = backPressure[name];
    if (medium >= high) {
      fault(
        ["backPressure", name, "medium"],
        `must be lower than high (${medium} is not lower than ${high})`,
      );
    }
  }
}

export const MailTransportSpec = withCheck(Spec, checkTransport, ...WORKLOAD_RULES);
export type MailTransportSpec = z.infer<typeof MailTransportSpec>;
