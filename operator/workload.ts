/** The StatefulSet of a MailTransport: pods that the restricted Pod Security Standard admits. Pure. */
import { parseDuration } from "../crds/common.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import type { DesiredInput, DesiredObject } from "./desired-types.ts";
import { headlessName, labelsOf, selectorLabels } from "./labels.ts";
import { type ClaimTemplate, QUEUE_VOLUME } from "./storage.ts";

export const HTTP_PORT = 9525;

/** Of the process in the image; the queue's volume is given to this group. */
const USER = 65532;
/** Between the end of the process's own grace and the kill. */
const LAST_SECONDS = 5;
/** A pod that is stopped still takes mail for so long: every node has to hear first that no more is to be sent to it. */
const ASIDE_SECONDS = 3;
const TOKEN_SECONDS = 3600;
const DEFAULT_RESOURCES = { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } };

/** Annotation of the StatefulSet: the operator's default image when the pods got it. Taken away, they get today's. */
const DEFAULT_IMAGE = "postroom.dev/default-image";

/** What a live StatefulSet has from an operator, maybe an earlier one; undefined: nothing, or its MailTransport names an image. */
export function heldDefaultImage(live: KubeObject | undefined): string | undefined {
  return live?.metadata.annotations?.[DEFAULT_IMAGE];
}

type Workload = Pick<DesiredInput, "transport" | "replicas" | "defaults">;

export function statefulSet(input: Workload, claimTemplate: ClaimTemplate): DesiredObject {
  const { metadata, spec } = input.transport;
  const { name } = metadata;
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: {
      name,
      ...(spec.image === undefined && { annotations: { [DEFAULT_IMAGE]: input.defaults.image } }),
    },
    spec: {
      replicas: input.replicas,
      serviceName: headlessName(name),
      // A queue waits for no other pod.
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate" },
      // Mail is not deleted with what carried it.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      selector: { matchLabels: selectorLabels(name) },
      template: podTemplate(input),
      volumeClaimTemplates: [claimTemplate],
    },
  };
}

/** Nothing of the operator's own version or of any connector stands here: that would restart the pods. */
function podTemplate({ transport, defaults }: Workload) {
  const { name } = transport.metadata;
  const { spec } = transport;
  return {
    metadata: {
      labels: { ...spec.podLabels, ...labelsOf(name) },
      ...(Object.keys(spec.podAnnotations).length > 0 && { annotations: spec.podAnnotations }),
    },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: graceSeconds(spec.terminationGracePeriod),
      securityContext: podSecurity(),
      topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map(
        (topologyKey) => ({
          maxSkew: 1,
          topologyKey,
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: selectorLabels(name) },
        }),
      ),
      ...(Object.keys(spec.nodeSelector).length > 0 && { nodeSelector: spec.nodeSelector }),
      ...(spec.tolerations.length > 0 && { tolerations: spec.tolerations }),
      ...(spec.priorityClassName !== undefined && { priorityClassName: spec.priorityClassName }),
      ...(spec.imagePullSecrets.length > 0 && { imagePullSecrets: spec.imagePullSecrets }),
      containers: [container(transport, defaults.image)],
      volumes: [{ name: "tmp", emptyDir: {} }, tokenVolume()],
    },
  };
}

function container({ metadata, spec }: Workload["transport"], image: string) {
  const whole = graceSeconds(spec.terminationGracePeriod);
  const grace = Math.max(0, whole - ASIDE_SECONDS - LAST_SECONDS);
  return {
    name: "transport",
    image: spec.image ?? image,
    args: ["transport", "--grace", String(grace)],
    env: [
      { name: "POSTROOM_TRANSPORT", value: metadata.name },
      fromField("POD_NAME", "metadata.name"),
      fromField("POD_NAMESPACE", "metadata.namespace"),
      // One is what the process does by itself: existing pods stay as they are.
      ...(spec.workers > 1 ? [{ name: "POSTROOM_WORKERS", value: String(spec.workers) }] : []),
    ],
    // Connectors' ports are not listed: a list that follows them would restart the pods, and it opens nothing.
    ports: [{ name: "http", containerPort: HTTP_PORT, protocol: "TCP" }],
    lifecycle: { preStop: { sleep: { seconds: Math.min(ASIDE_SECONDS, whole) } } },
    resources: spec.resources ?? DEFAULT_RESOURCES,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    // A large queue takes its time to open.
    startupProbe: probe("/healthz", { periodSeconds: 1, failureThreshold: 300 }),
    livenessProbe: probe("/healthz", { periodSeconds: 10, failureThreshold: 6 }),
    readinessProbe: probe("/readyz", { periodSeconds: 3, failureThreshold: 2 }),
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: QUEUE_VOLUME, mountPath: "/var/lib/postroom" },
      { name: "tmp", mountPath: "/tmp" },
      { name: "token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
    ],
  };
}

function podSecurity() {
  return {
    runAsNonRoot: true,
    runAsUser: USER,
    runAsGroup: USER,
    fsGroup: USER,
    fsGroupChangePolicy: "OnRootMismatch",
    seccompProfile: { type: "RuntimeDefault" },
    // Pods bind the connectors' own ports, 25 too, without any capability.
    sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
  };
}

/** What automounting would give, with a token that lives an hour. It is bound to the pod, which admission.ts asks for. */
function tokenVolume() {
  return {
    name: "token",
    projected: {
      sources: [
        { serviceAccountToken: { path: "token", expirationSeconds: TOKEN_SECONDS } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
      ],
    },
  };
}

function probe(
  path: string,
  patience: { readonly periodSeconds: number; readonly failureThreshold: number },
) {
  return { httpGet: { path, port: "http" }, timeoutSeconds: 5, ...patience };
}

function fromField(name: string, fieldPath: string) {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function graceSeconds(duration: string): number {
  return Math.max(1, Math.ceil(parseDuration(duration) / 1000));
}
