import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseManifests } from "../crds/mod.ts";
import { compileSnapshot } from "./compile.ts";
import { canonicalJson, parseSnapshot } from "./digest.ts";

const { resources } = parseManifests([
  {
    path: "t.yaml",
    text: "apiVersion: postroom.dev/v1alpha1\nkind: MailTransport\nmetadata: {name: hub}\nspec: {hostname: mx.a.example}\n---\napiVersion: postroom.dev/v1alpha1\nkind: SendConnector\nmetadata: {name: s}\nspec: {addressSpaces: [{domain: '*'}], routing: {type: MX}}\n",
  },
]);
const { snapshot } = compileSnapshot({ resources: resources.map(({ resource }) => resource) });
const written = JSON.stringify(snapshot);

describe("parseSnapshot()", () => {
  test("reads back what was written", () => {
    const read = parseSnapshot(written);
    expect(read.ok && JSON.stringify(read.value)).toBe(written);
  });

  test.each([
    { name: "cut off", json: written.slice(0, -10), want: "is no JSON" },
    {
      name: "changed in one value",
      json: written.replace("mx.a.example", "mx.b.example"),
      want: "its digest differs",
    },
    { name: "given a field more", json: written.replace("{", '{"more":1,'), want: "its digest differs" },
    {
      name: "of another version",
      json: written.replace('"version":1', '"version":2'),
      want: "another version",
    },
    { name: "no object", json: "[]", want: "is no object" },
    { name: "null", json: "null", want: "is no object" },
    { name: "empty", json: "", want: "is no JSON" },
  ])("refuses one that is $name", ({ json, want }) => {
    const read = parseSnapshot(json);
    expect(read.ok).toBe(false);
    expect(read.diagnostics[0]?.message).toContain(want);
  });
});

describe("canonicalJson()", () => {
  test("is the same before and after a round trip, and does not depend on the order of keys", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = JSON.parse(JSON.stringify(value), (_, field) =>
          field !== null && typeof field === "object" && !Array.isArray(field)
            ? Object.fromEntries(Object.entries(field).reverse())
            : field,
        );
        expect(canonicalJson(copy)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test("leaves undefined out, as JSON does", () =>
    expect(canonicalJson({ b: undefined, a: [1] })).toBe('{"a":[1]}'));
});
