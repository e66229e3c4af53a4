/** Reload: what becomes of an offer that cannot be tried, or that the disk does not take. */
import { expect, test } from "vitest";
import { createMetrics } from "../lib/metrics.ts";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import { silentLog } from "../test/helpers/fake-kube.ts";
import { type ConfigurationSource, type Offer, PassingError, RefusedError } from "./configuration-source.ts";
import { createReload } from "./reload.ts";
import type { Keeping } from "./snapshot-store.ts";

/** A source that offers what it is told to, and a transport that puts it in force. */
function rig() {
  const clock = createFakeClock();
  const heard: string[] = [];
  const kept: string[] = [];
  const facts = { digest: "1", isDiskFull: false, fault: undefined as Error | undefined };
  let changed = () => {};
  const source: ConfigurationSource = {
    hearsRefusals: true,
    async read() {
      const { digest } = facts;
      const lists = { receiveConnectors: [], sendConnectors: [], acceptedDomains: [], rules: [] };
      const keep = { digest, digests: [], texts: new Map() };
      return { snapshot: { digest, ...lists }, secrets: new Map(), keep } as unknown as Offer;
    },
    settled: (outcome) => heard.push(outcome.inForce ? "in force" : `refused: ${outcome.message}`),
    failed: (message) => heard.push(`failed: ${message}`),
    watch(next) {
      changed = next;
      return () => {};
    },
    waitsFor: () => "",
  };
  const reload = createReload({
    ...{ source, clock, log: silentLog, metrics: createMetrics() },
    store: {
      async keep({ digest }: Keeping) {
        if (facts.isDiskFull) throw new Error("ENOSPC");
        kept.push(digest);
      },
      last: async () => undefined,
      has: () => false,
      text: async () => undefined,
    },
    open: async () => {},
    async apply() {
      if (facts.fault !== undefined) throw facts.fault;
      return [];
    },
  });
  const change = async (some: Partial<typeof facts>) => {
    Object.assign(facts, some);
    changed();
    await clock.advance(0);
  };
  return { reload, change, facts, clock, heard, kept };
}

test.each([
  { name: "that is wrong is refused", fault: new RefusedError("wrong"), said: "refused: wrong" },
  {
    name: "that cannot be built is refused",
    fault: new Error("no such agent"),
    said: "refused: no such agent",
  },
  { name: "for which something lacks now is not", fault: new PassingError("EMFILE"), said: "failed: EMFILE" },
])("an offer $name", async ({ fault, said }) => {
  const { reload, change, heard } = rig();
  await reload.start();
  await change({ digest: "2", fault });
  expect(heard).toEqual(["in force", said]);
  expect(reload.current()?.snapshot.digest).toBe("1");
  reload.stop();
});

test("what the disk does not take is in force, and is written when the disk takes it", async () => {
  const { reload, change, facts, clock, heard, kept } = rig();
  await reload.start();
  await change({ digest: "2", isDiskFull: true });
  expect(heard).toEqual(["in force", "in force"]);
  await clock.advance(30_000);
  expect(kept).toEqual(["1"]);
  facts.isDiskFull = false;
  await clock.advance(30_000);
  expect(kept).toEqual(["1", "2"]);
  await clock.advance(300_000);
  expect(kept).toHaveLength(2);
  reload.stop();
});

test("what the disk did not take is forgotten when something newer is written", async () => {
  const { reload, change, clock, kept } = rig();
  await reload.start();
  await change({ digest: "2", isDiskFull: true });
  await change({ digest: "3", isDiskFull: false });
  await clock.advance(300_000);
  expect(kept).toEqual(["1", "3"]);
  reload.stop();
});
