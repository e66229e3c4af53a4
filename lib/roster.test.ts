import { expect, test } from "vitest";
import { Roster } from "./roster.ts";

test("a roster has who entered and did not leave, and their places again for others", () => {
  const roster = new Roster<string>();
  const places = ["ann", "bob", "cleo"].map((name) => roster.enter(name));
  roster.leave(places[1] ?? -1);
  expect([roster.size, [...roster]]).toEqual([2, ["ann", "cleo"]]);
  expect(roster.enter("dan")).toBe(places[1]);
  expect([...roster].sort()).toEqual(["ann", "cleo", "dan"]);
  for (const place of places) roster.leave(place);
  expect([roster.size, [...roster]]).toEqual([0, []]);
});

test("members may leave while it is iterated", () => {
  const roster = new Roster<number>();
  const places = Array.from({ length: 6 }, (_, n) => roster.enter(n));
  const met: number[] = [];
  for (const n of roster) {
    met.push(n);
    roster.leave(places[n] ?? -1);
    if (n === 1) roster.leave(places[2] ?? -1);
  }
  expect(met).toEqual([0, 1, 3, 4, 5]);
});
