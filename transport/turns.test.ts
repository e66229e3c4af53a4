import { describe, expect, test } from "vitest";
import { queueItem } from "../test/helpers/queue-items.ts";
import { inTurns } from "./turns.ts";

describe("inTurns()", () => {
  test.each([
    { name: "nothing is no turn", crashes: [], want: [] },
    { name: "messages without a crash go together", crashes: [0, 0], want: [["0", "1"]] },
    {
      name: "those that outlived a crash go alone, after the others",
      crashes: [1, 0, 2, 0],
      want: [["1", "3"], ["0"], ["2"]],
    },
    { name: "suspects among themselves go alone", crashes: [1, 1], want: [["0"], ["1"]] },
  ])("$name", ({ crashes, want }) => {
    const items = crashes.map((count, n) => queueItem({ id: String(n), crashes: count }));
    expect(inTurns(items).map((turn) => turn.map(({ message }) => message.id))).toEqual(want);
  });
});
