/** A delta brings the other side to the same configuration, and leaves what did not change the very same there. */
import { describe, expect, test } from "vitest";
import { parseManifests } from "../../crds/mod.ts";
import { compileSnapshot } from "../../snapshot/mod.ts";
import { BASIC, OUTSIDE } from "../../test/helpers/transport.ts";
import { applyDelta, deltaOf } from "./delta.ts";
import type { Configuration } from "./share.ts";

function rule(name: string, domain: string): string {
  return `---
apiVersion: postroom.dev/v1alpha1
kind: TransportRule
metadata: {name: ${name}}
spec: {conditions: {senderDomainIs: [${domain}.example]}, actions: {prependSubject: "[x] "}}
`;
}

function compile(text: string): Configuration {
  const { resources, broken } = parseManifests([{ path: "all.yaml", text }]);
  const { snapshot } = compileSnapshot({
    resources: resources.map(({ resource }) => resource),
    secrets: new Map(),
  });
  if (snapshot === undefined || broken.length > 0) throw new Error("The manifests are not valid");
  return { snapshot, secrets: new Map() };
}

/** As it arrives in a thread. */
function send(before: Configuration | undefined, next: Configuration, there: Configuration | undefined) {
  return applyDelta(there, structuredClone(deltaOf(before, next)));
}

const first = compile(BASIC + rule("a", "alpha") + rule("b", "beta") + rule("c", "gamma"));

describe("a delta", () => {
  test("to nothing is all of it", () => {
    expect(send(undefined, first, undefined)).toEqual(first);
  });

  test("without a change keeps every list the same, and holds no entry", () => {
    const there = send(undefined, first, undefined);
    const next = { ...first, snapshot: { ...first.snapshot, digest: "other" } };
    const after = send(first, next, there);
    expect(after).toEqual(next);
    for (const name of [
      "rules",
      "sendConnectors",
      "receiveConnectors",
      "acceptedDomains",
      "transport",
    ] as const)
      expect(after.snapshot[name]).toBe(there.snapshot[name]);
    expect(after.secrets).toBe(there.secrets);
    expect(JSON.stringify(deltaOf(first, next))).not.toContain("alpha");
  });

  test.each<{
    name: string;
    rules: (old: readonly object[], fresh: object) => readonly object[];
    kept: number;
  }>([
    { name: "one more at the end", rules: (old, fresh) => [...old, fresh], kept: 3 },
    { name: "one more at the front", rules: (old, fresh) => [fresh, ...old], kept: 3 },
    { name: "one instead of the middle one", rules: ([a, , c], fresh) => [a ?? {}, fresh, c ?? {}], kept: 2 },
    { name: "the middle one gone", rules: ([a, , c]) => [a ?? {}, c ?? {}], kept: 2 },
    { name: "another order", rules: (old) => old.toReversed(), kept: 3 },
    { name: "all gone", rules: () => [], kept: 0 },
    { name: "others altogether", rules: (_, fresh) => [fresh, { ...fresh, priority: 9 }], kept: 0 },
  ])("of rules: $name", ({ rules, kept }) => {
    const there = send(undefined, first, undefined);
    const fresh = { ...first.snapshot.rules[0], name: "default/fresh" };
    const changed = rules(first.snapshot.rules, fresh) as Configuration["snapshot"]["rules"];
    const next = { ...first, snapshot: { ...first.snapshot, rules: changed } };
    const after = send(first, next, there);
    expect(after).toEqual(next);
    const known: ReadonlySet<unknown> = new Set(there.snapshot.rules);
    expect(after.snapshot.rules.filter((one) => known.has(one))).toHaveLength(kept);
    expect(after.snapshot.sendConnectors).toBe(there.snapshot.sendConnectors);
  });

  test("of the transport replaces it, and one that is equal leaves it", () => {
    const there = send(undefined, first, undefined);
    const equal = { ...first, snapshot: { ...first.snapshot, transport: { ...first.snapshot.transport } } };
    expect(send(first, equal, there).snapshot.transport).toBe(there.snapshot.transport);
    const moved = compile(BASIC.replace("mx.contoso", "mail.contoso") + OUTSIDE.replace(/^/, "---"));
    expect(send(first, moved, there)).toEqual(moved);
  });

  test("of Secrets holds those that changed, came or went", () => {
    const before = {
      ...first,
      secrets: new Map([
        ["a", { k: "1" }],
        ["b", { k: "2" }],
        ["c", { k: "3" }],
      ]),
    };
    const next = {
      ...first,
      secrets: new Map([
        ["a", { k: "1" }],
        ["b", { k: "9" }],
        ["d", { k: "4" }],
      ]),
    };
    const there = send(undefined, before, undefined);
    const after = send(before, next, there);
    expect(after.secrets).toEqual(next.secrets);
    expect(after.secrets.get("a")).toBe(there.secrets.get("a"));
    const { set, removed } = deltaOf(before, next).secrets;
    expect([[...set.keys()], removed]).toEqual([["b", "d"], ["c"]]);
  });

  test("of another configuration than the one there is refused, not guessed", () => {
    const delta = deltaOf(first, {
      ...first,
      snapshot: { ...first.snapshot, rules: first.snapshot.rules.slice(1) },
    });
    expect(() => applyDelta(undefined, delta)).toThrow("nothing before it");
    expect(() => applyDelta(compile(BASIC), delta)).toThrow("another one");
  });
});
