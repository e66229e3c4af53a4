/** The values of charts/postroom: one source for its values.yaml, values.schema.json and README.md. */
import { z } from "zod";

const text = z.string().default("");
const switchedOn = z.boolean().default(true);
const switchedOff = z.boolean().default(false);
/** As Kubernetes has them; the API server checks them when the chart is installed. */
const asInAPod = z.record(z.string(), z.unknown());

export const texts = (what: string) => z.record(z.string(), z.string()).default({}).describe(what);

const resourceList = (cpu: string | undefined, memory: string) =>
  z.strictObject({
    cpu: (cpu === undefined ? z.string().optional() : z.string().default(cpu)).describe(
      "CPUs, such as 500m.",
    ),
    memory: z.string().default(memory).describe("Octets, such as 256Mi."),
  });

const toleration = z.strictObject({
  key: z.string().optional().describe("Key of the taint."),
  operator: z.enum(["Equal", "Exists"]).optional().describe("Whether the value counts."),
  value: z.string().optional().describe("Value of the taint."),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional().describe("Which effect."),
  tolerationSeconds: z.number().int().min(0).optional().describe("For how long NoExecute is tolerated."),
});

export const extraObjects = z
  .array(asInAPod)
  .default([])
  .describe("Further objects of the release; templates in them are evaluated.");

const image = z
  .strictObject({
    repository: z.string().min(1).default("postroom").describe("Where the image lies, without a tag."),
    tag: text.describe("Empty: the chart's appVersion."),
    digest: z
      .string()
      .regex(/^(sha256:[0-9a-f]{64})?$/)
      .default("")
      .describe("sha256:...; with it the tag no longer counts."),
    pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).default("IfNotPresent").describe("As in a Pod."),
    pullSecrets: z
      .array(z.strictObject({ name: z.string().min(1).describe("Name of the Secret.") }))
      .default([])
      .describe("Secrets to pull the operator's image; transports name theirs in spec.imagePullSecrets."),
  })
  .prefault({})
  .describe("Image of the operator and, unless they name one, of the transports.");

const crds = z
  .strictObject({
    enabled: switchedOn.describe(
      "Install and upgrade the custom resource definitions with this release. Only one release of a cluster may.",
    ),
    keep: switchedOn.describe(
      "Leave them, and so every object of these kinds, when the release is uninstalled.",
    ),
  })
  .prefault({})
  .describe("Custom resource definitions.");

const rbac = z
  .strictObject({
    create: switchedOn.describe("Make the operator's roles and bindings."),
    aggregate: switchedOn.describe(
      "Let the cluster's roles view, edit and admin cover Postroom's kinds; admin alone writes MailTransports.",
    ),
  })
  .prefault({})
  .describe("Access.");

const serviceAccount = z
  .strictObject({
    create: switchedOn.describe("Make the operator's service account."),
    name: text.describe("Empty: the release's full name, or `default` when none is made."),
    annotations: texts("Annotations of the service account."),
  })
  .prefault({})
  .describe("The operator's service account.");

const scheduling = {
  resources: z
    .strictObject({
      requests: resourceList("100m", "192Mi").prefault({}).describe("What is set aside."),
      limits: resourceList(undefined, "512Mi").prefault({}).describe("What may be used at most."),
    })
    .prefault({})
    .describe(
      "CPU and memory of an operator pod. With 10,000 rules and 100,000 domains it was seen with 370 MB at most.",
    ),
  podLabels: texts("Further labels of the operator's pods."),
  podAnnotations: texts("Further annotations of the operator's pods."),
  nodeSelector: texts("Labels of the nodes that the operator may run on."),
  tolerations: z.array(toleration).default([]).describe("Taints the operator tolerates."),
  affinity: asInAPod.default({}).describe("As in a Pod."),
  topologySpreadConstraints: z
    .array(asInAPod)
    .default([])
    .describe("As in a Pod. Empty: spread over zones and nodes as far as possible."),
  priorityClassName: text.describe("PriorityClass of the operator's pods."),
};

const networkPolicy = z
  .strictObject({
    enabled: switchedOn.describe(
      "Let the operator talk to the API server only, and be asked for metrics only.",
    ),
    apiServerPorts: z
      .array(z.number().int().min(1).max(65535))
      .min(1)
      .default([443, 6443, 8443, 16443])
      .describe("Where the API server listens behind the Service kubernetes.default."),
  })
  .prefault({})
  .describe("NetworkPolicy of the operator; those of the transports follow their connectors.");

const podMonitor = z
  .strictObject({
    enabled: switchedOff.describe("Needs the kinds of the Prometheus Operator."),
    labels: texts("Labels by which your Prometheus chooses PodMonitors."),
    interval: z.string().default("30s").describe("Time between two scrapes."),
  })
  .prefault({})
  .describe("PodMonitors: one of the operator, one of all transports.");

const prometheusRule = z
  .strictObject({
    enabled: switchedOff.describe("Needs the kinds of the Prometheus Operator."),
    labels: texts("Labels by which your Prometheus chooses PrometheusRules."),
    queueOldestSeconds: z
      .number()
      .int()
      .min(60)
      .default(3600)
      .describe("A message that waits longer for its next hop is worth an alert."),
    queueMessages: z
      .number()
      .int()
      .min(1)
      .default(1000)
      .describe("A pod's queue that is longer, and grows, is worth an alert."),
  })
  .prefault({})
  .describe("Alerts.");

const dashboard = z
  .strictObject({
    enabled: switchedOff.describe("Make a ConfigMap with the dashboard."),
    labels: z
      .record(z.string(), z.string())
      .default({ grafana_dashboard: "1" })
      .describe("Labels by which Grafana's sidecar finds it."),
    annotations: texts("Annotations, such as the folder in Grafana."),
  })
  .prefault({})
  .describe("Grafana dashboard.");

export const ChartValues = z.strictObject({
  nameOverride: text.describe("Instead of the chart's name in the names of objects."),
  fullnameOverride: text.describe("Instead of release and chart in the names of objects."),
  labels: texts("Further labels of every object."),
  image,
  transportImage: text.describe("Image of transports that name none. Empty: that of the operator."),
  crds,
  watchNamespaces: z
    .array(z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/))
    .default([])
    .describe(
      "Look after these namespaces only, with rights in them only; they must exist. Empty: the whole cluster.",
    ),
  replicas: z
    .number()
    .int()
    .min(0)
    .max(9)
    .default(2)
    .describe("Operator pods; one leads, the others stand by."),
  logLevel: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .describe("Least level that is logged."),
  rbac,
  serviceAccount,
  ...scheduling,
  podDisruptionBudget: z
    .strictObject({ enabled: switchedOn.describe("At most one operator pod is evicted at a time.") })
    .prefault({})
    .describe("PodDisruptionBudget of the operator."),
  networkPolicy,
  podMonitor,
  prometheusRule,
  dashboard,
  extraObjects,
});
