import { describe, expect, test } from "vitest";
import { CompileMemory, Last } from "../snapshot/mod.ts";
import { type CompileRequest, compileTransport } from "./compile.ts";
import { holdObject } from "./held.ts";
import type { HeldObject } from "./types.ts";
import type { ClusterView } from "./view.ts";

const NOW = Date.parse("2026-11-21T20:00:00Z");
const HUB = held("MailTransport", { hostname: "mx.contoso.example" });
const RULE = held("TransportRule", { actions: { setScl: 1 } });

function held(kind: "MailTransport" | "TransportRule", spec: object, before?: HeldObject): HeldObject {
  const generation = (before?.metadata.generation ?? 0) + 1;
  const metadata = { name: "hub", namespace: "mail", uid: kind, generation };
  return holdObject(kind, { metadata, spec }, before);
}

function viewOf(...objects: readonly HeldObject[]): ClusterView {
  const namespaces = () => new Map([["mail", LABELS]]);
  return {
    objects: (kind: string) => objects.filter((one) => one.kind === kind),
    namespaces,
  } as unknown as ClusterView;
}
const LABELS = { team: "mail" };

describe("compileTransport(), called again", () => {
  const request: CompileRequest = {
    transport: "mail/hub",
    secrets: new Map(),
    lastGood: undefined,
    refused: new Map(),
    now: NOW,
    memory: new CompileMemory(),
    last: new Last(),
  };
  const first = compileTransport(viewOf(HUB, RULE), request);

  test("gives the last result while nothing has changed but a status", () => {
    const { metadata } = RULE;
    const written = holdObject("TransportRule", { metadata, status: { observedGeneration: 1 } }, RULE);
    expect(written).not.toBe(RULE);
    expect(compileTransport(viewOf(HUB, written), request)).toBe(first);
    expect(compileTransport(viewOf(HUB, RULE), { ...request, now: NOW + 1000 })).toBe(first);
  });

  test.each<{ name: string; view?: ClusterView; change?: Partial<CompileRequest> }>([
    { name: "an edit", view: viewOf(HUB, held("TransportRule", { actions: { setScl: 2 } }, RULE)) },
    { name: "an object that broke", view: viewOf(HUB, held("TransportRule", { actions: {} }, RULE)) },
    { name: "an object that is gone", view: viewOf(HUB) },
    { name: "another Secret", change: { secrets: new Map([["mail/tls", { "tls.crt": "x" }]]) } },
    { name: "a refusal", change: { refused: new Map([["TransportRule/mail/hub", 1]]) } },
    { name: "time, since certificates expire", change: { now: NOW + 60_000 } },
  ])("compiles anew after $name", ({ view = viewOf(HUB, RULE), change = {} }) => {
    const last: CompileRequest["last"] = new Last();
    const before = compileTransport(viewOf(HUB, RULE), { ...request, last });
    expect(compileTransport(view, { ...request, last, ...change })).not.toBe(before);
  });
});
