/** The contract of QueueStore, which every engine passes. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { nextHop } from "../../mail/next-hop.ts";
import { idsOf, queueItem, T0 } from "../../test/helpers/queue-items.ts";
import { openMemoryStore } from "./memory-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { Change, QueueItem, QueueStore } from "./store.ts";

const engines = [
  { name: "SQLite", open: openSqliteStore },
  { name: "memory", open: openMemoryStore },
];
const none: ReadonlySet<string> = new Set();
const hop = (domain: string) => nextHop("default/internet", domain, false).key;

describe.each(engines)("QueueStore on $name", ({ open }) => {
  let directory: string;
  let store: QueueStore;
  let unnamed: string[];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "postroom-store-"));
    unnamed = [];
    store = await open(join(directory, "queue.db"), {
      onUnnamed: (files) => void unnamed.push(...files),
      onDamaged: () => undefined,
      onFault: () => undefined,
    });
  });

  afterEach(async () => {
    await store.close();
    rmSync(directory, { recursive: true });
  });

  const due = (query: Partial<Parameters<QueueStore["due"]>[0]> = {}) =>
    store.due({ queue: "Submission", now: T0, limit: 100, except: none, ...query });

  test("an item comes back as it went in", async () => {
    const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
    const item = queueItem({
      to: "fabrikam.example",
      body: { kind: "inline", bytes: octets, size: octets.length },
      subject: "caf\xc3\xa9",
      sender: null,
      lastError: "451 4.3.0 Try later",
      attempts: 3,
      delayNotified: true,
      crashes: 1,
      priority: "Low",
      status: "Retry",
    });
    await store.apply({ insert: [item] });
    const found = await store.get(item.message.id);
    expect(bodyText(found)).toBe(octets.toString("latin1"));
    const plain = (each: QueueItem | undefined) => ({
      ...each,
      message: { ...each?.message, body: undefined },
    });
    expect(plain(found)).toEqual(plain(item));
  });

  test("any header octets, stamps and body octets survive", async () => {
    const octets = fc.uint8Array({ maxLength: 3000 });
    const line = fc.string({
      unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
    });
    await fc.assert(
      fc.asyncProperty(octets, line, fc.string(), async (bytes, value, stamp) => {
        const item = queueItem({ body: { kind: "inline", bytes, size: bytes.length } });
        const header = [{ name: "X-Odd", raw: `X-Odd:${value}\r\n` }];
        const message = { ...item.message, header, stamps: { [stamp]: stamp } };
        await store.apply({ insert: [{ ...item, message }] });
        const found = await store.get(message.id);
        expect(found?.message.header.map(({ raw }) => raw).join("")).toBe(header[0]?.raw);
        expect(found?.message.stamps).toEqual(message.stamps);
        expect(bodyText(found)).toBe(Buffer.from(bytes).toString("latin1"));
      }),
      { numRuns: 60 },
    );
  });

  test("what is not there is undefined, and removing it does nothing", async () => {
    await store.apply({ remove: ["nobody"] });
    await store.apply({ amend: [{ id: "nobody", status: "Suspended" }] });
    await store.apply({});
    expect(await store.get("nobody")).toBeUndefined();
    expect(await store.select({})).toEqual([]);
  });

  test("a change happens as a whole or not at all", async () => {
    const [first, second] = [queueItem(), queueItem()];
    await store.apply({ insert: [first] });
    await expect(store.apply({ insert: [second, first], remove: [first.message.id] })).rejects.toThrow();
    await expect(store.apply({ insert: [second], update: [queueItem()] })).rejects.toThrow(
      /not in the queue/,
    );
    expect(await store.get(second.message.id)).toBeUndefined();
    expect(await store.get(first.message.id)).toBeDefined();
  });

  test("a bad change fails alone, its neighbours are kept", async () => {
    const items = Array.from({ length: 30 }, () => queueItem());
    const results = await Promise.allSettled(
      items.flatMap((item, index) => [
        store.apply({ insert: [item] }),
        ...(index % 10 === 0 ? [store.apply({ insert: [item] })] : []),
      ]),
    );
    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(3);
    expect(idsOf(await due())).toEqual(idsOf(items));
    await store.apply({ insert: [queueItem()] });
  });

  test("so it is with changes of many turns, applied while others are being written", async () => {
    const items = Array.from({ length: 40 }, () => queueItem());
    const refused: Promise<boolean>[] = [];
    const apply = (change: Change) =>
      refused.push(
        store.apply(change).then(
          () => false,
          () => true,
        ),
      );
    for (const item of items) {
      apply({ insert: [item] });
      apply({ update: [{ ...item, attempts: 1 }] });
      apply({ update: [queueItem()] });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(refused)).toEqual(items.flatMap(() => [false, false, true]));
    expect((await due()).map(({ attempts }) => attempts)).toEqual(items.map(() => 1));
  });

  test("changes of one item take effect in the order of apply()", async () => {
    const item = queueItem();
    await Promise.all([
      store.apply({ insert: [item] }),
      store.apply({ update: [{ ...item, attempts: 1 }] }),
      store.apply({ update: [{ ...item, attempts: 2 }] }),
      store.apply({ remove: [item.message.id] }),
      store.apply({ insert: [{ ...item, attempts: 7 }] }),
    ]);
    expect((await store.get(item.message.id))?.attempts).toBe(7);
  });

  test("an insert whose remove comes right behind it resolves, and nothing stays", async () => {
    const items = Array.from({ length: 50 }, () => queueItem());
    await Promise.all(
      items.flatMap((item) => [store.apply({ insert: [item] }), store.apply({ remove: [item.message.id] })]),
    );
    expect(await store.select({})).toEqual([]);
  });

  test("octets that the store holds need not come again", async () => {
    const item = queueItem({ body: "Kept\r\n" });
    await store.apply({ insert: [item] });
    const held = new Map([[item.message.id, item]]);
    await store.apply({ update: [{ ...item, status: "Retry", attempts: 1 }] }, held);
    const stamped = { ...item.message, header: item.message.header.slice(1) };
    await store.apply({ update: [{ ...item, message: stamped, attempts: 2 }] }, held);
    const found = await store.get(item.message.id);
    expect(found).toMatchObject({ attempts: 2, message: { header: stamped.header } });
    expect(bodyText(found)).toBe("Kept\r\n");
  });

  test("an update changes header, body and state, each on its own too", async () => {
    const item = queueItem();
    await store.apply({ insert: [item] });
    const retry = { ...item, status: "Retry" as const, dueAt: T0 + 5, attempts: 1 };
    await store.apply({ update: [retry] });
    expect((await store.get(item.message.id))?.message.header).toEqual(item.message.header);
    const stamped = [{ name: "X-New", raw: "X-New: yes\r\n" }, ...item.message.header];
    await store.apply({ update: [{ ...retry, message: { ...item.message, header: stamped } }] });
    expect((await store.get(item.message.id))?.message.header).toEqual(stamped);
    const other = queueItem({ body: "Other body\r\n" }).message.body;
    await store.apply({ update: [{ ...retry, message: { ...item.message, body: other } }] });
    const found = await store.get(item.message.id);
    expect(bodyText(found)).toBe("Other body\r\n");
    expect(found?.message.header).toEqual(item.message.header);
    expect(found?.attempts).toBe(1);
  });

  test("octets known from one message are still written for another", async () => {
    const item = queueItem({ body: "Shared\r\n" });
    const copy = { ...item, message: { ...item.message, id: "copy" } };
    await store.apply({ insert: [item] });
    await store.apply({ insert: [{ ...queueItem({ id: "copy", body: "Old\r\n" }) }] });
    await store.apply({ update: [copy] });
    const found = await store.get("copy");
    expect(bodyText(found)).toBe("Shared\r\n");
  });

  test("due items come by priority, then time, then id, and only from the queue asked for", async () => {
    await store.apply({
      insert: [
        queueItem({ id: "e", to: "a.example", priority: "Low", dueAt: T0 - 9 }),
        queueItem({ id: "d", to: "a.example", dueAt: T0 - 1 }),
        queueItem({ id: "c", to: "a.example", dueAt: T0 - 2, status: "Retry" }),
        queueItem({ id: "b", to: "a.example", dueAt: T0 - 2 }),
        queueItem({ id: "a", to: "a.example", priority: "High" }),
        queueItem({ id: "later", to: "a.example", dueAt: T0 + 1 }),
        queueItem({ id: "held", to: "a.example", status: "Suspended" }),
        queueItem({ id: "other", to: "b.example" }),
        queueItem({ id: "submission" }),
      ],
    });
    const query = { queue: "Delivery", nextHop: hop("a.example") } as const;
    expect(idsOf(await due(query))).toEqual(["a", "b", "c", "d", "e"]);
    expect(idsOf(await due({ ...query, limit: 2 }))).toEqual(["a", "b"]);
    expect(idsOf(await due({ ...query, limit: 2, except: new Set(["a", "c"]) }))).toEqual(["b", "d"]);
    expect(idsOf(await due())).toEqual(["submission"]);
    expect(idsOf(await due({ queue: "Delivery" }))).toEqual(["a", "b", "c", "d", "other", "e"]);
    expect(await store.nextDue({ ...query, after: T0 })).toBe(T0 + 1);
    expect(await store.nextDue({ ...query, after: T0 + 1 })).toBeUndefined();
  });

  test("overdue finds what expired and whose sender has not heard of a delay, wherever it may expire", async () => {
    const old = T0 - 1000;
    await store.apply({
      insert: [
        queueItem({ id: "expired", expiresAt: T0, status: "Retry", dueAt: T0 + 99, to: "a.example" }),
        queueItem({ id: "unreachable", queue: "Unreachable", expiresAt: T0 - 1 }),
        queueItem({ id: "delayed", receivedAt: old }),
        queueItem({ id: "told", receivedAt: old, delayNotified: true }),
        queueItem({ id: "poison", queue: "Poison", expiresAt: T0 - 1 }),
        queueItem({ id: "fresh" }),
      ],
    });
    const query = { now: T0, receivedBefore: T0, limit: 9, except: none };
    expect(idsOf(await store.overdue(query)).sort()).toEqual(["delayed", "expired", "unreachable"]);
    expect(await store.overdue({ ...query, limit: 1 })).toHaveLength(1);
    const except = new Set(["delayed", "unreachable"]);
    expect(idsOf(await store.overdue({ ...query, except, limit: 1 }))).toEqual(["expired"]);
  });

  test("an amendment changes only what it names", async () => {
    const item = queueItem({ to: "a.example", status: "Retry", lastError: "421 4.4.2 Gone" });
    await store.apply({ insert: [item] });
    await store.apply({ amend: [{ id: item.message.id, status: "Suspended", crashes: 2 }] });
    expect(await store.get(item.message.id)).toMatchObject({
      ...{
        queue: "Delivery",
        nextHop: item.nextHop,
        status: "Suspended",
        crashes: 2,
        lastError: "421 4.4.2 Gone",
      },
    });
    await store.apply({ amend: [{ id: item.message.id, queue: "Submission", dueAt: 5, status: "Ready" }] });
    expect(await store.get(item.message.id)).toMatchObject({
      queue: "Submission",
      dueAt: 5,
      status: "Ready",
    });
    expect((await store.get(item.message.id))?.nextHop).toBeUndefined();
  });

  test("the summary counts per queue and next hop", async () => {
    await store.apply({
      insert: [
        queueItem({ receivedAt: T0 - 3 }),
        queueItem({
          to: "a.example",
          status: "Retry",
          dueAt: T0 + 7,
          lastError: "first",
          receivedAt: T0 - 1,
        }),
        queueItem({ to: "a.example", status: "Retry", dueAt: T0 + 9, lastError: "last" }),
        queueItem({ to: "a.example", status: "Suspended", receivedAt: T0 - 8 }),
        queueItem({ queue: "Poison", status: "Suspended", lastError: "crashed" }),
      ],
    });
    const rows = [...(await store.summary())].sort((a, b) => (a.queue < b.queue ? -1 : 1));
    const empty = { retrying: 0, suspended: 0, nextDueAt: undefined, lastError: undefined };
    expect(rows).toEqual([
      {
        ...{ queue: "Delivery", nextHop: hop("a.example"), messages: 3, retrying: 2, suspended: 1 },
        ...{ oldest: T0 - 8, nextDueAt: T0 + 7, lastError: "last" },
      },
      { ...empty, queue: "Poison", nextHop: "", messages: 1, suspended: 1, oldest: T0, lastError: "crashed" },
      { ...empty, queue: "Submission", nextHop: "", messages: 1, oldest: T0 - 3, nextDueAt: T0 },
    ]);
  });

  test.each([
    { name: "all, by id", filter: {}, want: ["m1", "m2", "m3"] },
    { name: "a page of them", filter: { offset: 1, limit: 1 }, want: ["m2"] },
    { name: "one queue", filter: { queue: "Submission" as const }, want: ["m1", "m3"] },
    { name: "one next hop", filter: { nextHop: hop("a.example") }, want: ["m2"] },
    { name: "one sender, without case", filter: { sender: "Ann@Contoso.Example" }, want: ["m1", "m2"] },
    { name: "the null reverse-path", filter: { sender: "" }, want: ["m3"] },
    { name: "one recipient among several", filter: { recipient: "CAROL@fabrikam.example" }, want: ["m1"] },
    { name: "no part of a recipient", filter: { recipient: "ob@fabrikam.example" }, want: [] },
    { name: "one network message id", filter: { networkMessageId: "n2" }, want: ["m2"] },
  ])("a listing shows $name", async ({ filter, want }) => {
    await store.apply({
      insert: [
        queueItem({
          id: "m1",
          recipients: ["bob@fabrikam.example", "carol@fabrikam.example"],
          subject: "One",
        }),
        queueItem({ id: "m2", to: "a.example", networkMessageId: "n2" }),
        queueItem({ id: "m3", sender: null }),
      ],
    });
    const found = await store.list({ limit: 10, offset: 0, ...filter });
    expect(found.map(({ id }) => id)).toEqual(want);
  });

  test("a listing has all but header and body", async () => {
    const item = queueItem({ to: "a.example", subject: "caf\xc3\xa9" });
    await store.apply({ insert: [item] });
    const { message, ...state } = item;
    expect(await store.list({ limit: 1, offset: 0 })).toEqual([
      {
        ...state,
        ...{ id: message.id, networkMessageId: message.networkMessageId, sender: "ann@contoso.example" },
        ...{
          recipients: ["bob@fabrikam.example"],
          receivedAt: T0,
          subject: "café",
          size: expect.any(Number),
        },
      },
    ]);
  });

  test("select means what all parts of a filter mean", async () => {
    await store.apply({ insert: [queueItem({ id: "a" }), queueItem({ id: "b", to: "a.example" })] });
    expect(await store.select({ queue: "Delivery" })).toEqual([
      { id: "b", queue: "Delivery", nextHop: hop("a.example"), status: "Ready" },
    ]);
    expect(await store.select({ ids: ["a"], queue: "Delivery" })).toEqual([]);
    expect((await store.select({ ids: ["a", "b", "c"] })).map(({ id }) => id)).toEqual(["a", "b"]);
    expect(await store.select({ ids: [] })).toEqual([]);
  });

  test("a body file is let go of with the last item that names it", async () => {
    const body = { kind: "file", name: "shared", size: 9 } as const;
    const [first, second] = [queueItem({ body }), queueItem({ body })];
    await store.apply({ insert: [first, second] });
    expect(await store.bodyFiles()).toEqual([{ name: "shared", size: 9 }]);
    await store.apply({ remove: [first.message.id] });
    expect(unnamed).toEqual([]);
    const third = queueItem({ body });
    await store.apply({ insert: [third], remove: [second.message.id] });
    expect(unnamed).toEqual([]);
    await store.apply({
      update: [{ ...third, message: { ...third.message, body: queueItem().message.body } }],
    });
    expect(unnamed).toEqual(["shared"]);
    expect(await store.bodyFiles()).toEqual([]);
  });

  test("any sequence of changes leaves what a map would hold", async () => {
    const ids = ["p", "q", "r", "s"];
    const step = fc.record({
      kind: fc.constantFrom("insert", "update", "remove"),
      id: fc.constantFrom(...ids),
      n: fc.nat(99),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 3 }), { maxLength: 12 }), async (changes) => {
        await store.apply({ remove: ids });
        const model = new Map<string, number>();
        const waiting = changes.map((steps) => {
          const of = (kind: string) => steps.filter((each) => each.kind === kind);
          const items = (kind: string) => of(kind).map(({ id, n }) => queueItem({ id, attempts: n }));
          const change: Change = {
            insert: items("insert"),
            update: items("update"),
            remove: of("remove").map(({ id }) => id),
          };
          const expected = play(model, change);
          return store.apply(change).then(
            () => expect(expected).toBe(true),
            () => expect(expected).toBe(false),
          );
        });
        await Promise.all(waiting);
        for (const id of ids) expect((await store.get(id))?.attempts).toBe(model.get(id));
      }),
      { numRuns: 40 },
    );
  });

  test("a change in no hurry is written by itself, in order, and before the store closes", async () => {
    const item = queueItem();
    await store.apply({ insert: [item] }, undefined, { hurry: false });
    expect((await store.get(item.message.id))?.attempts).toBe(0);
    const order: string[] = [];
    await Promise.all([
      store
        .apply({ update: [{ ...item, attempts: 1 }] }, undefined, { hurry: false })
        .then(() => order.push("first")),
      store.apply({ update: [{ ...item, attempts: 2 }] }).then(() => order.push("second")),
    ]);
    expect(order).toEqual(["first", "second"]);
    expect((await store.get(item.message.id))?.attempts).toBe(2);
    const removal = store.apply({ remove: [item.message.id] }, undefined, { hurry: false });
    await store.close();
    await removal;
  });

  test("what many turns applied is written before the store closes", async () => {
    const applied: Promise<void>[] = [];
    for (let turn = 0; turn < 40; turn++) {
      applied.push(store.apply({ insert: [queueItem()] }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await store.close();
    await Promise.all(applied);
  });

  test("a closed store refuses", async () => {
    const last = store.apply({ insert: [queueItem()] });
    await store.close();
    await last;
    await expect(store.apply({ insert: [queueItem()] })).rejects.toThrow(/closed/);
  });
});

/** Applies a change to a map; false where the store must refuse it. */
function play(model: Map<string, number>, { insert = [], update = [], remove = [] }: Change): boolean {
  const next = new Map(model);
  for (const { message, attempts } of insert) {
    if (next.has(message.id)) return false;
    next.set(message.id, attempts);
  }
  for (const { message, attempts } of update) {
    if (!next.has(message.id)) return false;
    next.set(message.id, attempts);
  }
  for (const id of remove) next.delete(id);
  model.clear();
  for (const [id, attempts] of next) model.set(id, attempts);
  return true;
}

function bodyText(item: QueueItem | undefined): string | undefined {
  const body = item?.message.body;
  return body?.kind === "inline" ? Buffer.from(body.bytes).toString("latin1") : undefined;
}
