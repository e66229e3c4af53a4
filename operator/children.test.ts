import { describe, expect, test } from "vitest";
import { createChildReport, type Verdict, wantedTransports } from "./children.ts";
import { holdObject } from "./held.ts";
import type { HeldObject, ResourceStatus, RolloutState } from "./types.ts";
import type { ClusterView } from "./view.ts";

const NOW = "2026-11-21T12:00:00Z";

function rule(
  name: string,
  options: { namespace?: string; spec?: object; generation?: number } = {},
): HeldObject {
  const { namespace = "mail", spec = {}, generation = 1 } = options;
  const metadata = { name, namespace, uid: `uid-${namespace}-${name}`, generation };
  const whole = { actions: { setScl: 1 }, ...spec };
  return holdObject("TransportRule", { metadata, spec: whole }, undefined);
}

function transport(name: string, namespace = "mail"): HeldObject {
  const metadata = { name, namespace, uid: `uid-${name}`, generation: 1 };
  return holdObject("MailTransport", { metadata, spec: { hostname: "mx.contoso.example" } }, undefined);
}

const done: RolloutState = { phase: "Done", revision: 2 };
const refused = { revision: 3, digest: "d", pod: "hub-1", message: "no room", objects: [] };

interface VerdictParts extends Partial<Verdict> {
  readonly entries?: Record<string, unknown>;
  /** By uid; those left out are of generation 1. */
  readonly generations?: Record<string, number>;
}

function verdict({ entries = {}, generations = {}, ...rest }: VerdictParts = {}): Verdict {
  const uids = ["uid-mail-r", ...Array.from({ length: 100 }, (_, n) => `uid-mail-r${n}`)];
  const compiled = {
    diagnostics: new Map(),
    entries: new Map(Object.entries(entries)),
    generations: new Map([...uids.map((uid) => [uid, 1] as const), ...Object.entries(generations)]),
  };
  return { compiled, served: new Map(), rollout: done, refusals: new Map(), ...rest };
}

/** Reports once; what was put, by namespace/name. */
function report(objects: readonly HeldObject[], verdicts: Record<string, Verdict> | Map<string, Verdict>) {
  const written = new Map<string, ResourceStatus>();
  const run = createChildReport({
    view: { objects: (kind: string) => objects.filter((one) => one.kind === kind) } as unknown as ClusterView,
    verdicts: verdicts instanceof Map ? verdicts : new Map(Object.entries(verdicts)),
    put: ({ key }, status) => written.set(key, status),
  });
  run.run(NOW);
  return { written, run };
}

function condition(status: ResourceStatus | undefined, type: string) {
  const { status: value, reason, message } = status?.conditions?.find((one) => one.type === type) ?? {};
  return { value, reason, message };
}

const ENTRY = { name: "mail/r" };
const NAME = "TransportRule/mail/r";

describe("a child's status", () => {
  test.each([
    {
      name: "is Programmed when every ready pod serves the newest snapshot",
      verdict: verdict({ entries: { [NAME]: ENTRY } }),
      want: { value: "True", reason: "Programmed" },
    },
    {
      name: "stays Programmed while a change of others is on its way",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        served: new Map([[NAME, ENTRY]]),
        rollout: { phase: "Canary", revision: 3, pod: "hub-1" },
      }),
      want: { value: "True", reason: "Programmed" },
    },
    {
      name: "stays Programmed after a restart of the operator, when equal entries are other values",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        served: new Map([[NAME, { ...ENTRY }]]),
        rollout: { phase: "Waiting", revision: 3, pods: ["hub-1"] },
      }),
      want: { value: "True", reason: "Programmed" },
    },
    {
      name: "waits while its own change is on its way",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        served: new Map([[NAME, { name: "old" }]]),
        rollout: { phase: "Canary", revision: 3, pod: "hub-1" },
      }),
      want: { value: "Unknown", reason: "AwaitingAck" },
    },
    {
      name: "is not Programmed when a pod refused the snapshot with its change",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        rollout: { phase: "Refused", revision: 2, refused },
      }),
      want: { value: "False", reason: "Nacked" },
    },
    {
      name: "is not Programmed without a ready pod",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        served: new Map([[NAME, ENTRY]]),
        rollout: { phase: "NoPods", revision: 2 },
      }),
      want: { value: "False", reason: "NoPods" },
    },
    {
      name: "is not Programmed while an earlier revision is pinned that had it otherwise",
      verdict: verdict({
        entries: { [NAME]: ENTRY },
        rollout: { phase: "Pinned", revision: 1, wanted: 1 },
      }),
      want: { value: "False", reason: "Pinned" },
    },
    {
      name: "is not Programmed when the snapshot has no form of it",
      verdict: verdict(),
      want: { value: "False", reason: "Invalid" },
    },
  ])("$name", ({ verdict: one, want }) => {
    const { written } = report([transport("hub"), rule("r")], { "mail/hub": one });
    expect(condition(written.get("mail/r"), "Programmed")).toMatchObject(want);
  });

  test("says what a pod had against it", () => {
    const one = verdict({
      entries: { [NAME]: ENTRY },
      refusals: new Map([[NAME, "hub-1: port 25 is in use"]]),
    });
    const { written } = report([transport("hub"), rule("r")], { "mail/hub": one });
    const status = written.get("mail/r");
    for (const [type, value] of Object.entries({
      Accepted: "True",
      PartiallyInvalid: "True",
      Ready: "False",
    }))
      expect(condition(status, type).value).toBe(value);
    for (const type of ["PartiallyInvalid", "Programmed", "Ready"]) {
      expect(condition(status, type)).toMatchObject({
        reason: "Nacked",
        message: expect.stringContaining("hub-1: port 25 is in use"),
      });
    }
  });

  test("says that there is no transport in its namespace", () => {
    const { written } = report([transport("hub"), rule("r", { namespace: "other" })], {
      "mail/hub": verdict(),
    });
    const accepted = condition(written.get("other/r"), "Accepted");
    expect(accepted).toMatchObject({ value: "False", reason: "TransportNotFound" });
    expect(accepted.message).toContain("namespace other");
  });

  test("says that the transport it names is not there", () => {
    const lost = rule("r", { spec: { transportRefs: [{ name: "edge" }] } });
    const { written } = report([transport("hub"), lost], { "mail/hub": verdict() });
    expect(condition(written.get("mail/r"), "Accepted").message).toContain("mail/edge");
  });

  test("stays as it stands until a new leader has reconciled the transport", () => {
    const told = { ...rule("r"), status: { observedGeneration: 1, conditions: [] } };
    expect(report([transport("hub"), told], {}).written.size).toBe(0);
    const late = report([transport("hub"), told], { "mail/hub": verdict({ entries: { [NAME]: ENTRY } }) });
    expect(condition(late.written.get("mail/r"), "Programmed").value).toBe("True");
  });

  test("says nothing of a form that was not compiled yet, not even that it is new", () => {
    for (const generations of [{ "uid-mail-r": 2 }, { "uid-mail-r": undefined as unknown as number }]) {
      const one = verdict({ entries: { [NAME]: ENTRY }, generations });
      expect(report([transport("hub"), rule("r")], { "mail/hub": one }).written.size).toBe(0);
    }
  });

  test("waits for a transport that was not compiled yet", () => {
    const { written } = report([transport("hub"), rule("r")], {});
    expect(condition(written.get("mail/r"), "Programmed")).toMatchObject({
      value: "Unknown",
      reason: "Pending",
    });
  });

  test("is put again only when something changed, and was compiled since", () => {
    const rules = Array.from({ length: 100 }, (_, n) => rule(`r${n}`));
    const names = Object.fromEntries(rules.map(({ key }) => [`TransportRule/${key}`, {}]));
    const objects = [transport("hub"), ...rules];
    const verdicts = new Map([["mail/hub", verdict({ entries: names })]]);
    const { written, run } = report(objects, verdicts);
    expect(written.size).toBe(100);
    written.clear();
    objects[5] = rule("r4", { generation: 2, spec: { priority: 7 } });
    run.run(NOW);
    expect([...written.keys()]).toEqual([]);
    verdicts.set("mail/hub", verdict({ entries: names, generations: { "uid-mail-r4": 2 } }));
    run.run(NOW);
    expect([...written.keys()]).toEqual(["mail/r4"]);
  });
});

describe("wantedTransports()", () => {
  test.each([
    { name: "without refs, those of the namespace", spec: {}, want: ["mail/edge", "mail/hub"] },
    { name: "by name, in its own namespace", spec: { transportRefs: [{ name: "hub" }] }, want: ["mail/hub"] },
    {
      name: "by name and namespace, whether it is there or not",
      spec: {
        transportRefs: [
          { name: "x", namespace: "far" },
          { name: "x", namespace: "far" },
        ],
      },
      want: ["far/x"],
    },
  ])("$name", ({ spec, want }) => {
    expect(wantedTransports(rule("r", { spec }), ["mail/hub", "mail/edge", "other/hub"])).toEqual(want);
  });
});
