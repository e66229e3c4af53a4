import { afterEach, describe, expect, test } from "vitest";
import type { KubeObject } from "../lib/kube/types.ts";
import { type FakeCall, type FakeKube, startFakeKube } from "../test/helpers/fake-kube.ts";
import { describeHead, type LiveObjects, readLiveObjects } from "./live-objects.ts";

const API = "/apis/postroom.dev/v1alpha1";
const [OURS, OTHER] = ["a".repeat(64), "b".repeat(64)];

function object(name: string, spec: object, namespace = "mail"): KubeObject {
  const metadata = { name, namespace, uid: name, resourceVersion: "7", generation: 1, managedFields: [] };
  return { metadata: { ...metadata, creationTimestamp: "2026-11-21T20:00:00Z" }, spec };
}

function hub(spec: object = {}): KubeObject {
  return object("hub", { hostname: "mx.contoso.example", ...spec });
}

describe("readLiveObjects()", () => {
  let kube: FakeKube | undefined;
  afterEach(async () => {
    await kube?.stop();
    kube = undefined;
  });

  /** By path; a collection that is not there is empty. */
  async function read(objects: Readonly<Record<string, readonly KubeObject[]>>, transport?: string) {
    kube = await startFakeKube((call) => answer(call, objects));
    return readLiveObjects(kube.client(), { namespace: "mail", transport });
  }
  const paths = () => (kube?.calls ?? []).map(({ path }) => path.replace(`${API}/`, "")).sort();

  test("a transport that takes objects of its namespace only is explained with rights there", async () => {
    const live = await read({
      "namespaces/mail/mailtransports": [hub()],
      "namespaces/mail/accepteddomains": [object("contoso", { domains: ["contoso.example"] })],
    });
    expect(
      live.resources.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`),
    ).toEqual(["MailTransport mail/hub", "AcceptedDomain mail/contoso"]);
    expect(live.namespaces).toBeUndefined();
    expect(paths().filter((path) => !path.startsWith("namespaces/mail/"))).toEqual([]);
  });

  test("one that chooses namespaces by their labels is explained with all of them", async () => {
    const allowedNamespaces = { from: "Selector", selector: { matchLabels: { mail: "yes" } } };
    const live = await read({
      "namespaces/mail/mailtransports": [hub({ allowedNamespaces })],
      transportrules: [
        object("r", { actions: { deleteMessage: true }, transportRefs: [{ name: "hub" }] }, "sales"),
      ],
      "/api/v1/namespaces": [
        { metadata: { name: "sales", labels: { mail: "yes" } } },
        { metadata: { name: "x" } },
      ],
    });
    expect(live.resources.map(({ metadata }) => metadata.namespace)).toEqual(["mail", "sales"]);
    expect(live.namespaces).toEqual(
      new Map([
        ["sales", { mail: "yes" }],
        ["x", {}],
      ]),
    );
  });

  test("more objects than a page holds are all read", async () => {
    const rules = Array.from({ length: 1200 }, (_, at) =>
      object(`r${at}`, { actions: { deleteMessage: true } }),
    );
    const live = await read({
      "namespaces/mail/mailtransports": [hub()],
      "namespaces/mail/transportrules": rules,
    });
    expect(live.resources).toHaveLength(1201);
  });

  test("an object with faults is left out, and they are told", async () => {
    const live = await read({
      "namespaces/mail/mailtransports": [hub()],
      "namespaces/mail/accepteddomains": [object("contoso", { domains: ["contoso"], colour: "blue" })],
    });
    expect(live.resources).toHaveLength(1);
    expect(live.faults).toContain("AcceptedDomain/mail/contoso spec.colour: unknown field");
  });

  test("the head is read as the operator wrote it", async () => {
    const spec = { formatVersion: 1, current: { revision: 7, digest: OURS } };
    const live = await read({
      "namespaces/mail/mailtransports": [hub()],
      "namespaces/mail/transportsnapshots": [object("hub", spec)],
    });
    expect(live.head?.current.revision).toBe(7);
  });

  describe("says what to do when", () => {
    const two = { "namespaces/mail/mailtransports": [hub(), object("edge", { hostname: "edge.a.example" })] };
    test.each([
      {
        name: "there is no MailTransport",
        objects: {},
        says: "There is no MailTransport in namespace mail: name another with --namespace",
      },
      {
        name: "there are several",
        objects: two,
        says: "There are several MailTransports, name one with --transport: mail/edge, mail/hub",
      },
      {
        name: "there is none of this name",
        objects: two,
        transport: "hop",
        says: "There is no MailTransport mail/hop; there is mail/edge, mail/hub",
      },
      {
        name: "it has faults",
        objects: { "namespaces/mail/mailtransports": [object("hub", {})] },
        says: "MailTransport mail/hub has faults: MailTransport/mail/hub spec.hostname: is missing",
      },
    ])("$name", async ({ objects, transport, says }) => {
      await expect(read(objects, transport)).rejects.toThrow(says);
    });

    test.each([
      {
        name: "the kinds are not installed",
        answer: (call: FakeCall) => call.status(404, "NotFound", { message: "the server could not find it" }),
        says: "does not have the kinds of postroom.dev/v1alpha1: apply charts/postroom/files/crds",
      },
      {
        name: "reading is forbidden",
        answer: (call: FakeCall) =>
          call.status(403, "Forbidden", { message: 'User "eve" cannot list mailtransports' }),
        says: '403 Forbidden: User "eve" cannot list mailtransports',
      },
    ])("$name", async ({ answer: refuse, says }) => {
      kube = await startFakeKube(refuse);
      await expect(
        readLiveObjects(kube.client(), { namespace: "mail", transport: undefined }),
      ).rejects.toThrow(says);
    });
  });
});

function answer(call: FakeCall, objects: Readonly<Record<string, readonly KubeObject[]>>): void {
  const path = call.path.replace(`${API}/`, "");
  const [head, kind] = [path.split("/").slice(0, -1).join("/"), "transportsnapshots"];
  if (head.endsWith(kind)) {
    const found = objects[head]?.[0];
    if (found === undefined) call.status(404, "NotFound");
    else call.json(found);
    return;
  }
  const all = objects[path] ?? [];
  const [from, limit] = [Number(call.query.get("continue") ?? 0), Number(call.query.get("limit"))];
  const next = from + limit < all.length ? { continue: `${from + limit}` } : {};
  call.list(all.slice(from, from + limit), { resourceVersion: "9", ...next });
}

describe("describeHead()", () => {
  const pod = { pod: "hub-0" };
  const refused = { revision: 8, digest: OURS, ...pod, message: "port 25 is taken", objects: [] };
  test.each([
    { name: "nothing when it is what the pods serve", digest: OTHER, says: undefined },
    {
      name: "a canary",
      head: { canary: { revision: 8, digest: OURS, ...pod, since: "2026-11-21T20:00:00Z" } },
      says: "revision 8 says this and is on trial in hub-0",
    },
    {
      name: "a refusal",
      head: { refused },
      says: "revision 8 said this and was refused by hub-0: port 25 is taken",
    },
    { name: "a rollback", spec: { rollbackTo: 7 }, says: "spec.rollbackTo holds revision 7" },
    {
      name: "objects with faults",
      faults: ["x"],
      says: "objects with faults are left out here, and serve there in their last good form",
    },
    { name: "an operator that is behind", says: "the operator has not published what the objects say now" },
  ])("tells $name", ({ digest = OURS, head = {}, spec = {}, faults = [], says }) => {
    const live = {
      transport: { metadata: { name: "hub", namespace: "mail" }, spec },
      head: { formatVersion: 1, current: { revision: 7, digest: OTHER }, history: [], ...head },
      faults,
    } as unknown as LiveObjects;
    expect(describeHead(live, digest)).toBe(
      says && `MailTransport mail/hub serves revision 7, which differs: ${says}`,
    );
  });

  test("tells that there is none yet", () => {
    const transport = { metadata: { name: "hub", namespace: "mail" }, spec: {} };
    expect(describeHead({ transport, head: undefined } as unknown as LiveObjects, OURS)).toBe(
      "MailTransport mail/hub serves nothing yet: the operator has published nothing",
    );
  });
});
