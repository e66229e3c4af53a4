import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { API_VERSION, type MailTransport, readObject } from "../crds/mod.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { admissionObjects } from "./admission.ts";
import { desiredObjects } from "./desired.ts";
import type { Connectors, DesiredInput } from "./desired-types.ts";
import { ownerReference } from "./labels.ts";
import { heldDefaultImage } from "./workload.ts";

function transport(spec: object = {}): MailTransport {
  const { resource, ...faulty } = readObject({
    apiVersion: API_VERSION,
    kind: "MailTransport",
    metadata: { name: "hub", namespace: "mail" },
    spec: { hostname: "mx.contoso.example", ...spec },
  });
  if (resource?.kind !== "MailTransport") throw new Error(JSON.stringify(faulty));
  return resource;
}

/** Of a connector only what ports are made of. */
function connectors({
  bindings = [],
  hosts = [],
  mx,
}: {
  bindings?: readonly { address?: string; port: number }[];
  hosts?: readonly { port?: number; protocol?: "LMTP" }[];
  mx?: number;
}): Connectors {
  const smartHosts = hosts.map((one) => ({
    host: "dovecot.mail.svc",
    priority: 0,
    protocol: "SMTP",
    ...one,
  }));
  const routings = [
    { type: "SmartHost", smartHosts, port: 25 },
    ...(mx === undefined ? [] : [{ type: "MX", smartHosts: [], port: mx }]),
    { type: "Drop", smartHosts: [], port: 25 },
  ];
  return {
    receiveConnectors: [{ name: "mail/in", bindings }],
    sendConnectors: routings.map((routing) => ({ name: "mail/out", routing })),
  } as unknown as Connectors;
}

function desire(input: Partial<DesiredInput> = {}) {
  return desiredObjects({
    transport: transport(),
    snapshot: connectors({}),
    replicas: 2,
    keysSecrets: [],
    owner: ownerReference({ name: "hub", uid: "u" }),
    defaults: { image: "registry.example/postroom:1" },
    live: undefined,
    claims: [],
    ...input,
  });
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
function specOf(kind: string, name: string, input: Partial<DesiredInput> = {}): any {
  return desire(input).objects.find((one) => one.kind === kind && one.metadata.name === name)?.spec;
}

const template = (input: Partial<DesiredInput> = {}) =>
  JSON.stringify(specOf("StatefulSet", "hub", input).template);

describe("desiredObjects()", () => {
  test("access comes before the pods, and all of it belongs to the MailTransport", () => {
    const { objects } = desire();
    expect(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`)).toEqual([
      "ServiceAccount/hub",
      "Role/hub",
      "RoleBinding/hub",
      "NetworkPolicy/hub",
      "Service/hub-pods",
      "Service/hub",
      "PodDisruptionBudget/hub",
      "StatefulSet/hub",
    ]);
    for (const { metadata } of objects) {
      expect(metadata).toMatchObject({
        namespace: "mail",
        ownerReferences: [{ uid: "u", controller: true }],
      });
      expect(metadata.labels).toMatchObject({ "app.kubernetes.io/instance": "hub" });
    }
  });

  test.each<{ name: string; input: Partial<DesiredInput> }>([
    {
      name: "connectors",
      input: { snapshot: connectors({ bindings: [{ port: 25 }, { port: 587 }], mx: 25 }) },
    },
    { name: "replicas", input: { replicas: 7 } },
    { name: "keys", input: { keysSecrets: ["hub-keys-8"] } },
    {
      name: "limits, queue and host name",
      input: {
        transport: transport({
          hostname: "b.example",
          limits: { maxMimeParts: 7 },
          queue: { messageExpiration: "24h" },
        }),
      },
    },
    { name: "the Service", input: { transport: transport({ service: { type: "NodePort" } }) } },
    { name: "who may attach", input: { transport: transport({ allowedNamespaces: { from: "All" } }) } },
    { name: "a revision to roll back to", input: { transport: transport({ rollbackTo: 4 }) } },
    {
      name: "the size of the queue",
      input: { transport: transport({ queue: { storage: { size: "99Gi" } } }) },
    },
  ])("$name restart no pod", ({ input }) => {
    expect(template(input)).toBe(template());
  });

  test.each([
    {
      name: "image",
      spec: { image: "registry.example/postroom:2" },
      holds: '"image":"registry.example/postroom:2"',
    },
    {
      name: "imagePullSecrets",
      spec: { imagePullSecrets: [{ name: "pull" }] },
      holds: '"imagePullSecrets":[{"name":"pull"}]',
    },
    {
      name: "resources",
      spec: { resources: { limits: { memory: "2Gi" } } },
      holds: '"resources":{"limits":{"memory":"2Gi"}}',
    },
    {
      name: "nodeSelector",
      spec: { nodeSelector: { disk: "fast" } },
      holds: '"nodeSelector":{"disk":"fast"}',
    },
    {
      name: "tolerations",
      spec: { tolerations: [{ operator: "Exists" }] },
      holds: '"tolerations":[{"operator":"Exists"}]',
    },
    { name: "priorityClassName", spec: { priorityClassName: "high" }, holds: '"priorityClassName":"high"' },
    { name: "podLabels", spec: { podLabels: { team: "mail" } }, holds: '"team":"mail"' },
    { name: "podAnnotations", spec: { podAnnotations: { note: "x" } }, holds: '"annotations":{"note":"x"}' },
    {
      name: "terminationGracePeriod",
      spec: { terminationGracePeriod: "2m" },
      holds: '"terminationGracePeriodSeconds":120',
    },
    {
      name: "a grace shorter than the time a pod steps aside",
      spec: { terminationGracePeriod: "2s" },
      holds: '"preStop":{"sleep":{"seconds":2}}',
    },
    {
      name: "workers",
      spec: { workers: 4 },
      holds: '{"name":"POSTROOM_WORKERS","value":"4"}',
    },
    {
      name: "the process's own grace",
      spec: { terminationGracePeriod: "2m" },
      holds: '"args":["transport","--grace","112"]',
    },
  ])("$name reaches the pods", ({ spec, holds }) => {
    expect(template({ transport: transport(spec) })).toContain(holds);
    expect(template()).not.toContain(holds);
  });

  test.each([
    {
      name: "ports of all bindings, each once",
      bindings: [{ port: 587 }, { port: 25 }, { port: 25, address: "10.0.0.1" }],
      want: [25, 587],
    },
    {
      name: "a loopback binding is nobody's business",
      bindings: [{ port: 25 }, { port: 26, address: "127.0.0.1" }, { port: 27, address: "::1" }],
      want: [25],
    },
    { name: "any free port cannot be named", bindings: [{ port: 0 }, { port: 465 }], want: [465] },
    { name: "without connectors the Service and its address stay", bindings: [], want: [25] },
  ])("Service: $name", ({ bindings, want }) => {
    const { ports } = specOf("Service", "hub", { snapshot: connectors({ bindings }) });
    expect(ports.map(({ port }: { port: number }) => port)).toEqual(want);
  });

  test("an operator of another version restarts no pod: who changes the pod template writes the new digest, and a line in CHANGELOG.md", () => {
    const spec = { podLabels: { team: "mail" }, nodeSelector: { disk: "fast" }, priorityClassName: "high" };
    const text = template({ transport: transport(spec) });
    expect(createHash("sha256").update(text).digest("hex").slice(0, 16)).toBe("877de4706a5727b0");
  });

  test("one worker, written or not, is no news to the pods", () => {
    expect(template({ transport: transport({ workers: 1 }) })).toBe(template());
    expect(template()).not.toContain("WORKERS");
  });

  test.each<{ name: string; spec: object; want: object }>([
    {
      name: "the default image is noted beside the pods that have it",
      spec: {},
      want: { "postroom.dev/default-image": "registry.example/postroom:1" },
    },
    { name: "an image of the MailTransport's own is no default", spec: { image: "x:2" }, want: {} },
  ])("StatefulSet: $name", ({ spec, want }) => {
    const { objects } = desire({ transport: transport(spec) });
    const set = objects.find(({ kind }) => kind === "StatefulSet");
    expect(set?.metadata.annotations ?? {}).toEqual(want);
    expect(heldDefaultImage(set)).toBe(Object.values(want)[0]);
  });

  test("ports of what is in force stay open while a newer compilation is not", () => {
    const input = {
      snapshot: connectors({ bindings: [{ port: 2525 }], hosts: [{ port: 2526 }] }),
      inForce: connectors({ bindings: [{ port: 25 }], hosts: [{ protocol: "LMTP" }] }),
    };
    expect(specOf("Service", "hub", input).ports.map(({ name }: { name: string }) => name)).toEqual([
      "smtp-25",
      "smtp-2525",
    ]);
    expect(
      specOf("NetworkPolicy", "hub", input).egress[0].ports.map(({ port }: { port: number }) => port),
    ).toEqual([24, 2526]);
  });

  test.each([
    {
      name: "a ClusterIP has no external traffic",
      service: {},
      want: { type: "ClusterIP" },
      without: ["externalTrafficPolicy", "loadBalancerSourceRanges"],
    },
    {
      name: "a NodePort keeps the client's address",
      service: { type: "NodePort" },
      want: { externalTrafficPolicy: "Local" },
      without: ["loadBalancerClass"],
    },
    {
      name: "a LoadBalancer gets its class and ranges",
      service: {
        type: "LoadBalancer",
        externalTrafficPolicy: "Cluster",
        loadBalancerClass: "example.com/internal",
        loadBalancerSourceRanges: ["192.0.2.0/24"],
      },
      want: {
        externalTrafficPolicy: "Cluster",
        loadBalancerClass: "example.com/internal",
        loadBalancerSourceRanges: ["192.0.2.0/24"],
      },
      without: [],
    },
  ])("Service: $name", ({ service, want, without }) => {
    const spec = specOf("Service", "hub", { transport: transport({ service }) });
    expect(spec).toMatchObject(want);
    for (const field of without) expect(spec).not.toHaveProperty(field);
  });

  test("a NetworkPolicy has no rule without ports, which would open all", () => {
    const { ingress, egress } = specOf("NetworkPolicy", "hub", {
      snapshot: { receiveConnectors: [], sendConnectors: [] },
    });
    for (const rule of [...ingress, ...egress]) expect(rule.ports.length).toBeGreaterThan(0);
    expect(specOf("NetworkPolicy", "hub", { snapshot: undefined })).toBeUndefined();
  });

  test.each([
    {
      name: "what it names is named",
      input: { keysSecrets: ["hub-keys-1", "hub-keys-2"], replicas: 2 },
      secrets: ["hub-keys-1", "hub-keys-2"],
      pods: ["hub-0", "hub-1"],
    },
    {
      name: "no name is no rule, because it would be all names",
      input: { keysSecrets: [], replicas: 0 },
      secrets: undefined,
      pods: undefined,
    },
  ])("Role: $name", ({ input, secrets, pods }) => {
    const role = desire(input).objects.find(({ kind }) => kind === "Role") as unknown as {
      rules: { resources: string[]; verbs: string[]; resourceNames?: string[] }[];
    };
    const names = (resource: string) =>
      role.rules.find(({ resources }) => resources[0] === resource)?.resourceNames;
    expect(names("secrets")).toEqual(secrets);
    expect(names("transportpods")).toEqual(pods);
    expect(names("transportpods/status")).toEqual(pods);
    expect(
      role.rules
        .filter(({ resourceNames }) => resourceNames === undefined)
        .map(({ resources, verbs }) => [...resources, ...verbs]),
    ).toEqual([["snapshotchunks", "get"]]);
  });
});

describe("volumes of the queue", () => {
  const live = specOf("StatefulSet", "hub", {
    transport: transport({ queue: { storage: { storageClassName: "fast" } } }),
  });
  const workload: KubeObject = { metadata: { name: "hub" }, spec: live };
  const claims = [
    { name: "queue-hub-0", size: "10Gi" },
    { name: "queue-hub-1", size: "20Gi" },
    { name: "queue-hub-2", size: "20480Mi" },
  ];
  const plan = (storage: object) =>
    desire({ transport: transport({ queue: { storage } }), live: workload, claims });

  test("the template never changes, the volumes that are too small grow", () => {
    const { growth, faults, objects } = plan({ size: "20Gi", storageClassName: "fast" });
    expect(growth).toEqual([{ name: "queue-hub-0", size: "20Gi" }]);
    expect(faults).toEqual([]);
    expect(objects.at(-1)?.spec).toMatchObject({ volumeClaimTemplates: live.volumeClaimTemplates });
  });

  test.each([
    {
      name: "a volume cannot shrink",
      storage: { size: "15Gi", storageClassName: "fast" },
      want: /volume queue-hub-1 has 20Gi.*: write 20Gi or more/,
    },
    {
      name: "a class cannot change",
      storage: { size: "20Gi", storageClassName: "slow" },
      want: /^spec.queue.storage.storageClassName: .*fast/,
    },
    {
      name: "nor be taken out",
      storage: { size: "20Gi" },
      want: /^spec.queue.storage.storageClassName: .*fast/,
    },
  ])("$name, and is said", ({ storage, want }) => {
    const { faults } = plan(storage);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(want);
  });
});

test("the admission policies deny, and do so also when they cannot be judged", () => {
  const objects = admissionObjects();
  expect(objects).toHaveLength(4);
  for (let at = 0; at < objects.length; at += 2) {
    const [policy, binding] = objects.slice(at, at + 2);
    expect(policy?.spec).toMatchObject({ failurePolicy: "Fail" });
    expect(binding?.spec).toMatchObject({ validationActions: ["Deny"], policyName: policy?.metadata.name });
  }
});
