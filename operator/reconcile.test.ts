import { beforeEach, describe, expect, test } from "vitest";
import { kubeFault, type OperatorRig, openOperatorRig } from "../test/helpers/operator-rig.ts";

let rig: OperatorRig;
beforeEach(() => {
  rig = openOperatorRig();
});

const RULE = {
  metadata: { name: "spam" },
  spec: { conditions: { subjectContainsWords: ["prize"] }, actions: { setScl: 9 } },
};
const CONNECTOR = {
  metadata: { name: "submission" },
  spec: {
    bindings: [{ port: 2587 }],
    remoteIPRanges: ["10.0.0.0/8"],
    permissionGroups: ["AuthenticatedUsers"],
    authMechanisms: ["BasicAuth"],
    credentialsRef: { name: "users" },
  },
};

function users(text: string) {
  rig.put("Secret", { metadata: { name: "users" }, data: { users: Buffer.from(text).toString("base64") } });
}

const named = (kind: string) => [...rig.objects.keys()].filter((key) => key.startsWith(`${kind}/`));
const replicas = () =>
  (rig.objects.get("StatefulSet/mail/hub")?.spec as { replicas: number } | undefined)?.replicas;

describe("a transport at rest", () => {
  test("twice equals once: the second time nothing is written, nor by the next leader", async () => {
    rig.put("TransportRule", RULE);
    await rig.run();
    await rig.reconcile();
    expect(rig.writes).toEqual([]);
    rig.restart();
    await rig.reconcile();
    expect(rig.writes).toEqual([]);
  });

  test("is looked at again some day even if nothing happens: certificates expire, garbage ages", async () => {
    await rig.run();
    expect((await rig.reconcile())?.againAfterMs).toBe(600_000);
  });
});

describe("what somebody deletes by hand", () => {
  test("a head is written anew, as it was", async () => {
    await rig.run();
    const before = rig.head();
    rig.objects.delete("TransportSnapshot/mail/hub");
    await rig.settle();
    expect(rig.head()).toEqual(before);
  });

  test("a head that the view does not show yet is not written twice", async () => {
    rig.transport();
    rig.lag();
    await rig.reconcile();
    await rig.reconcile();
    expect(rig.writes.filter((one) => one.startsWith("head"))).toEqual([]);
  });

  test("chunks are written anew, though this operator wrote them itself", async () => {
    await rig.run();
    const before = named("SnapshotChunk");
    for (const key of before) rig.objects.delete(key);
    await rig.settle();
    expect(named("SnapshotChunk").sort()).toEqual([...before].sort());
  });

  test("the Secret of the keys is replaced, and the head names its successor", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:hunter2");
    await rig.run({ replicas: 1 });
    const { keys } = rig.head().current;
    expect(keys?.secret).toBe("hub-keys-1");
    rig.objects.delete("Secret/mail/hub-keys-1");
    await rig.settle();
    expect(rig.head().current.keys?.secret).toBe("hub-keys-2");
    expect(named("Secret")).toContain("Secret/mail/hub-keys-2");
  });

  test("a TransportPod is made anew and drains nothing", async () => {
    await rig.run();
    rig.objects.delete("TransportPod/mail/hub-1");
    await rig.settle();
    expect(rig.objects.get("TransportPod/mail/hub-1")?.spec).toEqual({ transport: "hub", drain: false });
    expect(replicas()).toBe(3);
  });
});

describe("an operator that dies between two writes", () => {
  test("leaves keys that the next one uses: no copy stays behind", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:hunter2");
    await rig.run({ replicas: 1 });
    users("ann:correct horse");
    rig.fault = (write) => (write.startsWith("head") ? new Error("killed") : undefined);
    for (let turn = 0; turn < 3; turn += 1) {
      await expect(rig.reconcile()).rejects.toThrow("killed");
      rig.restart();
    }
    rig.fault = () => undefined;
    await rig.settle();
    expect(rig.head().current.keys?.secret).toBe("hub-keys-2");
    expect(named("Secret").sort()).toEqual([
      "Secret/mail/hub-keys-1",
      "Secret/mail/hub-keys-2",
      "Secret/mail/users",
    ]);
  });

  test("is followed by one that decides by the head as it is, not as its view still shows it", async () => {
    await rig.run({ replicas: 1 });
    rig.lag();
    rig.put("TransportRule", RULE);
    const stale = rig.head();
    rig.catchUp();
    rig.lag();
    await rig.reconcile();
    const after = rig.head();
    expect(after.current.revision).toBe(stale.current.revision + 1);
    rig.restart();
    await rig.reconcile();
    expect(rig.writes.filter((one) => one.startsWith("head"))).toEqual([]);
    expect(rig.head()).toEqual(after);
  });
});

describe("one write that fails", () => {
  test("keys that cannot be stored are a fault of the transport; its pods still drain, what is in force stays", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:hunter2");
    await rig.run({ replicas: 2 });
    const before = rig.head();
    users("ann:correct horse");
    rig.fault = (write) => (write.startsWith("create Secret") ? kubeFault(403, "Forbidden") : undefined);
    rig.transport({ replicas: 1 });
    const result = await rig.reconcile();
    expect(result?.againAfterMs).toBeLessThanOrEqual(60_000);
    expect(rig.condition("Ready")).toMatchObject({ status: "False", reason: "ApplyFailed" });
    expect(rig.condition("Programmed")).toMatchObject({ status: "Unknown" });
    expect(rig.objects.get("TransportPod/mail/hub-1")?.spec).toMatchObject({ drain: true });
    expect(rig.head()).toEqual(before);
    rig.fault = () => undefined;
    rig.transport({ replicas: 2 });
    for (let turn = 0; turn < 3; turn += 1) {
      await rig.settle();
      rig.podsAcknowledge();
    }
    await rig.settle();
    expect(rig.condition("Ready")?.status).toBe("True");
    expect(rig.head().current.keys?.secret).toBe("hub-keys-2");
  });

  test("the API server's failure on one object holds up no other; it is told when it lasts", async () => {
    rig.transport();
    const broken = (write: string) => write === "apply PodDisruptionBudget/mail/hub";
    rig.fault = (write) => (broken(write) ? kubeFault(500, "InternalError") : undefined);
    await expect(rig.reconcile()).rejects.toThrow("refused by a test");
    expect(rig.objects.has("StatefulSet/mail/hub")).toBe(true);
    expect(rig.head().current.revision).toBe(1);
    expect(rig.condition("Ready")?.reason).not.toBe("ApplyFailed");
    await expect(rig.reconcile()).rejects.toThrow("refused by a test");
    expect(rig.condition("Ready")?.reason).toBe("ApplyFailed");
  });

  test("a StatefulSet that cannot shrink leaves its pod told to drain, and nothing goes round in circles", async () => {
    await rig.run({ replicas: 2 });
    rig.transport({ replicas: 1 });
    await rig.settle();
    rig.fault = (write) => (write.startsWith("apply StatefulSet") ? kubeFault(403, "Forbidden") : undefined);
    rig.pod("hub-1", { draining: true, drained: true });
    for (let turn = 0; turn < 3; turn += 1) {
      await rig.reconcile();
      expect(rig.objects.get("TransportPod/mail/hub-1")?.spec).toMatchObject({ drain: true });
    }
    rig.fault = () => undefined;
    rig.objects.delete("Pod/mail/hub-1");
    await rig.settle();
    expect(replicas()).toBe(1);
    expect(named("TransportPod")).toEqual(["TransportPod/mail/hub-0"]);
  });
});

describe("a Secret that cannot be looked at", () => {
  test("is not gone: pods keep the passwords they have", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:hunter2");
    await rig.run({ replicas: 1 });
    const before = rig.head();
    rig.unseen.add("mail/users");
    rig.restart();
    await rig.settle();
    expect(rig.head()).toEqual(before);
    rig.unseen.clear();
    rig.objects.delete("Secret/mail/users");
    await rig.settle();
    expect(rig.head().current.keys).toBeUndefined();
  });
});

describe("a MailTransport that cannot be read any more", () => {
  const broken = { hostname: 5, replicas: 2 };

  test("keeps its workload, and follows its rules", async () => {
    await rig.run({ replicas: 1 });
    rig.transport(broken);
    rig.put("TransportRule", RULE);
    await rig.settle();
    expect(rig.head().current.revision).toBe(2);
    expect(replicas()).toBe(1);
  });

  test("lets its pods read new keys", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:hunter2");
    await rig.run({ replicas: 1 });
    rig.transport(broken);
    users("ann:correct horse");
    await rig.settle();
    expect(rig.head().current.keys?.secret).toBe("hub-keys-2");
    expect(JSON.stringify(rig.objects.get("Role/mail/hub"))).toContain("hub-keys-2");
  });

  test("drains and goes when it is deleted", async () => {
    await rig.run({ replicas: 2 });
    rig.transport(broken, { deletionTimestamp: "2026-11-22T00:00:00Z" });
    await rig.settle();
    expect(rig.objects.get("TransportPod/mail/hub-0")?.spec).toMatchObject({ drain: true });
    rig.pod("hub-0", { draining: true, drained: true });
    rig.pod("hub-1", { draining: true, drained: true });
    await rig.reconcile();
    expect(rig.objects.has("MailTransport/mail/hub")).toBe(false);
  });
});

describe("a MailTransport of the name of one that was deleted", () => {
  test("begins anew while what the old one owned still stands, and takes its place when that is gone", async () => {
    await rig.run({ replicas: 1 });
    rig.objects.delete("MailTransport/mail/hub");
    await rig.reconcile();
    rig.transport({ replicas: 1 });
    await rig.reconcile();
    expect(rig.condition("Ready")).toMatchObject({ reason: "ApplyFailed" });
    const uid = rig.objects.get("MailTransport/mail/hub")?.metadata.uid;
    for (const [key, { metadata }] of rig.objects)
      if (metadata.ownerReferences?.some((owner) => owner.uid !== uid)) rig.objects.delete(key);
    for (let turn = 0; turn < 3; turn += 1) {
      await rig.settle();
      rig.podsAcknowledge();
    }
    await rig.settle();
    expect(rig.condition("Ready")?.status).toBe("True");
  });
});

describe("garbage", () => {
  /** Another revision, in force in all pods. */
  async function change(spec: object) {
    rig.put("TransportRule", { ...RULE, spec: { ...RULE.spec, ...spec } });
    for (let turn = 0; turn < 2; turn += 1) {
      await rig.settle();
      rig.podsAcknowledge();
    }
    await rig.settle();
  }

  test("is what no revision of the head names, once it is old, even when the wall clock was set back meanwhile", async () => {
    await rig.run({ replicas: 1 });
    for (let priority = 1; priority < 9; priority += 1) await change({ priority });
    const before = named("SnapshotChunk").length;
    await rig.clock.advance(700_000);
    rig.clock.setBack(60_000);
    await rig.settle();
    expect(named("SnapshotChunk").length).toBeLessThan(before);
    const left = named("SnapshotChunk").length;
    rig.restart();
    await rig.settle();
    expect(named("SnapshotChunk").length).toBe(left);
  });

  test("is not what was compiled while an earlier revision is pinned", async () => {
    await rig.run({ replicas: 1 });
    await change({ priority: 1 });
    rig.transport({ replicas: 1, rollbackTo: 1 });
    await rig.settle();
    await change({ priority: 2 });
    await rig.clock.advance(3_600_000);
    await rig.reconcile();
    expect(rig.writes).toEqual([]);
  });

  test("is every Secret of keys that was replaced, however many there were since the last look", async () => {
    rig.put("ReceiveConnector", CONNECTOR);
    users("ann:0");
    await rig.run({ replicas: 1 });
    for (let turn = 0; turn < 2; turn += 1) {
      for (let password = 1; password < 8; password += 1) {
        users(`ann:${turn}${password}`);
        await rig.settle();
      }
      for (let minute = 0; minute < 12; minute += 1) {
        await rig.clock.advance(61_000);
        await rig.reconcile();
      }
    }
    const { keys } = rig.head().current;
    expect(keys?.secret).toBe("hub-keys-15");
    expect(named("Secret").filter((name) => Number(/keys-(\d+)/.exec(name)?.[1]) > 5)).toEqual([
      "Secret/mail/hub-keys-15",
    ]);
  });
});
