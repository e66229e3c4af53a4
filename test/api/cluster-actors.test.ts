/** Facts about the players of a cluster, with a program in the pods that does nothing but answer and end. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { apiClient } from "../helpers/api-client.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { type PlayedCluster, playCluster } from "../helpers/cluster-actors.ts";
import { eventually } from "../helpers/eventually.ts";
import { collectGarbage } from "../helpers/garbage.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { HTTP_PORT, type PodPlace } from "../helpers/pod-runner.ts";

const PROGRAM = `
  const server = require("node:http").createServer((_, response) => response.end("ready"));
  server.listen(${HTTP_PORT}, process.argv[1], () => console.log(JSON.stringify({ msg: "listening" })));
  process.on("SIGTERM", () => { console.log("ending"); process.exit(0); });
`;
const command = ({ address }: PodPlace) => ({ args: ["-e", PROGRAM, address] });

describe.skipIf(kubeAssets() === undefined)("a played cluster", () => {
  let server: ApiServer;
  let namespace: string;
  let cluster: PlayedCluster;
  let sets: string;
  let pods: string;
  beforeAll(async () => {
    server = await startApiServer();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    namespace = await server.namespace();
    sets = `/apis/apps/v1/namespaces/${namespace}/statefulsets`;
    pods = `/api/v1/namespaces/${namespace}/pods`;
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await server.admin("POST", accounts, { body: { metadata: { name: "hub" } } });
    await server.admin("POST", sets, { body: statefulSet() });
    cluster = await playCluster({ server, namespace, command });
  });
  afterEach(() => cluster.stop());

  const setStatus = async () => (await server.admin("GET", `${sets}/hub`)).status;
  const podNames = async () =>
    (await server.admin("GET", pods)).items.map(
      ({ metadata }: { metadata: { name: string } }) => metadata.name,
    );

  test("a StatefulSet becomes ready pods, each with its address, token and volume", async () => {
    const [first, second] = [await cluster.ready("hub-0"), await cluster.ready("hub-1")];
    expect(first.place.address).not.toBe(second.place.address);
    await expect.poll(setStatus).toMatchObject({ observedGeneration: 1, replicas: 2, readyReplicas: 2 });
    const pod = await server.admin("GET", `${pods}/hub-0`);
    expect(pod.status.podIP).toBe(first.place.address);
    expect(pod.metadata.labels).toMatchObject({ app: "hub", "statefulset.kubernetes.io/pod-name": "hub-0" });
    expect(pod.spec.volumes).toContainEqual({
      name: "queue",
      persistentVolumeClaim: { claimName: "queue-hub-0" },
    });
    const claims = await server.admin("GET", `/api/v1/namespaces/${namespace}/persistentvolumeclaims`);
    expect(claims.items).toHaveLength(2);
    const client = apiClient(server.authFor(readFileSync(first.place.tokenFile, "utf8")));
    const { status } = await client.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
    });
    client.close();
    expect(status.userInfo).toMatchObject({
      username: `system:serviceaccount:${namespace}:hub`,
      extra: { "authentication.kubernetes.io/pod-name": ["hub-0"] },
    });
  });

  test("a smaller scale ends the highest pod with SIGTERM; its address and volume wait for it", async () => {
    const before = await cluster.ready("hub-1");
    await server.admin("PATCH", `${sets}/hub`, { body: { spec: { replicas: 1 } } });
    expect(await before.process.ended).toBe(0);
    await expect.poll(podNames).toEqual(["hub-0"]);
    await server.admin("PATCH", `${sets}/hub`, { body: { spec: { replicas: 2 } } });
    const after = await cluster.ready("hub-1");
    expect(after.place).toEqual(before.place);
    expect(after.pod.metadata.uid).not.toBe(before.pod.metadata.uid);
  });

  test("a killed process is started again in the same pod", async () => {
    const pod = await cluster.ready("hub-0");
    const { pid } = pod.process;
    await pod.process.kill("SIGKILL");
    await eventually(() => !pod.isReady);
    await cluster.ready("hub-0");
    expect(cluster.pod("hub-0")).toBe(pod);
    expect(pod.process.pid).not.toBe(pid);
    const { status } = await server.admin("GET", `${pods}/hub-0`);
    expect(status.containerStatuses[0].restartCount).toBe(1);
  });

  test("a pod deleted by force is killed and made anew", async () => {
    const before = await cluster.ready("hub-0");
    await server.admin("DELETE", `${pods}/hub-0?gracePeriodSeconds=0`);
    expect(await before.process.ended).toBe("SIGKILL");
    const after = await eventually(() => {
      const pod = cluster.pod("hub-0");
      return pod !== before && pod?.isReady ? pod : undefined;
    });
    expect(after.place).toEqual(before.place);
  });

  test("a new template rolls every pod, one at a time; a status or scale does not", async () => {
    await cluster.ready("hub-0");
    await cluster.ready("hub-1");
    await server.admin("PATCH", `${sets}/hub`, { body: { metadata: { labels: { a: "b" } } } });
    await server.admin("PATCH", `${sets}/hub`, { body: { spec: { replicas: 3 } } });
    await cluster.ready("hub-2");
    expect(cluster.rolls).toBe(0);
    const template = { metadata: { annotations: { version: "2" } } };
    await server.admin("PATCH", `${sets}/hub`, { body: { spec: { template } } });
    const rolled = { updatedReplicas: 3, readyReplicas: 3, observedGeneration: 3 };
    await expect.poll(setStatus).toMatchObject(rolled);
    expect(cluster.rolls).toBe(3);
  });

  test("a StatefulSet that goes takes its pods along, and the collector what it owned", async () => {
    const { uid } = (await server.admin("GET", `${sets}/hub`)).metadata;
    await cluster.ready("hub-0");
    const ownerReferences = [{ apiVersion: "apps/v1", kind: "StatefulSet", name: "hub", uid }];
    await server.admin("POST", `/api/v1/namespaces/${namespace}/secrets`, {
      body: { metadata: { name: "owned", ownerReferences } },
    });
    expect(await collectGarbage(server, namespace)).toEqual([]);
    await server.admin("DELETE", `${sets}/hub?propagationPolicy=Background`);
    await expect.poll(podNames).toEqual([]);
    expect(cluster.pods()).toEqual([]);
    expect(await collectGarbage(server, namespace)).toEqual(["Secret/owned"]);
  });
});

function statefulSet(): unknown {
  return {
    metadata: { name: "hub" },
    spec: {
      replicas: 2,
      podManagementPolicy: "Parallel",
      serviceName: "hub-pods",
      selector: { matchLabels: { app: "hub" } },
      template: {
        metadata: { labels: { app: "hub", "app.kubernetes.io/instance": "hub" } },
        spec: { serviceAccountName: "hub", containers: [{ name: "transport", image: "postroom" }] },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: "queue" },
          spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
        },
      ],
    },
  };
}
