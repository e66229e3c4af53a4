import { describe, expect, test } from "vitest";
import {
  FAULTY_FIELDS,
  FAULTY_OBJECTS,
  type FaultyManifest,
  manifest,
} from "../test/helpers/faulty-manifests.ts";
import { formatFault } from "./faults.ts";
import { parseManifests } from "./manifest-reader.ts";

/** Faults of one file, as `postroom check` prints them. */
function faultsOf(text: string): string[] {
  return parseManifests([{ path: "f.yaml", text }]).faults.map(formatFault);
}

describe("a fault has file, line, field and reason:", () => {
  test.each(FAULTY_FIELDS)("$name", ({ text, want }) =>
    expect(faultsOf(text).sort()).toEqual([...want].sort()),
  );
});

describe("what one object can get wrong across its fields:", () => {
  test.each(FAULTY_OBJECTS)("$name", ({ text, want }) => expect(faultsOf(text)).toEqual(want));
});

describe("objects:", () => {
  const domain = (name: string, more = "") =>
    `apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: ${name}${more}}\nspec: {domains: [a.example]}\n`;
  const rows: FaultyManifest[] = [
    {
      name: "a kind of a later version is not available",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: JournalRule\n",
      want: ["f.yaml:2 kind: JournalRule is not available in this version"],
    },
    {
      name: "a kind that the operator writes is no manifest",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: TransportPod\n",
      want: ["f.yaml:2 kind: TransportPod is written by the operator only"],
    },
    {
      name: "an unknown kind of ours is a fault",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: SendConector\n",
      want: ['f.yaml:2 kind: unknown kind "SendConector", did you mean "SendConnector"?'],
    },
    {
      name: "an unknown version of ours is a fault",
      text: "apiVersion: postroom.dev/v1\nkind: SendConnector\n",
      want: ["f.yaml:1 apiVersion: unknown version, write postroom.dev/v1alpha1"],
    },
    {
      name: "a group that looks like ours is a fault",
      text: "apiVersion: postrom.dev/v1alpha1\nkind: SendConnector\n",
      want: [
        'f.yaml:1 apiVersion: "postrom.dev/v1alpha1" has no SendConnector, did you mean "postroom.dev/v1alpha1"?',
      ],
    },
    {
      name: "other groups are passed over",
      text: "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: ConfigMap\n",
      want: [],
    },
    {
      name: "a document without apiVersion is a fault",
      text: "kind: SendConnector\n",
      want: ["f.yaml:1 apiVersion: is missing: every object needs apiVersion and kind"],
    },
    {
      name: "a document that is a list is a fault",
      text: "- a\n",
      want: ["f.yaml:1: is no object: write apiVersion, kind, metadata and spec"],
    },
    { name: "empty documents are passed over", text: "---\n# nothing\n---\n---\n", want: [] },
    {
      name: "a name is needed",
      text: "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {}\nspec: {domains: [a.example]}\n",
      want: ["f.yaml:3 metadata.name: is missing"],
    },
    {
      name: "the same object twice: the second is a fault",
      text: `${domain("x")}---\n${domain("x")}`,
      want: ["f.yaml:8 metadata.name: stands already at f.yaml:1, which is in force"],
    },
    {
      name: "the same name in two namespaces is two objects",
      text: `${domain("x")}---\n${domain("x", ", namespace: b")}`,
      want: [],
    },
    {
      name: "a key that stands twice is a fault",
      text: `${domain("x")}spec: {domains: [b.example]}\n`,
      want: ["f.yaml:5 spec: stands twice in the same object"],
    },
    { name: "a status is tolerated", text: `${domain("x")}status: {conditions: []}\n`, want: [] },
    { name: "creationTimestamp may be null", text: domain("x", ", creationTimestamp: null"), want: [] },
    {
      name: "a List holds objects",
      text: "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: postroom.dev/v1alpha1\n    kind: AcceptedDomain\n    metadata: {name: x}\n    spec:\n      domains: [a]\n      colour: blue\n",
      want: ["f.yaml:9 spec.colour: unknown field"],
    },
    {
      name: "a Secret's values are text",
      text: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  password: 1234\n",
      want: ["f.yaml:5 stringData.password: must be text: write it in quotes"],
    },
    {
      name: "a Secret's data is base64, and is not shown",
      text: "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {password: hunter2!}\n",
      want: ["f.yaml:4 data.password: is not base64; plain text belongs in stringData"],
    },
    {
      name: "a Secret has a name",
      text: "apiVersion: v1\nkind: Secret\n",
      want: ["f.yaml:1 metadata.name: is missing"],
    },
  ];
  test.each(rows)("$name", ({ text, want }) => expect(faultsOf(text)).toEqual(want));

  test("faults of all files come at once, by file and line", () => {
    const { faults } = parseManifests([
      { path: "b.yaml", text: "a: [\n" },
      { path: "a.yaml", text: `${domain("x")}---\nkind: y\n---\n- z\n` },
    ]);
    expect(faults.map(({ file, line }) => `${file}:${line}`)).toEqual(["a.yaml:6", "a.yaml:8", "b.yaml:1"]);
  });

  test("a broken object is named; one that is right elsewhere is not broken", () => {
    const broken = "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: y}\nspec: {}\n";
    const load = parseManifests([{ path: "f.yaml", text: `${broken}---\n${broken}---\n${domain("x")}` }]);
    expect(load.broken).toEqual(["AcceptedDomain/default/y"]);
    expect(load.incomplete).toBe(false);
    const mended = parseManifests([{ path: "f.yaml", text: `${broken}---\n${domain("y")}` }]);
    expect(mended.broken).toEqual([]);
  });

  test("a file that cannot be read makes the load incomplete, and the others are still read", () => {
    const load = parseManifests([
      { path: "a.yaml", text: "", unreadable: "the file cannot be read: permission denied" },
      { path: "b.yaml", text: domain("x") },
    ]);
    expect(load.incomplete).toBe(true);
    expect(load.resources.map(({ resource }) => resource.metadata.name)).toEqual(["x"]);
    expect(load.faults.map(formatFault)).toEqual(["a.yaml:1: the file cannot be read: permission denied"]);
  });

  test("documents that cannot be named make the load incomplete, and the others are still read", () => {
    const load = parseManifests([{ path: "f.yaml", text: `a: [\n---\n${domain("x")}` }]);
    expect(load.incomplete).toBe(true);
    expect(load.resources.map(({ resource }) => resource.metadata.name)).toEqual(["x"]);
  });

  test.each([
    { name: "a name that is not allowed", text: domain("X") },
    { name: "a name that is not text", text: domain("1") },
    { name: "a name that another object has", text: `${domain("x")}---\n${domain("x")}` },
    { name: "two objects run into one", text: `${domain("x")}${domain("y")}` },
    { name: "a kind that does not exist", text: domain("x").replace("AcceptedDomain", "AceptedDomain") },
    { name: "an apiVersion that looks like ours", text: domain("x").replace("postroom", "/postroom") },
  ])("$name may be any object that is missing: the load is incomplete", ({ text }) => {
    const load = parseManifests([{ path: "f.yaml", text }]);
    expect(load.faults).not.toEqual([]);
    expect(load.incomplete).toBe(true);
  });

  test("a Secret with a fault is broken, too", () => {
    const text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: 1}\n";
    expect(parseManifests([{ path: "f.yaml", text }]).broken).toEqual(["Secret/default/s"]);
  });

  test("Secrets are read from data and stringData, keyed by namespace/name", () => {
    const text =
      "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: s, namespace: n}\ndata: {a: aGVsbG8=, b: ''}\nstringData: {c: plain, b: over}\n";
    const { secrets, faults } = parseManifests([{ path: "f.yaml", text }]);
    expect(faults).toEqual([]);
    expect(secrets.get("n/s")).toEqual({ a: "hello", b: "over", c: "plain" });
  });

  test("Namespaces give their labels; what is no text is left out", () => {
    const text =
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {tier: live, size: 3}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {labels: {tier: live}}\n";
    const { namespaces, faults, incomplete } = parseManifests([{ path: "f.yaml", text }]);
    expect([...namespaces]).toEqual([
      ["a", { tier: "live" }],
      ["b", {}],
    ]);
    expect([faults, incomplete]).toEqual([[], false]);
  });

  test("the namespace is default when none is given", () => {
    const [first] = parseManifests([{ path: "f.yaml", text: domain("x") }]).resources;
    expect(first?.resource.metadata.namespace).toBe("default");
    expect(first?.lineOf("spec.domains[0]")).toBe(4);
  });

  test("an object with thousands of faults is summed up", () => {
    const faults = faultsOf(manifest("AcceptedDomain", `  domains: [${"'*', ".repeat(900)}]\n`));
    expect(faults).toHaveLength(201);
    expect(faults.join("\n")).toContain("f.yaml:1: 700 more faults in this object");
  });
});
