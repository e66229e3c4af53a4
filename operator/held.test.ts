import { describe, expect, test } from "vitest";
import { holdChunk, holdHead, holdObject, holdPod, holdTransportPod } from "./held.ts";

const metadata = { name: "r", namespace: "mail", uid: "u", generation: 1, resourceVersion: "5" };
const spec = { actions: { setScl: 1 } };

describe("holdObject()", () => {
  test("what is read is the very same value while the generation is the same", () => {
    const first = holdObject("TransportRule", { metadata, spec }, undefined);
    const again = {
      metadata: { ...metadata, resourceVersion: "6" },
      spec,
      status: { observedGeneration: 1 },
    };
    const second = holdObject("TransportRule", again, first);
    expect(second.resource).toBe(first.resource);
    expect(second.status).toEqual({ observedGeneration: 1 });
    expect(second.metadata.resourceVersion).toBe("6");
  });

  test("another generation is read anew", () => {
    const first = holdObject("TransportRule", { metadata, spec }, undefined);
    const edited = { metadata: { ...metadata, generation: 2 }, spec: { ...spec, priority: 3 } };
    const second = holdObject("TransportRule", edited, first);
    expect(second.resource?.kind === "TransportRule" && second.resource.spec.priority).toBe(3);
  });

  test("an object made anew under the same name is read anew", () => {
    const first = holdObject("TransportRule", { metadata, spec }, undefined);
    const second = holdObject("TransportRule", { metadata: { ...metadata, uid: "v" }, spec }, first);
    expect(second.resource).not.toBe(first.resource);
  });

  test("faults name the object and the field", () => {
    const held = holdObject("TransportRule", { metadata, spec: { actions: {} } }, undefined);
    expect(held.resource).toBeUndefined();
    expect(held.faults).toMatchObject([
      { object: "TransportRule/mail/r", path: "spec.actions", reason: "Invalid", severity: "error" },
    ]);
  });
});

describe("what others wrote", () => {
  test("a head that is none is not held", () => {
    expect(holdHead({ metadata, spec: { formatVersion: 2 } })).toBeUndefined();
  });

  test("a chunk is known by its digest and its owner, its data is not kept", () => {
    const owner = {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "MailTransport",
      name: "hub",
      uid: "t",
      controller: true,
    };
    const chunk = holdChunk({
      metadata: { ...metadata, ownerReferences: [owner] },
      spec: { digest: "d", encoding: "zstd", data: "AAAA" },
    });
    expect(chunk).toEqual({
      name: "r",
      transport: "mail/hub",
      owner: "t",
      digest: "d",
      createdAt: "",
      bytes: 3,
    });
  });

  test("a pod that is being deleted is not ready", () => {
    const status = { conditions: [{ type: "Ready", status: "True" }] };
    const labels = { "app.kubernetes.io/instance": "hub" };
    expect(holdPod({ metadata: { ...metadata, labels }, status })).toMatchObject({
      transport: "mail/hub",
      ready: true,
    });
    const going = { ...metadata, labels, deletionTimestamp: "2026-11-21T12:00:00Z" };
    expect(holdPod({ metadata: going, status }).ready).toBe(false);
  });

  test("a TransportPod whose status cannot be understood may hold mail; one without has said nothing", () => {
    const spec = { transport: "hub" };
    const strange = holdTransportPod({ metadata, spec, status: { queue: "full" } });
    expect(strange).toMatchObject({ transport: "mail/hub", drain: false, status: { drained: false } });
    expect(holdTransportPod({ metadata, spec }).status).toBeUndefined();
  });
});
