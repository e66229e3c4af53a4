/** Leader election and events against the server that checks their fields. */
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { createEventRecorder } from "../../lib/kube/events.ts";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { createLeaderElector, type LeaderElector } from "../../lib/kube/leader.ts";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeHttp, KubeObject, ListOf } from "../../lib/kube/types.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const log = pino({ level: "silent" });

describe.skipIf(kubeAssets() === undefined)("election and events against an API server", () => {
  let server: ApiServer;
  let http: KubeHttp;
  const electors: LeaderElector[] = [];
  beforeAll(async () => {
    server = await startApiServer();
    http = createKubeHttp({ auth: server.adminAuth, clock: systemClock, log, userAgent: "test" });
  });
  afterAll(async () => {
    await Promise.all(electors.map((elector) => elector.stop()));
    http?.close();
    await server?.stop();
  });

  test("one of three leads; when it stops, another one does at once, and the lease has the fields of client-go", async () => {
    const namespace = await server.namespace();
    const told: string[] = [];
    const stand = (identity: string) => {
      const elector = createLeaderElector({
        http,
        clock: systemClock,
        log,
        namespace,
        name: "operator",
        identity,
        leaseDurationMs: 60_000,
        renewDeadlineMs: 10_000,
        retryPeriodMs: 100,
        onElected: () => void told.push(`${identity} elected`),
        onLost: () => void told.push(`${identity} lost`),
      });
      electors.push(elector);
      return elector;
    };
    const three = ["a", "b", "c"].map(stand);
    const first = await eventually(() => three.find(({ isLeader }) => isLeader));
    const path = resourcePath(RESOURCES.Lease, { namespace, name: "operator" });
    const renewTime = async () => {
      const { spec } = await http.request<KubeObject>({ method: "GET", path });
      return (spec as { renewTime: string }).renewTime;
    };
    const before = await renewTime();
    await eventually(async () => (await renewTime()) > before);
    await first.stop();
    await eventually(() => three.some(({ isLeader }) => isLeader));
    expect(three.filter(({ isLeader }) => isLeader)).toHaveLength(1);
    expect(first.isLeader).toBe(false);
    expect(told.map((line) => line.slice(2))).toEqual(["elected", "lost", "elected"]);
    expect(await http.request({ method: "GET", path })).toMatchObject({
      spec: {
        holderIdentity: told[2]?.slice(0, 1),
        leaseDurationSeconds: 60,
        leaseTransitions: 1,
        acquireTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      },
    });
  });

  test("an event is taken, and the same again is one more in its series", async () => {
    const namespace = await server.namespace();
    const recorder = createEventRecorder({
      http,
      clock: systemClock,
      log,
      reporter: "postroom.dev/operator",
      instance: "operator-0",
    });
    const regarding = {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "MailTransport",
      namespace,
      name: "hub",
      uid: "8f3c1f34-0000-4000-8000-000000000000",
    };
    const note = "x".repeat(5000);
    const nacked = { regarding, type: "Warning", reason: "Nacked", action: "Rollout", note } as const;
    recorder.record(nacked);
    await recorder.idle();
    recorder.record(nacked);
    await recorder.idle();
    const path = resourcePath(RESOURCES.Event, { namespace });
    const { items } = await http.request<ListOf<KubeObject>>({ method: "GET", path });
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ regarding, reason: "Nacked", series: { count: 2 } });
    await recorder.stop();
  });
});
