import { describe, expect, test } from "vitest";
import { nextSteps, type SetFacts } from "./stateful-set-steps.ts";

/** "0", "1!" not ready, "2-" leaving, "1~" of the old template. */
function pods(...texts: string[]): SetFacts["pods"] {
  return texts.map((text) => ({
    ordinal: Number.parseInt(text, 10),
    isReady: !text.includes("!"),
    isLeaving: text.includes("-"),
    revision: text.includes("~") ? "old" : "new",
  }));
}

const ordered = { podManagementPolicy: "OrderedReady", updateStrategy: "RollingUpdate" } as const;
const parallel = { podManagementPolicy: "Parallel", updateStrategy: "RollingUpdate" } as const;

describe("nextSteps()", () => {
  test.each([
    {
      name: "Parallel makes all that are missing",
      set: parallel,
      replicas: 3,
      has: pods("1"),
      want: ["create 0", "create 2"],
    },
    { name: "OrderedReady makes the lowest", set: ordered, replicas: 3, has: [], want: ["create 0"] },
    { name: "OrderedReady waits for the lower ones", set: ordered, replicas: 3, has: pods("0!"), want: [] },
    {
      name: "Parallel deletes all excess, highest first",
      set: parallel,
      replicas: 1,
      has: pods("0", "1", "2"),
      want: ["delete 2", "delete 1"],
    },
    {
      name: "OrderedReady deletes the highest",
      set: ordered,
      replicas: 1,
      has: pods("0", "1", "2"),
      want: ["delete 2"],
    },
    {
      name: "OrderedReady waits for what leaves",
      set: ordered,
      replicas: 1,
      has: pods("0", "1", "2-"),
      want: [],
    },
    {
      name: "a name that leaves is not made twice",
      set: parallel,
      replicas: 2,
      has: pods("0", "1-"),
      want: [],
    },
    {
      name: "a new template rolls the highest",
      set: parallel,
      replicas: 2,
      has: pods("0~", "1~"),
      want: ["roll 1"],
    },
    {
      name: "a roll goes on when the higher ones are ready",
      set: ordered,
      replicas: 2,
      has: pods("0~", "1"),
      want: ["roll 0"],
    },
    {
      name: "a roll waits for a pod that is not ready",
      set: parallel,
      replicas: 2,
      has: pods("0~", "1!"),
      want: [],
    },
    {
      name: "a pod of the old template is rolled though it is not ready",
      set: parallel,
      replicas: 2,
      has: pods("0", "1~!"),
      want: ["roll 1"],
    },
    {
      name: "OnDelete rolls nothing",
      set: { ...parallel, updateStrategy: "OnDelete" } as const,
      replicas: 1,
      has: pods("0~"),
      want: [],
    },
    { name: "what is as it should be stays", set: ordered, replicas: 2, has: pods("0", "1"), want: [] },
  ])("$name", ({ set, replicas, has, want }) => {
    const steps = nextSteps({ ...set, replicas, revision: "new", pods: has });
    expect(steps.map(({ act, ordinal }) => `${act} ${ordinal}`)).toEqual(want);
  });
});
