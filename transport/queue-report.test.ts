/** Figures of the queue, and when a drain is done. */
import { afterEach, expect, test } from "vitest";
import type { TransportPodStatus } from "../crds/delivery-kinds.ts";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import { silentLog } from "../test/helpers/fake-kube.ts";
import { type QueueReport, startQueueReport } from "./queue-report.ts";
import type { QueueFigures } from "./workers/mod.ts";

const ACCEPTED = Date.UTC(2026, 0, 2, 3, 4, 5);
let report: QueueReport | undefined;
afterEach(() => report?.stop());

function row(queue: string, messages: number, oldest = ACCEPTED): QueueFigures {
  return { queue, messages, oldest };
}

async function start(facts: { rows: QueueFigures[]; draining: boolean; sessions: number }) {
  const clock = createFakeClock();
  const said: Partial<TransportPodStatus>[] = [];
  report = startQueueReport({
    share: { look: async () => ({ sessions: facts.sessions, queues: facts.rows }) },
    ...{ clock, log: silentLog, say: (part) => said.push(part) },
    isDraining: () => facts.draining,
  });
  await report.first;
  await clock.advance(0);
  return { clock, said, report };
}

test("Poison and Quarantine are set aside, the rest is counted, and the oldest of the rest is named", async () => {
  const rows = [
    row("Submission", 1, ACCEPTED + 5000),
    row("Delivery", 3),
    row("Poison", 2, ACCEPTED - 9000),
    row("Quarantine", 4),
  ];
  const { said } = await start({ rows, draining: false, sessions: 1 });
  expect(said).toEqual([
    {
      queue: { messages: 4, setAside: 6, oldestMessageTime: "2026-01-02T03:04:05.000Z" },
      draining: false,
      drained: false,
    },
  ]);
});

test("figures are said every ten seconds at most", async () => {
  const facts = { rows: [row("Delivery", 3)], draining: false, sessions: 0 };
  const { clock, said, report } = await start(facts);
  for (let second = 1; second < 10; second++) {
    facts.rows = [row("Delivery", 3 + second)];
    report.look();
    await clock.advance(1000);
  }
  expect(said).toHaveLength(1);
  await clock.advance(10_000);
  expect(said.at(-1)?.queue?.messages).toBe(12);
});

test.each([
  { name: "a message waits", rows: [row("Delivery", 1)], sessions: 0 },
  { name: "a message is set aside", rows: [row("Quarantine", 1)], sessions: 0 },
  { name: "a session is open", rows: [], sessions: 1 },
])("a drain is not done while $name, and is said within a second when it is", async ({ rows, sessions }) => {
  const facts = { rows: rows as QueueFigures[], draining: true, sessions };
  const { clock, said } = await start(facts);
  await clock.advance(5000);
  expect(said).toMatchObject([{ draining: true, drained: false }]);
  Object.assign(facts, { rows: [], sessions: 0 });
  await clock.advance(1000);
  expect(said.at(-1)).toMatchObject({ draining: true, drained: true });
  facts.draining = false;
  await clock.advance(10_000);
  expect(said.at(-1)).toMatchObject({ draining: false, drained: false });
});

test("the last figures are said at the end, however lately others were, and none after them", async () => {
  const facts = { rows: [] as QueueFigures[], draining: false, sessions: 1 };
  const { clock, said, report } = await start(facts);
  facts.rows = [row("Delivery", 2)];
  report.stop();
  await report.last();
  expect(said.at(-1)?.queue).toMatchObject({ messages: 2 });
  await clock.advance(60_000);
  expect(said).toHaveLength(2);
});
