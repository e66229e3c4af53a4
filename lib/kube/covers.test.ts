import { describe, expect, test } from "vitest";
import { covers, project, sortedJson } from "./covers.ts";

const pod = (resources: unknown) => ({ containers: [{ name: "transport", resources }] });

describe("covers()", () => {
  test.each([
    {
      name: "the same is the same",
      live: { a: [1, { b: "x" }] },
      desired: { a: [1, { b: "x" }] },
      want: true,
    },
    { name: "defaults beside ours are no difference", live: { a: 1, b: 2 }, desired: { a: 1 }, want: true },
    {
      name: "defaults in an item of a list are no difference",
      live: [{ port: 25, protocol: "TCP" }],
      desired: [{ port: 25 }],
      want: true,
    },
    { name: "another value is", live: { a: 1 }, desired: { a: 2 }, want: false },
    { name: "a missing value is", live: {}, desired: { a: 2 }, want: false },
    { name: "one item more is", live: [1, 2], desired: [1], want: false },
    { name: "one item less is", live: [1], desired: [1, 2], want: false },
    { name: "another order is", live: [2, 1], desired: [1, 2], want: false },
    { name: "a number is no text", live: { port: "25" }, desired: { port: 25 }, want: false },
    {
      name: "what is empty or zero may be left out",
      live: {},
      desired: { a: [], b: {}, c: { d: "" }, e: false, f: 0 },
      want: true,
    },
    { name: "undefined asks for nothing", live: {}, desired: { a: undefined }, want: true },
    { name: "a list is no object", live: {}, desired: { a: [1] }, want: false },
    {
      name: "text where an object should be is a difference",
      live: { a: "x" },
      desired: { a: { b: 1 } },
      want: false,
    },
    {
      name: "1024Mi is 1Gi",
      live: pod({ requests: { memory: "1Gi" } }),
      desired: pod({ requests: { memory: "1024Mi" } }),
      want: true,
    },
    {
      name: "0.25 is 250m",
      live: pod({ limits: { cpu: "250m" } }),
      desired: pod({ limits: { cpu: "0.25" } }),
      want: true,
    },
    {
      name: '2 is "2"',
      live: pod({ limits: { cpu: "2" } }),
      desired: pod({ limits: { cpu: 2 } }),
      want: true,
    },
    {
      name: "1e3 is 1k",
      live: pod({ limits: { cpu: "1k" } }),
      desired: pod({ limits: { cpu: "1e3" } }),
      want: true,
    },
    {
      name: "1G is not 1Gi",
      live: pod({ limits: { memory: "1Gi" } }),
      desired: pod({ limits: { memory: "1G" } }),
      want: false,
    },
    {
      name: "what only looks like a quantity is compared as it is",
      live: { annotations: { version: "1" } },
      desired: { annotations: { version: "1.0" } },
      want: false,
    },
  ])("$name", ({ live, desired, want }) => {
    expect(covers(live, desired)).toBe(want);
  });
});

describe("project()", () => {
  test("gives what is live in the places that are desired", () => {
    const live = { a: 1, b: [{ c: 2, d: 3 }], e: [1, 2] };
    expect(project(live, { a: 9, b: [{ c: 9 }], e: [9] })).toEqual({ a: 1, b: [{ c: 2 }], e: [1, 2] });
  });
});

describe("sortedJson()", () => {
  test("the order of keys does not matter, that of lists does", () => {
    expect(sortedJson({ b: [2, 1], a: { d: 1, c: undefined } })).toBe('{"a":{"d":1},"b":[2,1]}');
  });
});
