/** Statuses and heads as the operator decides them, at a real API server: taken whole, and read back they say nothing new. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_VERSION, readObject } from "../../crds/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { createApplier } from "../../lib/kube/apply.ts";
import { createKubeHttp } from "../../lib/kube/http.ts";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeHttp, KubeObject } from "../../lib/kube/types.ts";
import { decideRollout } from "../../operator/rollout.ts";
import { childStatus, transportStatus } from "../../operator/status.ts";
import type { HeldObject, PodFacts } from "../../operator/types.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { silentLog } from "../helpers/fake-kube.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const NOW = "2026-11-21T20:00:00Z";
const MANIFESTS = {
  MailTransport: { hostname: "mx.contoso.example", replicas: 2 },
  AcceptedDomain: { domains: ["contoso.example"], type: "Authoritative" },
  SendConnector: { addressSpaces: [{ domain: "*" }], routing: { type: "MX" } },
  ReceiveConnector: { bindings: [{ port: 25 }], tls: { mode: "None" }, authMechanisms: [] },
  TransportRule: { conditions: { subjectContainsWords: ["x"] }, actions: { deleteMessage: true } },
} as const;
type OurKind = keyof typeof MANIFESTS;

const POD: PodFacts = {
  name: "hub-0",
  ready: true,
  exists: true,
  drain: true,
  status: {
    snapshot: { revision: 1, digest: "a".repeat(64) },
    queue: { messages: 123, setAside: 1, oldestMessageTime: "2026-11-21T19:00:00Z" },
    draining: true,
    drained: false,
  },
};

describe.skipIf(kubeAssets() === undefined)("statuses at a real API server", () => {
  let server: ApiServer;
  let http: KubeHttp;
  let namespace: string;

  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    namespace = await server.namespace();
    http = createKubeHttp({ auth: server.adminAuth, clock: systemClock, log: silentLog, userAgent: "test" });
  });
  afterAll(async () => {
    http?.close();
    await server?.stop();
  });

  async function create(kind: OurKind): Promise<KubeObject> {
    const body = {
      apiVersion: API_VERSION,
      kind,
      metadata: { name: "hub", namespace },
      spec: MANIFESTS[kind],
    };
    return server.admin("POST", resourcePath(RESOURCES[kind], { namespace }), { body });
  }

  function held(kind: OurKind, live: KubeObject): HeldObject {
    const status = live.status as HeldObject["status"];
    return {
      key: `${namespace}/hub`,
      kind,
      metadata: live.metadata,
      resource: readObject(live).resource,
      faults: [],
      status,
    };
  }

  function judge(kind: OurKind, object: HeldObject, now: string) {
    const diagnostic = (reason: string, severity: "error" | "warning") =>
      ({
        object: `${kind}/${namespace}/hub`,
        path: "spec.x",
        reason,
        message: "is wrong: mend it",
        severity,
      }) as const;
    const diagnostics = [
      diagnostic("Conflicted", "warning"),
      diagnostic("SecretNotFound", "warning"),
      diagnostic("PartiallyInvalid", "warning"),
    ];
    if (kind !== "MailTransport") {
      const programmed = { status: "Unknown", reason: "AwaitingAck", message: "" } as const;
      return childStatus({
        object,
        transports: [{ name: `${namespace}/hub`, diagnostics, programmed }],
        diagnostics: [],
        now,
      });
    }
    return transportStatus({
      object,
      diagnostics,
      rollout: { phase: "Waiting", revision: 1, pods: ["hub-1"] },
      pods: [POD],
      snapshot: {
        revision: 1,
        digest: "a".repeat(64),
        bytes: 1,
        rejected: 0,
        counts: { receiveConnectors: 1, transportRules: 2 },
      },
      workload: { replicas: 2, readyReplicas: 1, selector: "app.kubernetes.io/instance=hub" },
      applyFaults: [],
      drain: { phase: "Draining", cause: "ScaleDown", pods: [{ name: "hub-0", messages: 123 }] },
      now,
    });
  }

  test.each(Object.keys(MANIFESTS) as OurKind[])(
    "a status of %s is taken whole and says nothing new when read back",
    async (kind) => {
      const live = await create(kind);
      const status = judge(kind, held(kind, live), NOW);
      const applier = createApplier({ http, fieldManager: "postroom-operator" });
      const write = (now: KubeObject, value: unknown) =>
        applier.applyStatus({ type: RESOURCES[kind], object: now.metadata, status: value, live: now.status });
      expect(await write(live, status)).toBe(true);
      const read = await server.admin<KubeObject>(
        "GET",
        resourcePath(RESOURCES[kind], { namespace, name: "hub" }),
      );
      expect(read.status).toEqual(status);
      const again = judge(kind, held(kind, read), "2026-11-21T22:00:00Z");
      expect(again).toBe(read.status);
      expect(await write(read, again)).toBe(false);
    },
  );

  test("a head with a trial, a refusal and history is taken whole", async () => {
    const digest = (letter: string) => letter.repeat(64);
    const keys = { secret: "hub-keys-1", digest: digest("0") };
    const ready = (ordinal: number, refused?: string): PodFacts => ({
      name: `hub-${ordinal}`,
      ready: true,
      exists: true,
      drain: false,
      status: {
        draining: false,
        drained: false,
        ...(refused !== undefined && {
          refused: {
            revision: 2,
            digest: digest(refused),
            keys,
            message: "no",
            objects: ["TransportRule/mail/x"],
          },
        }),
      },
    });
    let head = decideRollout({
      head: undefined,
      target: { digest: digest("a"), keys },
      pods: [],
      rollbackTo: undefined,
      now: 0,
    }).head;
    const step = (target: string, pods: readonly PodFacts[]) => {
      head = decideRollout({
        head,
        target: { digest: digest(target), keys },
        pods,
        rollbackTo: undefined,
        now: 1e12,
      }).head;
    };
    step("b", []);
    step("c", [ready(0), ready(1)]);
    step("c", [ready(0), ready(1, "c")]);
    step("d", [ready(0), ready(1)]);
    const metadata = { name: "hub", namespace };
    const body = { apiVersion: API_VERSION, kind: "TransportSnapshot", metadata, spec: head };
    const written = await http.request({
      method: "POST",
      path: resourcePath(RESOURCES.TransportSnapshot, { namespace }),
      body,
    });
    expect(written.spec).toEqual(head);
    expect(head).toMatchObject({
      canary: { pod: "hub-1" },
      refused: { objects: ["TransportRule/mail/x"] },
      history: [{ revision: 1 }],
    });
  });
});
