/** A transport pod at a real API server, with the rights that its Role gives it and no more. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunkName, type Revision } from "../../crds/delivery-kinds.ts";
import { systemClock } from "../../lib/clock.ts";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { accessObjects } from "../../operator/access.ts";
import { encodeChunk } from "../../snapshot/mod.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { type ClusterPod, startClusterPod } from "../helpers/cluster-pod.ts";
import { eventually } from "../helpers/eventually.ts";
import { packKeys, packManifests } from "../helpers/fake-cluster.ts";
import { silentLog } from "../helpers/fake-kube.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { BASIC } from "../helpers/transport.ts";

const GROUP = "postroom.dev/v1alpha1";
const PATHS: Readonly<Record<string, string>> = {
  ServiceAccount: "/api/v1/namespaces/NS/serviceaccounts",
  Role: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
  RoleBinding: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
  Secret: "/api/v1/namespaces/NS/secrets",
};

describe.skipIf(kubeAssets() === undefined)("a transport pod at a real API server", () => {
  let server: ApiServer;
  let namespace: string;
  let token: string;
  let state = "";
  let pod: ClusterPod | undefined;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    namespace = await server.namespace();
    for (const object of accessObjects("hub", { keysSecrets: ["hub-keys-1"], replicas: 1 }))
      await create(object);
    token = await server.tokenFor({ namespace, serviceAccount: "hub" });
    await create({ kind: "TransportPod", metadata: { name: "hub-0" }, spec: { transport: "hub" } });
  });
  afterAll(async () => {
    await pod?.stop();
    await server?.stop();
    if (state !== "") await rm(state, { recursive: true, force: true });
  });

  const ours = (plural: string) => `/apis/${GROUP}/namespaces/${namespace}/${plural}`;
  const pathOf = (kind: string) => PATHS[kind]?.replace("NS", namespace) ?? ours(`${kind.toLowerCase()}s`);
  const create = (object: { kind: string; apiVersion?: string; [field: string]: unknown }) =>
    server.admin("POST", pathOf(object.kind), { body: { apiVersion: GROUP, ...object } });
  const start = async () => {
    const http = createKubeHttp({
      ...{ auth: server.authFor(token, namespace), clock: systemClock, log: silentLog, userAgent: "test" },
    });
    pod = await startClusterPod({ http, namespace, ...(state && { state }) });
    state = pod.state;
    return pod;
  };
  const podObject = () => server.admin("GET", `${ours("transportpods")}/hub-0`);
  const acknowledged = (revision: number) =>
    eventually(async () => {
      const { status } = await podObject();
      return status?.snapshot?.revision === revision ? status : undefined;
    });
  const publish = async (revision: number, domain: string, keys?: Revision["keys"]) => {
    const { digest, chunks } = packManifests(BASIC.replace("[contoso", `[${domain}, contoso`));
    for (const [one, text] of chunks) {
      const metadata = { name: chunkName("hub", one) };
      await create({ kind: "SnapshotChunk", metadata, spec: encodeChunk(text) }).catch((error: Error) => {
        if (!/already exists/.test(error.message)) throw error;
      });
    }
    return { revision, digest, ...(keys && { keys }) };
  };

  test("takes what the head names, keys included, and acknowledges it", async () => {
    const { data, digest } = packKeys({ "default/unused": { users: "x" } });
    const metadata = { name: "hub-keys-1" };
    await create({ apiVersion: "v1", kind: "Secret", metadata, immutable: true, data });
    const current = await publish(1, "one.example", { secret: "hub-keys-1", digest });
    const spec = { formatVersion: 1, current };
    await create({ kind: "TransportSnapshot", metadata: { name: "hub" }, spec });
    await (await start()).started;
    const status = await acknowledged(1);
    expect(status).toMatchObject({ snapshot: current, source: "API", draining: false, drained: false });
    const next = await publish(2, "two.example");
    await server.admin("PATCH", `${ours("transportsnapshots")}/hub`, { body: { spec: { current: next } } });
    await acknowledged(2);
  });

  test("writes nothing when it is started again and nothing changed", async () => {
    const settled = await eventually(async () => {
      const object = await podObject();
      return object.status.queue ? object : undefined;
    });
    await (await pod?.started)?.stop(0);
    const again = await start();
    await again.started;
    await eventually(() => again.logs.some(({ msg }) => msg === "configuration in force"));
    expect((await podObject()).metadata.resourceVersion).toBe(settled.metadata.resourceVersion);
  });

  test("drains when it is told to, and takes mail again", async () => {
    const drain = (value: boolean) =>
      server.admin("PATCH", `${ours("transportpods")}/hub-0`, { body: { spec: { drain: value } } });
    await drain(true);
    await eventually(async () => (await podObject()).status.drained);
    expect(await pod?.get("/readyz")).toMatchObject({ status: 503, text: "draining" });
    await drain(false);
    await eventually(async () => !(await podObject()).status.draining);
    expect(await pod?.get("/readyz")).toMatchObject({ status: 200 });
  });

  test("starts from disk while the server is away, and says so when it is back", async () => {
    await (await pod?.started)?.stop(0);
    await server.stopServer();
    await (await start()).started;
    await server.startAgain();
    await eventually(async () => (await podObject()).status.source === "Disk");
  });
});
