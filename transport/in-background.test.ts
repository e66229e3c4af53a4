import { afterEach, expect, test } from "vitest";
import { createInBackground } from "./in-background.ts";

let loop: NodeJS.Immediate | undefined;
afterEach(() => clearImmediate(loop));

/** Jobs that take so long each, in the turns of the event loop in which they began. */
function rig({ eachMs }: { eachMs: number }) {
  let now = 0;
  const turns: string[] = [""];
  const count = () => {
    turns.push("");
    loop = setImmediate(count);
  };
  loop = setImmediate(count);
  const inBackground = createInBackground({ now: () => now });
  const begin = (name: string) =>
    inBackground(async () => {
      turns.push(`${turns.pop()}${name}`);
      now += eachMs;
    });
  return { begin, inBackground, begun: () => turns.filter((names) => names !== "") };
}

test("jobs of a millisecond begin in order, each in a turn of its own and none at once", async () => {
  const { begin, begun } = rig({ eachMs: 1 });
  const jobs = ["a", "b", "c"].map(begin);
  expect(begun()).toEqual([]);
  await Promise.all(jobs);
  expect(begun()).toEqual(["a", "b", "c"]);
});

test("shorter ones share a turn until the millisecond is over", async () => {
  const { begin, begun } = rig({ eachMs: 0.5 });
  await Promise.all(["a", "b", "c", "d", "e"].map(begin));
  expect(begun()).toEqual(["ab", "cd", "e"]);
});

test("when many wait, a turn has more for them", async () => {
  const { begin, begun } = rig({ eachMs: 1 });
  await Promise.all(Array.from("abcdefghijklmnop", begin));
  expect(begun()).toEqual(["abc", "de", "fg", "hi", "j", "k", "l", "m", "n", "o", "p"]);
});

test("jobs that a job asks for begin as others do", async () => {
  const { begin, begun, inBackground } = rig({ eachMs: 1 });
  const rest: Promise<void>[] = [];
  await inBackground(async () => void rest.push(begin("a"), begin("b")));
  await Promise.all(rest);
  expect(begun()).toEqual(["a", "b"]);
});

test("a job that waits holds up none, and is over when it is", async () => {
  const { begin, inBackground } = rig({ eachMs: 1 });
  const disk = Promise.withResolvers<void>();
  let isOver = false;
  const slow = inBackground(() => disk.promise).then(() => {
    isOver = true;
  });
  await Promise.all([begin("a"), begin("b")]);
  expect(isOver).toBe(false);
  disk.resolve();
  await slow;
  expect(isOver).toBe(true);
});

test("one that comes when all have begun begins as well", async () => {
  const { begin, begun } = rig({ eachMs: 0 });
  await begin("a");
  await begin("b");
  expect(begun().join("")).toBe("ab");
});
