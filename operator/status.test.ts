import { describe, expect, test } from "vitest";
import { API_VERSION, type Condition, readObject } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { childStatus, transportStatus } from "./status.ts";
import type {
  ChildFacts,
  HeldObject,
  PodFacts,
  ProgrammedFacts,
  ResourceStatus,
  RolloutState,
  TransportFacts,
  TransportStatus,
} from "./types.ts";

const NOW = "2026-11-21T20:00:00Z";
const LATER = "2026-11-21T21:00:00Z";
const IN_FORCE: ProgrammedFacts = { status: "True" };
const AWAITED: ProgrammedFacts = {
  status: "Unknown",
  reason: "AwaitingAck",
  message: "hub-1 has not answered",
};

function held(kind: "AcceptedDomain" | "MailTransport", spec: object, status?: ResourceStatus): HeldObject {
  const metadata = { name: "contoso", namespace: "mail", generation: 3 };
  const { resource } = readObject({ apiVersion: API_VERSION, kind, metadata, spec });
  return { key: "mail/contoso", kind, metadata, resource, faults: [], status };
}

const domain = (spec: object = {}, status?: ResourceStatus) =>
  held("AcceptedDomain", { domains: ["contoso.example"], type: "Authoritative", ...spec }, status);

function said(reason: string, more: Partial<Diagnostic> = {}): Diagnostic {
  return {
    object: "AcceptedDomain/mail/contoso",
    path: "spec.x",
    reason,
    message: "is wrong: mend it",
    severity: "error",
    ...more,
  };
}

function facts(more: Partial<ChildFacts> = {}): ChildFacts {
  return {
    object: domain(),
    transports: [{ name: "mail/hub", diagnostics: [], programmed: IN_FORCE }],
    diagnostics: [],
    now: NOW,
    ...more,
  };
}

const attached = (diagnostics: readonly Diagnostic[], programmed: ProgrammedFacts = IN_FORCE) => [
  { name: "mail/hub", diagnostics, programmed },
];

/** "Accepted=True/Accepted", as a list of all conditions. */
function summary({ conditions }: ResourceStatus): Record<string, string> {
  return Object.fromEntries(
    (conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}

function message({ conditions }: ResourceStatus, type: Condition["type"]): string | undefined {
  return conditions?.find((one) => one.type === type)?.message;
}

const FINE = {
  Accepted: "True Accepted",
  ResolvedRefs: "True ResolvedRefs",
  Programmed: "True Programmed",
  Ready: "True Ready",
};

describe("childStatus()", () => {
  test.each<{ name: string; facts: Partial<ChildFacts>; want: Record<string, string> }>([
    { name: "an object in force is ready", facts: {}, want: FINE },
    {
      name: "a fault of its own is not accepted",
      facts: {
        object: { ...domain(), resource: undefined, faults: [said("Invalid")] },
        transports: attached([], { status: "False", reason: "Invalid", message: "" }),
      },
      want: { ...FINE, Accepted: "False Invalid", Programmed: "False Invalid", Ready: "False Invalid" },
    },
    {
      name: "its last good form in force is said",
      facts: {
        object: { ...domain(), resource: undefined, faults: [said("Invalid")] },
        transports: attached(
          [said("Invalid", { path: "", message: "Fall Back: the last good form stays" })],
          { status: "False", reason: "Invalid", message: "" },
        ),
      },
      want: {
        ...FINE,
        Accepted: "False Invalid",
        Programmed: "False Invalid",
        Ready: "False Invalid",
        PartiallyInvalid: "True Invalid",
      },
    },
    {
      name: "an object that attaches to nothing is in force nowhere",
      facts: { transports: [], diagnostics: [said("TransportNotFound", { severity: "warning" })] },
      want: {
        ...FINE,
        Accepted: "False TransportNotFound",
        Programmed: "False TransportNotFound",
        Ready: "False TransportNotFound",
      },
    },
    {
      name: "a transport that does not take it",
      facts: {
        transports: attached([said("NotAllowedByTransport")], {
          status: "False",
          reason: "Invalid",
          message: "",
        }),
      },
      want: {
        ...FINE,
        Accepted: "False NotAllowedByTransport",
        Programmed: "False Invalid",
        Ready: "False NotAllowedByTransport",
      },
    },
    {
      name: "a claim lost in part is not ready, though the rest is in force",
      facts: { transports: attached([said("Conflicted", { severity: "warning" })]) },
      want: { ...FINE, Ready: "False Conflicted", Conflicted: "True Conflicted" },
    },
    {
      name: "a claim lost in whole is not accepted",
      facts: { transports: attached([said("Conflicted")]) },
      want: {
        ...FINE,
        Accepted: "False Conflicted",
        Ready: "False Conflicted",
        Conflicted: "True Conflicted",
      },
    },
    ...[
      "SecretNotFound",
      "SecretKeyNotFound",
      "InvalidCertificate",
      "CertificateExpired",
      "ConnectorNotFound",
    ].map((reason) => ({
      name: `${reason} is a reference that does not resolve`,
      facts: { transports: attached([said(reason, { severity: "warning" as const })]) },
      want: { ...FINE, ResolvedRefs: `False ${reason}`, Ready: `False ${reason}` },
    })),
    {
      name: "a part without effect is said, and does not hold up readiness",
      facts: { transports: attached([said("PartiallyInvalid", { severity: "warning" })]) },
      want: { ...FINE, PartiallyInvalid: "True PartiallyInvalid" },
    },
    {
      name: "a remark leaves all as it is",
      facts: { transports: attached([said("Odd", { severity: "warning" })]) },
      want: FINE,
    },
    {
      name: "what a pod refused in this object is right in itself, and not in force as written",
      facts: {
        transports: attached([said("Nacked")], { status: "False", reason: "Nacked", message: "hub-1" }),
      },
      want: { ...FINE, Programmed: "False Nacked", Ready: "False Nacked", PartiallyInvalid: "True Nacked" },
    },
    {
      name: "while pods have not answered it is under way, not wrong",
      facts: { transports: attached([], AWAITED) },
      want: { ...FINE, Programmed: "Unknown AwaitingAck", Ready: "Unknown Progressing" },
    },
    {
      name: "a failure counts before what is under way",
      facts: { transports: attached([said("SecretNotFound")], AWAITED) },
      want: {
        ...FINE,
        ResolvedRefs: "False SecretNotFound",
        Programmed: "Unknown AwaitingAck",
        Ready: "False SecretNotFound",
      },
    },
    {
      name: "a disabled object is as its owner wants it",
      facts: {
        object: domain({ enabled: false }),
        transports: attached([], { status: "False", reason: "Disabled", message: "" }),
      },
      want: { ...FINE, Programmed: "False Disabled", Ready: "True Disabled" },
    },
  ])("$name", ({ facts: more, want }) => {
    const status = childStatus(facts(more));
    expect(summary(status)).toEqual(want);
    for (const { observedGeneration } of status.conditions ?? []) expect(observedGeneration).toBe(3);
  });

  test.each([
    {
      name: "field: what and mend",
      diagnostics: [said("SecretNotFound")],
      want: "spec.x: is wrong: mend it",
    },
    {
      name: "several in one line",
      diagnostics: [said("SecretNotFound"), said("SecretNotFound", { path: "" })],
      want: "spec.x: is wrong: mend it; is wrong: mend it",
    },
    {
      name: "not more than five",
      diagnostics: [..."abcdefg"].map((path) => said("SecretNotFound", { path, message: "m" })),
      want: "a: m; b: m; c: m; d: m; e: m; and 2 more",
    },
  ])("the message says $name", ({ diagnostics, want }) => {
    expect(message(childStatus(facts({ transports: attached(diagnostics) })), "ResolvedRefs")).toBe(want);
  });

  test("of several transports the one is named that says it, unless all do", () => {
    const one = said("SecretNotFound", { message: "one" });
    const both = said("SecretNotFound", { message: "both" });
    const status = childStatus(
      facts({
        transports: [
          { name: "mail/hub", diagnostics: [both], programmed: IN_FORCE },
          { name: "mail/edge", diagnostics: [one, both], programmed: AWAITED },
        ],
      }),
    );
    expect(message(status, "ResolvedRefs")).toBe("spec.x: both; mail/edge: spec.x: one");
    expect(message(status, "Programmed")).toBe("mail/edge: hub-1 has not answered");
    expect(status.transports).toEqual(["mail/edge", "mail/hub"]);
  });

  test("a remark is read in Accepted", () => {
    const remark = said("Odd", { severity: "warning" });
    expect(message(childStatus(facts({ transports: attached([remark]) })), "Accepted")).toBe(
      "spec.x: is wrong: mend it",
    );
  });

  test("what says nothing new is the very same status", () => {
    const before = childStatus(facts());
    // As the API server gives it back: properties in another order.
    const read = JSON.parse(JSON.stringify(before), (_, value) =>
      value === null || typeof value !== "object" || Array.isArray(value)
        ? value
        : Object.fromEntries(Object.entries(value).reverse()),
    );
    expect(childStatus(facts({ object: domain({}, read), now: LATER }))).toBe(read);
  });

  test("a condition's time moves only with its status", () => {
    const before = childStatus(facts());
    const after = childStatus(
      facts({ object: domain({}, before), transports: attached([], AWAITED), now: LATER }),
    );
    const times = Object.fromEntries(
      after.conditions?.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]) ?? [],
    );
    expect(times).toEqual({ Accepted: NOW, ResolvedRefs: NOW, Programmed: LATER, Ready: LATER });
  });
});

interface Says {
  readonly serves?: string;
  readonly ready?: boolean;
  readonly messages?: number;
  readonly setAside?: number;
  readonly oldest?: string;
}

function pod(
  ordinal: number,
  { serves, ready = true, messages = 0, setAside = 0, oldest }: Says = {},
): PodFacts {
  return {
    name: `hub-${ordinal}`,
    ready,
    exists: true,
    drain: false,
    status: {
      ...(serves !== undefined && { snapshot: { revision: 8, digest: serves } }),
      queue: { messages, setAside, ...(oldest !== undefined && { oldestMessageTime: oldest }) },
      draining: false,
      drained: false,
    },
  };
}

function transport(more: Partial<TransportFacts> = {}): TransportFacts {
  return {
    object: held("MailTransport", { hostname: "mx.contoso.example", replicas: 2 }),
    diagnostics: [],
    rollout: { phase: "Done", revision: 8 },
    pods: [pod(0, { serves: "d" }), pod(1, { serves: "d" })],
    snapshot: { revision: 8, digest: "d", bytes: 100, rejected: 0, counts: { rules: 1 } },
    workload: { replicas: 2, readyReplicas: 2, selector: "a=b" },
    applyFaults: [],
    drain: { phase: "None" },
    now: NOW,
    ...more,
  };
}

const REFUSED: RolloutState = {
  phase: "Refused",
  revision: 7,
  refused: { revision: 8, digest: "x", pod: "hub-1", message: "port 25 is taken", objects: [] },
};

describe("transportStatus()", () => {
  test.each<{ name: string; facts: Partial<TransportFacts>; want: Record<string, string> }>([
    { name: "all pods serve the target", facts: {}, want: FINE },
    {
      name: "one pod of two",
      facts: { workload: { replicas: 2, readyReplicas: 1, selector: "" } },
      want: { ...FINE, Ready: "Unknown Progressing", Reconciling: "True Progressing" },
    },
    {
      name: "on trial",
      facts: { rollout: { phase: "Canary", revision: 9, pod: "hub-1" } },
      want: {
        ...FINE,
        Programmed: "Unknown AwaitingAck",
        Ready: "Unknown Progressing",
        Reconciling: "True Progressing",
      },
    },
    {
      name: "waited for",
      facts: { rollout: { phase: "Waiting", revision: 9, pods: ["hub-0"] } },
      want: {
        ...FINE,
        Programmed: "Unknown AwaitingAck",
        Ready: "Unknown Progressing",
        Reconciling: "True Progressing",
      },
    },
    {
      name: "pods that are not there yet",
      facts: { rollout: { phase: "NoPods", revision: 1 }, workload: undefined },
      want: {
        ...FINE,
        Programmed: "Unknown NoPods",
        Ready: "Unknown Progressing",
        Reconciling: "True Progressing",
      },
    },
    {
      name: "no pods wanted is nothing that an edit must mend",
      facts: {
        object: held("MailTransport", { hostname: "mx.contoso.example", replicas: 0 }),
        rollout: { phase: "NoPods", revision: 1 },
      },
      want: { ...FINE, Programmed: "False NoPods", Ready: "False NoPods" },
    },
    {
      name: "refused",
      facts: { rollout: REFUSED },
      want: { ...FINE, Programmed: "False Nacked", Ready: "False Nacked", Stalled: "True Nacked" },
    },
    {
      name: "pinned",
      facts: { rollout: { phase: "Pinned", revision: 3, wanted: 3 } },
      want: { ...FINE, Programmed: "False Pinned", Ready: "False Pinned", Stalled: "True Pinned" },
    },
    {
      name: "a foreign object in the way",
      facts: { applyFaults: ["Service hub exists and is not ours"] },
      want: { ...FINE, Ready: "False ApplyFailed", Stalled: "True ApplyFailed" },
    },
    {
      name: "a scale-down goes on while the rest is ready",
      facts: { drain: { phase: "Draining", cause: "ScaleDown", pods: [{ name: "hub-1", messages: 4 }] } },
      want: { ...FINE, Draining: "True Draining", Reconciling: "True Draining" },
    },
    {
      name: "deleting",
      facts: { drain: { phase: "Draining", cause: "Deleting", pods: [{ name: "hub-1", messages: 4 }] } },
      want: { ...FINE, Ready: "False Draining", Draining: "True Draining", Reconciling: "True Draining" },
    },
  ])("$name", ({ facts: more, want }) => {
    expect(summary(transportStatus(transport(more)))).toEqual(want);
  });

  test.each<{ name: string; facts: Partial<TransportFacts>; type: Condition["type"]; want: string }>([
    {
      name: "who refused what and why",
      facts: { rollout: REFUSED },
      type: "Programmed",
      want: "hub-1 refused revision 8: port 25 is taken; revision 7 stays in force",
    },
    {
      name: "how to go on from a pin",
      facts: { rollout: { phase: "Pinned", revision: 3, wanted: 3 } },
      type: "Ready",
      want: "spec.rollbackTo: holds revision 3; take it out to go on",
    },
    {
      name: "who drains and what it holds",
      facts: {
        pods: [pod(0), pod(1, { messages: 1, setAside: 2 })],
        drain: {
          phase: "Draining",
          cause: "ScaleDown",
          pods: [
            { name: "hub-1", messages: 1 },
            { name: "hub-2", messages: undefined },
          ],
        },
      },
      type: "Draining",
      want: "hub-1 holds 1 message, 2 set aside: see postroom queue list; hub-2 has not said what its queue holds",
    },
  ])("the message says $name", ({ facts: more, type, want }) => {
    expect(message(transportStatus(transport(more)), type)).toBe(want);
  });

  test("acknowledged counts ready pods only", () => {
    const pods = [pod(0, { serves: "d" }), pod(1, { serves: "c" }), pod(2, { serves: "d", ready: false })];
    expect(transportStatus(transport({ pods })).snapshot?.acknowledged).toBe("1/2");
  });

  test.each<{ name: string; pods: readonly PodFacts[]; want: TransportStatus["queue"] }>([
    {
      name: "is the sum of all pods",
      pods: [pod(0, { messages: 40 }), pod(1, { messages: 9, setAside: 1 })],
      want: { messages: 49, setAside: 1 },
    },
    {
      name: "has two digits that count",
      pods: [pod(0, { messages: 123_456 })],
      want: { messages: 120_000, setAside: 0 },
    },
    {
      name: "does not tell of mail on its way",
      pods: [pod(0, { messages: 1, oldest: "2026-11-21T19:55:01Z" })],
      want: { messages: 1, setAside: 0 },
    },
    {
      name: "tells since when the oldest waits",
      pods: [
        pod(0, { messages: 1, oldest: "2026-11-21T19:50:00Z" }),
        pod(1, { messages: 1, oldest: "2026-11-21T19:40:00Z" }),
      ],
      want: { messages: 2, setAside: 0, oldestMessageTime: "2026-11-21T19:40:00Z" },
    },
    { name: "is unknown as long as no pod has said", pods: [], want: undefined },
  ])("queue $name", ({ pods, want }) => {
    expect(transportStatus(transport({ pods })).queue).toEqual(want);
  });

  test("what says nothing new is the very same status", () => {
    const before = transportStatus(transport());
    const object = held("MailTransport", { hostname: "mx.contoso.example", replicas: 2 }, before);
    expect(transportStatus(transport({ object, now: LATER }))).toBe(before);
  });
});
