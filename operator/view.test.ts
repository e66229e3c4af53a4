import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { eventually } from "../test/helpers/eventually.ts";
import { type FakeCall, type FakeKube, silentLog, startFakeKube } from "../test/helpers/fake-kube.ts";
import { type ClusterView, openView } from "./view.ts";

let kube: FakeKube;
let view: ClusterView;
let told: string[];
let watches: Map<string, FakeCall>;

const owner = {
  apiVersion: "postroom.dev/v1alpha1",
  kind: "MailTransport",
  name: "hub",
  uid: "u1",
  controller: true,
};
const labels = { "app.kubernetes.io/instance": "hub" };
let version = 10;

function object(name: string, rest: object = {}, metadata: object = {}): KubeObject {
  version += 1;
  const place = {
    name,
    namespace: "mail",
    uid: `uid-${name}`,
    generation: 1,
    resourceVersion: String(version),
  };
  return { metadata: { ...place, ...metadata }, ...rest };
}

const lists: Record<string, KubeObject[]> = {};

beforeEach(async () => {
  told = [];
  watches = new Map();
  Object.assign(lists, {
    mailtransports: [
      object("hub", {
        spec: {
          hostname: "mx.contoso.example",
          allowedNamespaces: { from: "Selector", selector: { matchLabels: { team: "sales" } } },
        },
      }),
      object("broken", { spec: { hostname: 5 } }),
      object("edge", { spec: { hostname: "mx.contoso.example" } }),
    ],
    snapshotchunks: [object("hub-1", { spec: { digest: "d1", data: "AAAA" } }, { ownerReferences: [owner] })],
    transportpods: [
      object("hub-0", {
        spec: { transport: "hub" },
        status: { draining: false, drained: false, queue: { messages: 3, setAside: 0 } },
      }),
    ],
    pods: [object("hub-0", {}, { labels })],
    transportsnapshots: [
      object("hub", {
        spec: { formatVersion: 1, current: { revision: 1, digest: "a".repeat(64) }, history: [] },
      }),
    ],
    persistentvolumeclaims: [object("queue-hub-0", {}, { labels })],
    namespaces: [object("sales", {}, { labels: { team: "sales" } })],
  });
  kube = await startFakeKube((call) => {
    const plural = call.path.split("/").at(-1) ?? "";
    if (call.query.get("watch") !== "true") return call.list(lists[plural] ?? [], { resourceVersion: "10" });
    watches.set(plural, call);
    call.response.flushHeaders();
  });
  view = openView(
    { http: kube.client(), clock: systemClock, log: silentLog, namespaces: undefined },
    {
      transport: (key) => void told.push(`transport ${key}`),
      acknowledged: (key) => void told.push(`acknowledged ${key}`),
      child: ({ key }) => void told.push(`child ${key}`),
    },
  );
  await view.synced;
  told.length = 0;
});
afterEach(async () => {
  view.stop();
  await kube.stop();
});

const pod = (status: object, spec: object = { transport: "hub" }) => object("hub-0", { spec, status });

describe("who is told of a change", () => {
  test.each([
    {
      name: "a chunk deleted by hand concerns its transport",
      plural: "snapshotchunks",
      type: "DELETED",
      change: () => object("hub-1", { spec: { digest: "d1" } }, { ownerReferences: [owner] }),
      want: ["transport mail/hub"],
    },
    {
      name: "a head deleted by hand concerns its transport",
      plural: "transportsnapshots",
      type: "DELETED",
      change: () => object("hub"),
      want: ["transport mail/hub"],
    },
    {
      name: "a TransportPod deleted by hand concerns its transport",
      plural: "transportpods",
      type: "DELETED",
      change: () => pod({}),
      want: ["transport mail/hub"],
    },
    {
      name: "a volume that is gone concerns its transport",
      plural: "persistentvolumeclaims",
      type: "DELETED",
      change: () => object("queue-hub-0", {}, { labels }),
      want: ["transport mail/hub"],
    },
    {
      name: "another label of a namespace concerns the transports that choose namespaces by label, or may",
      plural: "namespaces",
      type: "MODIFIED",
      change: () => object("sales", {}, { labels: { team: "support" } }),
      want: ["transport mail/hub", "transport mail/broken"],
    },
    {
      name: "what a pod says of a revision is heard at once",
      plural: "transportpods",
      type: "MODIFIED",
      change: () =>
        pod({
          draining: false,
          drained: false,
          queue: { messages: 3, setAside: 0 },
          snapshot: { revision: 1, digest: "a".repeat(64) },
        }),
      want: ["acknowledged mail/hub"],
    },
    {
      name: "a queue that grew is heard with what else comes",
      plural: "transportpods",
      type: "MODIFIED",
      change: () => pod({ draining: false, drained: false, queue: { messages: 4, setAside: 0 } }),
      want: ["transport mail/hub"],
    },
  ])("$name", async ({ plural, type, change, want }) => {
    const watch = await eventually(() => watches.get(plural));
    watch.event(type, change());
    await eventually(() => told.length > 0);
    expect(told).toEqual(want);
  });
});
