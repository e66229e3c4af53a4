import pino from "pino";
import { describe, expect, test } from "vitest";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import { restoreMemory } from "./memory.ts";
import type { OperatorDeps } from "./own.ts";
import { collectGarbage } from "./sweep.ts";

const MINUTE = 60_000;

/** A transport whose head names the Secret with this number, and what becomes of Secrets as time goes by. */
async function sweeping(firstNumber: number) {
  const clock = createFakeClock();
  const removed: string[] = [];
  const cluster = {
    readHead: async () => undefined,
    readChunk: async () => undefined,
    readSecret: async () => undefined,
    remove: async (_: string, name: string) => void removed.push(name),
  };
  const log = pino({ level: "silent" });
  const deps = { view: { chunks: () => new Map() }, cluster, clock, log } as unknown as OperatorDeps;
  const home = { namespace: "mail", transport: "hub", owner: { uid: "uid" } as never };
  const memory = await restoreMemory({ ...deps, home });
  const name = (number: number) => {
    const keys = { secret: `hub-keys-${number}`, digest: "k" };
    const current = { revision: number, digest: `d${number}`, keys };
    memory.head = { metadata: {}, spec: { current, history: [] } } as never;
  };
  name(firstNumber);
  return {
    removed,
    name,
    async pass(minutes: number) {
      await clock.advance(minutes * MINUTE);
      await collectGarbage({ key: "mail/hub", memory, home, target: undefined }, deps);
    },
  };
}

const names = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `hub-keys-${from + index}`);

describe("Secrets of keys", () => {
  test("go ten minutes after the last of them was replaced, however many there were", async () => {
    const { removed, name, pass } = await sweeping(1);
    for (let number = 1; number <= 300; number += 1) {
      name(number);
      await pass(1);
    }
    expect(removed).toEqual([]);
    for (let count = 0; count < 12; count += 1) await pass(1);
    expect(removed.toSorted()).toEqual(names(1, 299).toSorted());
  });

  test("of a predecessor are sought three numbers back, once", async () => {
    const { removed, pass } = await sweeping(50);
    for (let count = 0; count < 30; count += 1) await pass(1);
    expect(removed).toEqual(names(47, 49));
  });
});
