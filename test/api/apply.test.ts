/** Server-side apply of the kinds that a MailTransport owns, against the server that normalises them. */
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { createApplier, type Desired, ForeignObjectError } from "../../lib/kube/apply.ts";
import { isNotFound } from "../../lib/kube/errors.ts";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeCall, KubeHttp, KubeObject, OwnerReference, ResourceType } from "../../lib/kube/types.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const log = pino({ level: "silent" });
const labels = { "app.kubernetes.io/name": "postroom", component: "transport" };

const WORKLOAD: Record<string, unknown> = {
  serviceName: "hub-pods",
  replicas: 2,
  podManagementPolicy: "Parallel",
  selector: { matchLabels: labels },
  persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
  template: {
    metadata: { labels, annotations: {} },
    spec: {
      serviceAccountName: "hub",
      automountServiceAccountToken: false,
      hostNetwork: false,
      terminationGracePeriodSeconds: 60,
      nodeSelector: {},
      tolerations: [],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        fsGroup: 65532,
        seccompProfile: { type: "RuntimeDefault" },
        sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }],
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "topology.kubernetes.io/zone",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: labels },
        },
      ],
      containers: [
        {
          name: "transport",
          image: "postroom:1",
          args: ["transport"],
          ports: [
            { name: "smtp", containerPort: 25 },
            { name: "http", containerPort: 9525, protocol: "TCP" },
          ],
          env: [
            { name: "POSTROOM_TRANSPORT", value: "hub" },
            { name: "EMPTY", value: "" },
            { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          resources: { requests: { cpu: "0.25", memory: "1024Mi" }, limits: { memory: "2048Mi", cpu: 2 } },
          readinessProbe: { httpGet: { path: "/readyz", port: "http" }, periodSeconds: 2 },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          volumeMounts: [
            { name: "state", mountPath: "/var/lib/postroom" },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
      volumes: [
        { name: "tmp", emptyDir: { sizeLimit: "1024Mi" } },
        {
          name: "token",
          projected: { sources: [{ serviceAccountToken: { path: "token", expirationSeconds: 3600 } }] },
        },
      ],
    },
  },
  volumeClaimTemplates: [
    {
      metadata: { name: "state" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10240Mi" } } },
    },
  ],
};

const KINDS: readonly { readonly type: ResourceType; readonly body: Record<string, unknown> }[] = [
  { type: RESOURCES.ServiceAccount, body: { automountServiceAccountToken: false } },
  { type: RESOURCES.StatefulSet, body: { spec: WORKLOAD } },
  {
    type: RESOURCES.Service,
    body: {
      spec: {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        selector: labels,
        loadBalancerSourceRanges: ["192.0.2.0/24"],
        ports: [
          { name: "smtp", port: 25, targetPort: "smtp" },
          { name: "submission", port: 587, targetPort: 587 },
        ],
      },
    },
  },
  {
    type: RESOURCES.PodDisruptionBudget,
    body: { spec: { maxUnavailable: 1, selector: { matchLabels: labels } } },
  },
  {
    type: RESOURCES.Role,
    body: {
      rules: [
        { apiGroups: [""], resources: ["secrets"], resourceNames: ["hub-keys-1"], verbs: ["get"] },
        { apiGroups: ["postroom.dev"], resources: ["snapshotchunks"], verbs: ["get"] },
      ],
    },
  },
  {
    type: RESOURCES.RoleBinding,
    body: {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "hub" },
      subjects: [{ kind: "ServiceAccount", name: "hub" }],
    },
  },
  {
    type: RESOURCES.NetworkPolicy,
    body: {
      spec: {
        podSelector: { matchLabels: labels },
        policyTypes: ["Ingress", "Egress"],
        ingress: [
          { ports: [{ port: 25 }, { port: 9525, protocol: "TCP" }] },
          { from: [{ podSelector: {} }] },
        ],
        egress: [{}],
      },
    },
  },
];

describe.skipIf(kubeAssets() === undefined)("apply against an API server", () => {
  let server: ApiServer;
  let http: KubeHttp;
  const calls: string[] = [];
  beforeAll(async () => {
    server = await startApiServer();
    const plain = createKubeHttp({ auth: server.adminAuth, clock: systemClock, log, userAgent: "test" });
    http = {
      ...plain,
      request<Answer>(call: KubeCall) {
        calls.push(call.method);
        return plain.request<Answer>(call);
      },
      close: () => plain.close(),
    };
  });
  afterAll(async () => {
    http?.close();
    await server?.stop();
  });

  function applier() {
    return createApplier({ http, fieldManager: "postroom-operator" });
  }

  async function scene() {
    const namespace = await server.namespace();
    const parent = await http.request({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/configmaps`,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "parent" } },
    });
    const owner: OwnerReference = {
      apiVersion: "v1",
      kind: "ConfigMap",
      name: "parent",
      uid: parent.metadata.uid as string,
      controller: true,
      blockOwnerDeletion: true,
    };
    const desired = (type: ResourceType, body: Record<string, unknown>): Desired => ({
      apiVersion: type.group === "" ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: { name: "hub", namespace, labels },
      ...body,
    });
    const path = (type: ResourceType) => resourcePath(type, { namespace, name: "hub" });
    const live = (type: ResourceType) => http.request({ method: "GET", path: path(type) });
    const merge = (type: ResourceType, body: unknown) =>
      http.request<KubeObject>({
        method: "PATCH",
        path: path(type),
        body,
        contentType: "application/merge-patch+json",
        query: { fieldManager: "somebody" },
      });
    return { namespace, owner, desired, live, merge, path };
  }

  test.each(KINDS.map((kind) => ({ name: kind.type.kind, ...kind })))(
    "$name: applied once, it is never written again, not even by another operator",
    async ({ type, body }) => {
      const { desired, live, owner } = await scene();
      expect(await applier().apply(desired(type, body), { type, owner })).toBe("created");
      const before = await live(type);
      calls.length = 0;
      const second = applier();
      expect(await second.apply(desired(type, body), { type, owner, live: before })).toBe("unchanged");
      expect(calls).toEqual([]);
    },
  );

  test.each([
    {
      name: "the replicas of a workload",
      type: RESOURCES.StatefulSet,
      body: { spec: WORKLOAD },
      drift: { spec: { replicas: 7 } },
      field: "spec.replicas",
      want: 2,
    },
    {
      name: "a rule added to a Role",
      type: RESOURCES.Role,
      body: KINDS[4]!.body,
      drift: { rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["*"] }] },
      field: "rules.length",
      want: 2,
    },
    {
      name: "a label",
      type: RESOURCES.ServiceAccount,
      body: KINDS[0]!.body,
      drift: { metadata: { labels: { component: "mine" } } },
      field: "metadata.labels.component",
      want: "transport",
    },
    {
      name: "a network policy that was opened",
      type: RESOURCES.NetworkPolicy,
      body: KINDS[6]!.body,
      drift: { spec: { ingress: [{}] } },
      field: "spec.ingress.length",
      want: 2,
    },
  ])("what somebody changed is put right: $name", async ({ type, body, drift, field, want }) => {
    const { desired, live, owner, merge } = await scene();
    const ours = applier();
    await ours.apply(desired(type, body), { type, owner });
    const drifted = await merge(type, drift);
    expect(drifted).not.toHaveProperty(field, want);
    expect(await ours.apply(desired(type, body), { type, owner, live: drifted })).toBe("updated");
    expect(await live(type)).toHaveProperty(field, want);
  });

  test("what somebody added beside ours stays, and leads to no endless writes", async () => {
    const { desired, live, owner, merge } = await scene();
    const type = RESOURCES.Service;
    const ports = [{ name: "smtp", port: 25, targetPort: "smtp" }];
    const service = desired(type, { spec: { selector: labels, ports } });
    const ours = applier();
    await ours.apply(service, { type, owner });
    await merge(type, {
      metadata: { annotations: { "example.com/theirs": "yes" } },
      spec: { ports: [...ports, { name: "theirs", port: 2525, protocol: "TCP" }] },
    });
    await ours.apply(service, { type, owner, live: await live(type) });
    calls.length = 0;
    const now = await live(type);
    expect(await ours.apply(service, { type, owner, live: now })).toBe("unchanged");
    expect(calls).toEqual(["GET"]);
    expect(now.metadata.annotations).toMatchObject({ "example.com/theirs": "yes" });
  });

  test("a field that we no longer say is gone", async () => {
    const { desired, live, owner } = await scene();
    const type = RESOURCES.Service;
    const spec = { type: "LoadBalancer", selector: labels, ports: [{ name: "smtp", port: 25 }] };
    const ours = applier();
    const first = desired(type, { spec: { ...spec, loadBalancerSourceRanges: ["192.0.2.0/24"] } });
    await ours.apply(first, { type, owner });
    const before = await live(type);
    expect(await ours.apply(desired(type, { spec }), { type, owner, live: before })).toBe("updated");
    expect((await live(type)).spec).not.toHaveProperty("loadBalancerSourceRanges");
  });

  test("a watch that lags behind our own write leads to no second one", async () => {
    const { desired, live, owner } = await scene();
    const type = RESOURCES.Role;
    const ours = applier();
    await ours.apply(desired(type, { rules: [] }), { type, owner });
    const stale = await live(type);
    await ours.apply(desired(type, KINDS[4]!.body), { type, owner, live: stale });
    calls.length = 0;
    expect(await ours.apply(desired(type, KINDS[4]!.body), { type, owner, live: stale })).toBe("unchanged");
    expect(calls).toEqual([]);
  });

  test("a change there and back is written while the watch still shows what was first", async () => {
    const { desired, live, owner } = await scene();
    const type = RESOURCES.Role;
    const ours = applier();
    const [one, two] = [desired(type, { rules: [] }), desired(type, KINDS[4]!.body)];
    await ours.apply(one, { type, owner });
    const stale = await live(type);
    expect(await ours.apply(two, { type, owner, live: stale })).toBe("updated");
    expect(await ours.apply(one, { type, owner, live: stale })).toBe("updated");
    expect(await live(type)).not.toHaveProperty("rules.length", 2);
  });

  test("an object of somebody else is refused and left as it is", async () => {
    const { desired, live, owner, namespace } = await scene();
    const type = RESOURCES.Service;
    await http.request({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/services`,
      body: desired(type, { spec: { ports: [{ port: 80 }] } }),
    });
    const before = await live(type);
    const attempt = applier().apply(desired(type, { spec: { ports: [{ port: 25 }] } }), { type, owner });
    await expect(attempt).rejects.toThrow(ForeignObjectError);
    await expect(attempt).rejects.toThrow(
      `Service "${namespace}/hub" exists and belongs to somebody else: rename the MailTransport or delete it`,
    );
    expect((await live(type)).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  test("an object that was deleted behind our back is made anew", async () => {
    const { desired, live, owner, path } = await scene();
    const type = RESOURCES.Role;
    const ours = applier();
    await ours.apply(desired(type, { rules: [] }), { type, owner });
    const before = await live(type);
    await http.request({ method: "DELETE", path: path(type) });
    expect(await ours.apply(desired(type, KINDS[4]!.body), { type, owner, live: before })).toBe("created");
    expect((await live(type)).metadata.uid).not.toBe(before.metadata.uid);
  });

  test("an object that somebody made in the place of ours is refused", async () => {
    const { desired, live, owner, path } = await scene();
    const type = RESOURCES.Role;
    const ours = applier();
    await ours.apply(desired(type, { rules: [] }), { type, owner });
    const before = await live(type);
    await http.request({ method: "DELETE", path: path(type) });
    const body = desired(type, { rules: [] });
    await http.request({ method: "POST", path: path(type).replace(/\/hub$/, ""), body });
    const attempt = ours.apply(desired(type, KINDS[4]!.body), { type, owner, live: before });
    await expect(attempt).rejects.toThrow(ForeignObjectError);
  });

  test("a status is written once, and what it no longer says is gone", async () => {
    const { desired, live, owner, namespace } = await scene();
    const type = RESOURCES.PodDisruptionBudget;
    await applier().apply(desired(type, KINDS[3]!.body), { type, owner });
    const counts = { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, expectedPods: 2 };
    const object = { name: "hub", namespace };
    const put = async (status: unknown) =>
      applier().applyStatus({ type, object, status, live: (await live(type)).status });
    expect(await put({ ...counts, observedGeneration: 1 })).toBe(true);
    expect(await put({ ...counts, observedGeneration: 1 })).toBe(false);
    expect(await put(counts)).toBe(true);
    expect((await live(type)).status).toEqual(counts);
  });

  test("a status there and back is written while the watch still shows what was first", async () => {
    const { desired, live, owner } = await scene();
    const type = RESOURCES.PodDisruptionBudget;
    const ours = applier();
    await ours.apply(desired(type, KINDS[3]!.body), { type, owner });
    const counts = { currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, expectedPods: 2 };
    const { metadata: before } = await live(type);
    const put = (status: unknown, { metadata, status: is }: KubeObject) =>
      ours.applyStatus({ type, object: metadata, status, live: is });
    await put(counts, { metadata: before });
    const stale = await live(type);
    expect(await put({ ...counts, expectedPods: 3 }, stale)).toBe(true);
    expect(await put(counts, stale)).toBe(true);
    expect(await put(counts, stale)).toBe(false);
    expect((await live(type)).status).toEqual(counts);
  });

  test("the status of an object that is gone is not found", async () => {
    const { namespace } = await scene();
    const type = RESOURCES.PodDisruptionBudget;
    const object = { name: "gone", namespace };
    const attempt = applier().applyStatus({ type, object, status: { expectedPods: 1 }, live: undefined });
    await expect(attempt).rejects.toSatisfy(isNotFound);
  });
});
