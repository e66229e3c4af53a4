/** What holds without an API server; the rest is in test/api/apply.test.ts. */
import { describe, expect, test } from "vitest";
import { APPLIED_HASH, createApplier, type Desired, ForeignObjectError } from "./apply.ts";
import { KubeError } from "./errors.ts";
import { RESOURCES } from "./paths.ts";
import type { KubeCall, KubeHttp, KubeObject, OwnerReference } from "./types.ts";

const owner: OwnerReference = {
  apiVersion: "postroom.dev/v1alpha1",
  kind: "MailTransport",
  name: "hub",
  uid: "7",
  controller: true,
};
const service = (spec: unknown): Desired => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "hub", namespace: "mail" },
  spec,
});
const options = { type: RESOURCES.Service, owner };

/** Keeps one object as it is applied, after `rewrite`. */
function scene({ rewrite = (spec: unknown) => spec } = {}) {
  let object: KubeObject | undefined;
  let version = 0;
  const calls: KubeCall[] = [];
  const http: KubeHttp = {
    async request<Answer>(call: KubeCall): Promise<Answer> {
      calls.push(call);
      const { method, path } = call;
      if (method === "PATCH") {
        version += 1;
        const body = call.body as KubeObject;
        const metadata = { ...body.metadata, uid: "1", resourceVersion: String(version) };
        object = { ...object, ...body, metadata, ...("spec" in body && { spec: rewrite(body.spec) }) };
      }
      if (object === undefined)
        throw new KubeError({ verb: method, path, status: 404, reason: "NotFound", words: "" });
      return structuredClone(object) as Answer;
    },
    watch: () => Promise.reject(new Error("not used")) as never,
    close() {},
  };
  const ours = createApplier({ http, fieldManager: "postroom-operator" });
  return {
    ours,
    calls,
    methods: () => calls.map(({ method }) => method),
    live: () => structuredClone(object),
    put(one: KubeObject) {
      object = one;
    },
  };
}

describe("createApplier()", () => {
  test("what is not known is read, then applied by force with owner and hash", async () => {
    const { ours, calls, methods } = scene();
    expect(await ours.apply(service({ type: "ClusterIP" }), options)).toBe("created");
    expect(methods()).toEqual(["GET", "PATCH"]);
    expect(calls[1]).toMatchObject({
      path: "/api/v1/namespaces/mail/services/hub",
      query: { fieldManager: "postroom-operator", force: true },
      contentType: "application/apply-patch+yaml",
      body: {
        metadata: {
          ownerReferences: [owner],
          annotations: { [APPLIED_HASH]: expect.stringMatching(/^[0-9a-f]{16}$/) },
        },
      },
    });
  });

  test("what is as desired is not written, nor read when it is known", async () => {
    const { ours, live, calls } = scene();
    await ours.apply(service({ type: "ClusterIP" }), options);
    calls.length = 0;
    expect(await ours.apply(service({ type: "ClusterIP" }), { ...options, live: live() })).toBe("unchanged");
    expect(calls).toEqual([]);
  });

  test("what the server writes in its own way is learned from its answer", async () => {
    const { ours, live, methods } = scene({ rewrite: () => ({ type: "CLUSTERIP" }) });
    await ours.apply(service({ type: "ClusterIP" }), options);
    expect(await ours.apply(service({ type: "ClusterIP" }), { ...options, live: live() })).toBe("unchanged");
    expect(methods()).toEqual(["GET", "PATCH"]);
  });

  test.each([
    { name: "nobody", ownerReferences: [] },
    { name: "somebody else", ownerReferences: [{ ...owner, uid: "8" }] },
    { name: "us, but not as controller", ownerReferences: [{ ...owner, controller: false }] },
  ])("an object that belongs to $name is refused", async ({ ownerReferences }) => {
    const { ours, put, methods } = scene();
    put({ metadata: { name: "hub", namespace: "mail", uid: "3", ownerReferences } });
    const attempt = ours.apply(service({}), options);
    await expect(attempt).rejects.toThrow(ForeignObjectError);
    await expect(attempt).rejects.toThrow(
      'Service "mail/hub" exists and belongs to somebody else: rename the MailTransport or delete it',
    );
    expect(methods()).toEqual(["GET"]);
  });

  test("a status is written when it differs, and names the object it was decided for", async () => {
    const { ours, calls } = scene();
    const object = { name: "hub", namespace: "mail", uid: "1" };
    const status = { a: 1, b: [{ c: 2 }] };
    const put = (live: unknown) => ours.applyStatus({ type: RESOURCES.MailTransport, object, status, live });
    expect(await put({ b: [{ c: 2 }], a: 1 })).toBe(false);
    expect(await put({ a: 1 })).toBe(true);
    expect(calls).toMatchObject([
      {
        path: "/apis/postroom.dev/v1alpha1/namespaces/mail/mailtransports/hub/status",
        body: { apiVersion: "postroom.dev/v1alpha1", kind: "MailTransport", metadata: object, status },
      },
    ]);
  });
});
