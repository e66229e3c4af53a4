/** Shares that are driven as one: a configuration is in force in all of them or in none. */
import { describe, expect, test } from "vitest";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import { joinShares } from "./joined-shares.ts";
import type { Configuration, Share } from "./share.ts";

const NEXT = {
  snapshot: { digest: "next", receiveConnectors: [{ name: "in" }] },
  secrets: new Map(),
} as unknown as Configuration;

function fault(message: string): Diagnostic {
  return { object: "ReceiveConnector/in", path: "spec", reason: "BindingFailed", message, severity: "error" };
}

/** A share that keeps a diary, and does what it is told to. */
function share(facts: { fails?: boolean; diagnostics?: readonly Diagnostic[]; messages?: number[] } = {}) {
  const diary: string[] = [];
  const note = async (what: string) => void diary.push(what);
  const { messages = [0] } = facts;
  const one: Share = {
    async prepare({ snapshot }) {
      await note(`prepare ${snapshot.digest} ${snapshot.receiveConnectors.length}`);
      if (facts.fails) throw new Error("cannot");
      return { diagnostics: facts.diagnostics ?? [], take: () => note("take"), drop: () => note("drop") };
    },
    startWork: () => note("startWork"),
    setDraining: (draining) => note(`drain ${draining}`),
    bindings: () => [{ address: "127.0.0.1", port: 25 }],
    async look() {
      const count = messages.length > 1 ? messages.shift() : messages[0];
      return { sessions: 2, queues: [{ queue: "Delivery", messages: count ?? 0, oldest: undefined }] };
    },
    metrics: async () => [],
    rest: (graceMs) => note(`rest ${graceMs}`),
    close: () => note("close"),
  };
  return { one, diary };
}

describe("joined shares", () => {
  test("take a configuration together, and what they say of the same object is said once", async () => {
    const [a, b] = [share({ diagnostics: [fault("x")] }), share({ diagnostics: [fault("x"), fault("y")] })];
    const joined = joinShares([a.one, b.one]);
    const prepared = await joined.prepare(NEXT);
    expect(prepared.diagnostics.map(({ message }) => message)).toEqual(["x", "y"]);
    expect([a.diary, b.diary]).toEqual([["prepare next 1"], ["prepare next 1"]]);
    await prepared.take();
    expect([a.diary.at(-1), b.diary.at(-1)]).toEqual(["take", "take"]);
  });

  test("drop it in all when one cannot, and take the next one", async () => {
    const [a, b] = [share(), share({ fails: true })];
    const joined = joinShares([a.one, b.one]);
    await expect(joined.prepare(NEXT)).rejects.toThrow("cannot");
    expect([a.diary, b.diary]).toEqual([["prepare next 1", "drop"], ["prepare next 1"]]);
    await expect(joined.prepare(NEXT)).rejects.toThrow("cannot");
  });

  test("tell how much there is in all of them", async () => {
    const joined = joinShares([share({ messages: [1] }).one], [share({ messages: [3] }).one]);
    const { sessions, queues } = await joined.look();
    expect([sessions, queues.reduce((sum, { messages }) => sum + messages, 0)]).toEqual([4, 4]);
  });

  test("retire one that was left when it is empty: it never had a connector, and hears of nothing after", async () => {
    const [a, b] = [share(), share({ messages: [1, 0] })];
    const joined = joinShares([a.one], [b.one]);
    await (await joined.prepare(NEXT)).take();
    expect(b.diary).toEqual(["prepare next 0", "take"]);
    expect(await joined.retire(b.one)).toBe(false);
    expect(await joined.retire(b.one)).toBe(true);
    await joined.setDraining(true);
    expect(b.diary.slice(2)).toEqual(["rest 0", "close"]);
    expect(a.diary.at(-1)).toBe("drain true");
  });

  test("retire none while a configuration is between prepared and taken", async () => {
    const [a, b] = [share(), share()];
    const joined = joinShares([a.one], [b.one]);
    const prepared = await joined.prepare(NEXT);
    const retired = joined.retire(b.one);
    await prepared.take();
    expect(await retired).toBe(true);
    expect(b.diary).toEqual(["prepare next 0", "take", "rest 0", "close"]);
  });
});
