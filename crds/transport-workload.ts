/** Fields of a MailTransport that shape its pods and its Service. A standalone transport, one process, has neither. */
import { z } from "zod";
import type { ReportFault } from "./checks.ts";
import { DnsLabel, PositiveDuration, SecretRef } from "./common.ts";
import { CidrText, LabelKey, LabelValue, labelMap } from "./formats.ts";
import { type CelRule, matching, withRules } from "./validation.ts";

const Annotation = z.string().max(4096);

/** Kubernetes quantity of a resource: "500m" of a CPU, "512Mi" of memory. */
const ResourceQuantity = matching(
  /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/,
  "write a quantity such as 500m or 512Mi",
).max(32);

const resourceList = (what: string) =>
  z
    .strictObject({
      cpu: ResourceQuantity.optional().describe("CPUs, such as 500m."),
      memory: ResourceQuantity.optional().describe("Octets, such as 512Mi."),
      "ephemeral-storage": ResourceQuantity.optional().describe("Octets beside the queue's volume."),
    })
    .optional()
    .describe(what);

const Toleration = z.strictObject({
  key: LabelKey.optional().describe("Key of the taint; left out with operator Exists: every taint."),
  operator: z.enum(["Equal", "Exists"]).default("Equal").describe("Whether the taint's value counts."),
  value: LabelValue.optional().describe("Value of the taint, for operator Equal."),
  effect: z
    .enum(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    .optional()
    .describe("Effect of the taint; left out: all."),
  tolerationSeconds: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional()
    .describe("How long NoExecute is tolerated; left out: for ever."),
});

const NO_KEY = "must be Exists when there is no key";
const NO_VALUE = "is not for operator Exists";
const NO_EXECUTE_ONLY = "only for effect NoExecute";

/** As the API server checks a Pod. */
const TOLERATION_RULES: readonly CelRule[] = [
  { rule: "has(self.key) || self.operator == 'Exists'", message: NO_KEY, fieldPath: ".operator" },
  { rule: "!has(self.value) || self.operator == 'Equal'", message: NO_VALUE, fieldPath: ".value" },
  {
    rule: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    message: NO_EXECUTE_ONLY,
    fieldPath: ".tolerationSeconds",
  },
];

const Service = z
  .strictObject({
    type: z
      .enum(["ClusterIP", "NodePort", "LoadBalancer"])
      .default("ClusterIP")
      .describe("As a Service has it."),
    externalTrafficPolicy: z
      .enum(["Local", "Cluster"])
      .default("Local")
      .describe(
        "Local keeps the client's address, by which receive connectors are chosen. Not for ClusterIP.",
      ),
    annotations: labelMap(Annotation).describe("Annotations of the Service, for the cloud's load balancer."),
    loadBalancerClass: matching(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/, "write a class such as example.com/internal")
      .max(253)
      .optional()
      .describe("Which load balancer; type LoadBalancer only."),
    loadBalancerSourceRanges: z
      .array(CidrText)
      .max(64)
      .default([])
      .describe("Clients that the balancer lets through, as CIDR; type LoadBalancer only. Empty: all."),
  })
  .prefault({})
  .describe("The Service in front of the pods, with the ports of the receive connectors. Pods only.");

export const workloadFields = {
  image: matching(/^[A-Za-z0-9][!-~]*$/, "write an image, such as registry.example/postroom:1.0")
    .max(512)
    .optional()
    .describe("Image of the pods; left out: the operator's default when they were made. Pods only."),
  imagePullSecrets: z.array(SecretRef).max(16).default([]).describe("Secrets to pull the image. Pods only."),
  resources: z
    .strictObject({
      requests: resourceList("What is set aside for a pod."),
      limits: resourceList("What a pod may use at most."),
    })
    .optional()
    .describe("CPU and memory of a pod; left out: the operator's default. Pods only."),
  nodeSelector: labelMap(LabelValue).describe("Labels of the nodes that the pods may run on. Pods only."),
  tolerations: z
    .array(withRules(Toleration, ...TOLERATION_RULES))
    .max(32)
    .default([])
    .describe("Taints the pods tolerate. Pods only."),
  priorityClassName: DnsLabel.optional().describe("PriorityClass of the pods. Pods only."),
  podLabels: labelMap(LabelValue).describe("Further labels of the pods. Pods only."),
  podAnnotations: labelMap(Annotation).describe("Further annotations of the pods. Pods only."),
  terminationGracePeriod: PositiveDuration.default("60s").describe(
    "Time that a pod has to end its transactions when it is stopped. Pods only.",
  ),
  service: Service,
};

/** Labels by which the operator finds its pods. */
export const OWN_LABELS: readonly string[] = ["name", "instance", "component", "managed-by"].map(
  (label) => `app.kubernetes.io/${label}`,
);

const OWN_LABEL = "is set by the operator";
const BALANCER_ONLY = "'only for type LoadBalancer, not ' + self.service.type";

export const WORKLOAD_RULES: readonly CelRule[] = [
  {
    rule: `!self.podLabels.exists(label, label in [${OWN_LABELS.map((label) => `'${label}'`).join(", ")}])`,
    message: `${OWN_LABELS.join(", ")}: ${OWN_LABEL}`,
    fieldPath: ".podLabels",
  },
  {
    rule: "self.service.type == 'LoadBalancer' || !has(self.service.loadBalancerClass)",
    messageExpression: BALANCER_ONLY,
    fieldPath: ".service.loadBalancerClass",
  },
  {
    rule: "self.service.type == 'LoadBalancer' || self.service.loadBalancerSourceRanges.size() == 0",
    messageExpression: BALANCER_ONLY,
    fieldPath: ".service.loadBalancerSourceRanges",
  },
];

interface WorkloadFields {
  readonly podLabels: Readonly<Record<string, string>>;
  readonly tolerations: readonly z.output<typeof Toleration>[];
  readonly service: z.output<typeof Service>;
}

export function checkWorkload({ podLabels, tolerations, service }: WorkloadFields, fault: ReportFault): void {
  for (const label of OWN_LABELS) {
    if (Object.hasOwn(podLabels, label)) fault(["podLabels", label], OWN_LABEL);
  }
  for (const [index, toleration] of tolerations.entries()) {
    checkToleration(toleration, (path, message) => fault(["tolerations", index, ...path], message));
  }
  if (service.type === "LoadBalancer") return;
  const message = `only for type LoadBalancer, not ${service.type}`;
  if (service.loadBalancerClass !== undefined) fault(["service", "loadBalancerClass"], message);
  if (service.loadBalancerSourceRanges.length > 0) fault(["service", "loadBalancerSourceRanges"], message);
}

function checkToleration(
  { key, operator, value, effect, tolerationSeconds }: z.output<typeof Toleration>,
  fault: ReportFault,
): void {
  if (key === undefined && operator === "Equal") fault(["operator"], NO_KEY);
  if (operator === "Exists" && value !== undefined) fault(["value"], NO_VALUE);
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    fault(["tolerationSeconds"], NO_EXECUTE_ONLY);
  }
}
