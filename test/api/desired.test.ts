/** What a MailTransport owns, at a real API server: it is taken, applied once, and gives each pod its own and no more. */
import { readFileSync } from "node:fs";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_VERSION, type MailTransport, readObject } from "../../crds/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { createApplier } from "../../lib/kube/apply.ts";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { RESOURCES, type ResourceName, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeHttp, KubeObject } from "../../lib/kube/types.ts";
import { admissionObjects } from "../../operator/admission.ts";
import { desiredObjects } from "../../operator/desired.ts";
import type { DesiredInput, DesiredObject } from "../../operator/desired-types.ts";
import { ownerReference } from "../../operator/labels.ts";
import { apiClient } from "../helpers/api-client.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { silentLog } from "../helpers/fake-kube.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const POD = { name: "hub-0", uid: "" };

describe.skipIf(kubeAssets() === undefined)("owned objects at a real API server", () => {
  let server: ApiServer;
  let http: KubeHttp;
  let namespace: string;
  let input: DesiredInput;

  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    http = await operatorHttp(server);
    for (const object of admissionObjects()) await apply(object);
  });
  afterAll(async () => {
    http?.close();
    await server?.stop();
  });

  beforeAll(async () => {
    namespace = await server.namespace();
    const manifest = {
      apiVersion: API_VERSION,
      kind: "MailTransport",
      metadata: { name: "hub", namespace },
      spec: {
        hostname: "mx.contoso.example",
        replicas: 2,
        nodeSelector: { disk: "fast" },
        tolerations: [{ key: "mail", operator: "Exists" }],
        podAnnotations: { note: "kept" },
        service: {
          type: "LoadBalancer",
          annotations: { a: "b" },
          loadBalancerSourceRanges: ["192.0.2.0/24"],
        },
      },
    };
    const path = resourcePath(RESOURCES.MailTransport, { namespace });
    const live = await server.admin("POST", path, { body: manifest });
    const { resource } = readObject(live);
    input = {
      transport: resource as MailTransport,
      snapshot: { receiveConnectors: [], sendConnectors: [] },
      replicas: 2,
      keysSecrets: ["hub-keys-1"],
      owner: ownerReference(live.metadata),
      defaults: { image: "registry.example/postroom:0.1.0" },
      live: undefined,
      claims: [],
    };
    for (const object of desiredObjects(input).objects) await apply(object);
    const pod = await server.admin("POST", `/api/v1/namespaces/${namespace}/pods`, {
      body: {
        metadata: { name: POD.name },
        spec: { serviceAccountName: "hub", containers: [{ name: "transport", image: "postroom" }] },
      },
    });
    POD.uid = pod.metadata.uid;
    for (const name of ["hub-0", "hub-1"]) await transportPod(name);
  });

  const placeOf = ({ kind, metadata }: DesiredObject) =>
    resourcePath(RESOURCES[kind as ResourceName], { namespace: metadata.namespace, name: metadata.name });

  function apply(object: DesiredObject, live?: KubeObject) {
    const applier = createApplier({ http, fieldManager: "postroom-operator" });
    const owner = object.metadata.ownerReferences?.[0];
    return applier.apply(object, { type: RESOURCES[object.kind as ResourceName], live, owner });
  }

  async function transportPod(name: string) {
    const body = {
      apiVersion: API_VERSION,
      kind: "TransportPod",
      metadata: { name, namespace },
      spec: { transport: "hub" },
    };
    await http.request({ method: "POST", path: resourcePath(RESOURCES.TransportPod, { namespace }), body });
  }

  test("all of it is taken from an operator that may do what its rules say, and applying it again writes nothing", async () => {
    const live = new Map<string, KubeObject>();
    for (const object of desiredObjects(input).objects)
      live.set(placeOf(object), await server.admin("GET", placeOf(object)));
    const sts = live.get(resourcePath(RESOURCES.StatefulSet, { namespace, name: "hub" }));
    for (const object of desiredObjects({ ...input, live: sts }).objects) {
      expect([object.kind, await apply(object, live.get(placeOf(object)))]).toEqual([
        object.kind,
        "unchanged",
      ]);
    }
  });

  test("pods are what the restricted Pod Security Standard admits", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await server.admin("PATCH", `/api/v1/namespaces/${namespace}`, { body: { metadata: { labels } } });
    const { template } = (
      await server.admin("GET", resourcePath(RESOURCES.StatefulSet, { namespace, name: "hub" }))
    ).spec;
    const volumes = [...template.spec.volumes, { name: "queue", emptyDir: {} }];
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const careless = {
      metadata: { name: "hub-8" },
      spec: { containers: [{ name: "transport", image: "postroom" }] },
    };
    // The API server hears of the label a little later.
    await eventually(async () => {
      const answer = await server
        .admin("POST", `${path}?dryRun=All`, { body: careless })
        .catch((error) => error);
      return String(answer.message).includes("violates PodSecurity");
    });
    const made = await server.admin("POST", path, {
      body: { metadata: { ...template.metadata, name: "hub-9" }, spec: { ...template.spec, volumes } },
    });
    expect(made.spec.securityContext.sysctls).toHaveLength(1);
    await server.admin("PATCH", `/api/v1/namespaces/${namespace}`, {
      body: { metadata: { labels: { "pod-security.kubernetes.io/enforce": null } } },
    });
  });

  test("a larger queue and another class leave the StatefulSet's template as it is, so that the rest is applied", async () => {
    const path = resourcePath(RESOURCES.StatefulSet, { namespace, name: "hub" });
    const live = await server.admin("GET", path);
    const { transport } = input;
    const storage = { size: "20Gi", storageClassName: "fast" };
    const changed = {
      ...transport,
      spec: { ...transport.spec, queue: { ...transport.spec.queue, storage } },
    };
    const desired = desiredObjects({
      ...input,
      transport: changed,
      replicas: 3,
      live,
      claims: [{ name: "queue-hub-0", size: "10Gi" }],
    });
    for (const object of desired.objects) await apply(object);
    expect((await server.admin("GET", path)).spec.replicas).toBe(3);
    expect(desired.growth).toEqual([{ name: "queue-hub-0", size: "20Gi" }]);
    expect(desired.faults).toHaveLength(1);
    for (const object of desiredObjects({ ...input, live }).objects) await apply(object);
  });

  const podClient = async () =>
    apiClient(server.authFor(await server.tokenFor({ namespace, serviceAccount: "hub", pod: POD })));
  const statusOf = (name: string) =>
    resourcePath(RESOURCES.TransportPod, { namespace, name, subresource: "status" });

  test("a pod writes the status of its own TransportPod, and nobody else does", async () => {
    const pod = await podClient();
    const unbound = apiClient(server.authFor(await server.tokenFor({ namespace, serviceAccount: "hub" })));
    const body = { status: { drained: true } };
    // The API server takes its time to put a new policy in force.
    await eventually(async () => {
      const refused = await server.admin("PATCH", statusOf("hub-1"), { body }).catch((error) => error);
      return refused.status === 403;
    });
    await expect(pod.call("PATCH", statusOf("hub-0"), { body })).resolves.toMatchObject(body);
    await expect(pod.call("PATCH", statusOf("hub-1"), { body })).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining("is written by the pod of this name only"),
    });
    await expect(unbound.call("PATCH", statusOf("hub-0"), { body })).rejects.toMatchObject({ status: 403 });
    pod.close();
    unbound.close();
  });

  test("a pod that somebody gave too much still changes nothing but the status", async () => {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    const rules = [{ apiGroups: ["postroom.dev"], resources: ["transportpods"], verbs: ["patch"] }];
    await server.admin("POST", `${rbac}/roles`, { body: { metadata: { name: "more" }, rules } });
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "more" };
    const subjects = [{ kind: "ServiceAccount", name: "hub", namespace }];
    await server.admin("POST", `${rbac}/rolebindings`, {
      body: { metadata: { name: "more" }, roleRef, subjects },
    });
    const pod = await podClient();
    const path = resourcePath(RESOURCES.TransportPod, { namespace, name: "hub-0" });
    const patch = { body: { spec: { drain: true } } };
    const refusal = await eventually(async () => {
      const error = await pod.call("PATCH", path, patch).catch((fault) => fault);
      return String(error.message).includes("nothing but the status") && error;
    });
    expect(refusal.status).toBe(403);
    pod.close();
  });

  test.each([
    { name: "its own head", path: "snapshot", allowed: true },
    { name: "its head by a watch of one name", path: "snapshot by name", allowed: true },
    { name: "a chunk by name", path: "chunk", allowed: true },
    { name: "its keys", path: "keys", allowed: true },
    { name: "all heads", path: "snapshots", allowed: false },
    { name: "a list of chunks", path: "chunks", allowed: false },
    { name: "another Secret", path: "other", allowed: false },
    { name: "a list of Secrets", path: "secrets", allowed: false },
    { name: "a MailTransport", path: "transport", allowed: false },
  ])("a pod may read $name: $allowed", async ({ path, allowed }) => {
    const at = (type: ResourceName, name?: string) => resourcePath(RESOURCES[type], { namespace, name });
    const paths: Readonly<Record<string, string>> = {
      snapshot: at("TransportSnapshot", "hub"),
      "snapshot by name": `${at("TransportSnapshot")}?fieldSelector=metadata.name%3Dhub`,
      chunk: at("SnapshotChunk", "hub-0123"),
      keys: at("Secret", "hub-keys-1"),
      snapshots: at("TransportSnapshot"),
      chunks: at("SnapshotChunk"),
      other: at("Secret", "mx-tls"),
      secrets: at("Secret"),
      transport: at("MailTransport", "hub"),
    };
    const pod = await podClient();
    const answer = await pod.call("GET", paths[path] ?? "").catch((fault) => fault);
    // What may be read may still not be there.
    expect(answer.status === 403).toBe(!allowed);
    pod.close();
  });
});

/** As a ServiceAccount that has the operator's rules and nothing else. */
async function operatorHttp(server: ApiServer): Promise<KubeHttp> {
  const namespace = await server.namespace("operator");
  const rules = yaml.load(readFileSync("charts/postroom/files/operator-rules.yaml", "utf8"));
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const metadata = { name: "postroom-operator" };
  await server.admin("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, { body: { metadata } });
  await server.admin("POST", `${rbac}/clusterroles`, { body: { metadata, rules } });
  await server.admin("POST", `${rbac}/clusterrolebindings`, {
    body: {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name },
      subjects: [{ kind: "ServiceAccount", name: metadata.name, namespace }],
    },
  });
  const token = await server.tokenFor({ namespace, serviceAccount: metadata.name });
  return createKubeHttp({
    auth: server.authFor(token),
    clock: systemClock,
    log: silentLog,
    userAgent: "postroom-operator",
  });
}
