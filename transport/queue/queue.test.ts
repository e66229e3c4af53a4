import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { nextHop } from "../../mail/next-hop.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import {
  collect,
  type HandClock,
  handClock,
  idsOf,
  memoryLog,
  queueItem,
  T0,
} from "../../test/helpers/queue-items.ts";
import { openMemoryStore } from "./memory-store.ts";
import type { Queue } from "./mod.ts";
import { openQueue, type QueueOptions } from "./queue.ts";
import type { Change, QueueItem, QueueStore, StoreEvents } from "./store.ts";

const hop = (domain: string) => nextHop("default/internet", domain, false).key;
const delivery = (domain: string, limit = 100) => ["Delivery", { nextHop: hop(domain), limit }] as const;
const submission = (limit = 100) => ["Submission", { limit }] as const;

let directory: string;
let clock: HandClock;
let log: ReturnType<typeof memoryLog>;
let queue: Queue;

const open = async (options: Partial<QueueOptions> = {}) => {
  queue = await openQueue({ directory, clock, log, ...options });
  return queue;
};
const reopen = async (options: Partial<QueueOptions> = {}) => {
  await queue.close();
  return await open(options);
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "postroom-queue-"));
  clock = handClock();
  log = memoryLog();
  await open();
});

afterEach(async () => {
  await queue.close();
  rmSync(directory, { recursive: true });
});

/** Every announcement so far, as "Delivery key". */
function announcements(): string[] {
  const heard: string[] = [];
  queue.onDue((kind, key) => void heard.push(`${kind} ${key}`));
  return heard;
}

/** A store that can be told to fail or to hold back its answers, around the one for tests. */
function oddStore() {
  const odd: {
    fail?: Error | undefined;
    inner?: QueueStore;
    dueGate?: Promise<void>;
    applyGate?: Promise<void>;
    dueCalls: number;
  } = {
    dueCalls: 0,
  };
  const openStore = async (path: string, events: StoreEvents): Promise<QueueStore> => {
    const inner = await openMemoryStore(path, events);
    odd.inner = inner;
    return {
      get: (id) => inner.get(id),
      overdue: (query) => inner.overdue(query),
      nextDue: (query) => inner.nextDue(query),
      select: (filter) => inner.select(filter),
      bodyFiles: () => inner.bodyFiles(),
      summary: () => inner.summary(),
      list: (filter) => inner.list(filter),
      close: () => inner.close(),
      async apply(change: Change) {
        await odd.applyGate;
        if (odd.fail !== undefined) throw odd.fail;
        await inner.apply(change);
      },
      async due(query) {
        odd.dueCalls += 1;
        const found = await inner.due(query);
        await odd.dueGate;
        return found;
      },
    };
  };
  return { odd, openStore };
}

describe("take()", () => {
  test("hands each item to one taker only", async () => {
    const items = Array.from({ length: 40 }, () => queueItem());
    await Promise.all(items.map((item) => queue.apply({ insert: [item] })));
    const taken = await Promise.all(Array.from({ length: 8 }, () => queue.take(...submission(7))));
    expect(idsOf(taken.flat()).sort()).toEqual(idsOf(items).sort());
  });

  test("hands each item to one taker only when it comes from the store", async () => {
    const items = Array.from({ length: 40 }, () => queueItem());
    await queue.apply({ insert: items });
    await reopen();
    const taken = await Promise.all(Array.from({ length: 8 }, () => queue.take(...submission(7))));
    expect(idsOf(taken.flat()).sort()).toEqual(idsOf(items).sort());
    expect(await queue.take(...submission())).toEqual([]);
  });

  test("a fresh item comes from memory, the very object that was applied", async () => {
    const item = queueItem();
    await queue.apply({ insert: [item] });
    expect((await queue.take(...submission()))[0]).toBe(item);
  });

  test("High goes first, within a priority the oldest", async () => {
    const ids = ["n1", "n2", "h1", "l1", "h2"];
    const priority = { n: "Normal", h: "High", l: "Low" } as const;
    for (const id of ids) {
      await queue.apply({ insert: [queueItem({ id, priority: priority[id[0] as "n"] })] });
    }
    expect(idsOf(await queue.take(...submission()))).toEqual(["h1", "h2", "n1", "n2", "l1"]);
  });

  test("beyond the memory bound items are read back from the store, none twice, none lost", async () => {
    await reopen({ memoryBound: 10_000 });
    const items = Array.from({ length: 60 }, () => queueItem({ to: "a.example" }));
    for (const item of items) await queue.apply({ insert: [item] });
    const seen: string[] = [];
    for (;;) {
      const taken = await queue.take(...delivery("a.example", 9));
      if (taken.length === 0) break;
      seen.push(...idsOf(taken));
      await queue.apply({ remove: idsOf(taken) });
      if (seen.length === 27) await queue.apply({ insert: [queueItem({ id: "late", to: "a.example" })] });
    }
    expect([...seen].sort()).toEqual([...idsOf(items), "late"].sort());
  });

  test("one read fetches for many takers, and they get the items in order", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore });
    const items = Array.from({ length: 350 }, (_, n) =>
      queueItem({ id: `m${String(n).padStart(4, "0")}`, to: "a.example", dueAt: T0 - 1000 + n }),
    );
    const store = odd.inner!;
    await store.apply({ insert: items });
    await queue.apply({ insert: [queueItem({ id: "last", to: "a.example" })] });
    await queue.retry({ ids: ["last"] }, { resubmit: false });
    const seen: string[] = [];
    while (seen.length < 351) seen.push(...idsOf(await queue.take(...delivery("a.example", 1))));
    expect(seen).toEqual([...idsOf(items), "last"]);
    expect(odd.dueCalls).toBeLessThan(6);
  });

  test("a fresh High message does not wait behind what is read from the store", async () => {
    await queue.apply({
      insert: Array.from({ length: 300 }, () => queueItem({ to: "a.example" })),
    });
    await reopen();
    expect(await queue.take(...delivery("a.example", 1))).toHaveLength(1);
    await queue.apply({ insert: [queueItem({ id: "urgent", to: "a.example", priority: "High" })] });
    expect(idsOf(await queue.take(...delivery("a.example", 1)))).toEqual(["urgent"]);
  });

  test("a next hop with a backlog lets go of its memory for one that delivers", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore, memoryBound: 200_000 });
    for (let n = 0; n < 200; n++) await queue.apply({ insert: [queueItem({ to: "dead.example" })] });
    const reads = odd.dueCalls;
    for (let n = 0; n < 50; n++) {
      await queue.apply({ insert: [queueItem({ id: `live${n}`, to: "live.example" })] });
      expect(idsOf(await queue.take(...delivery("live.example", 1)))).toEqual([`live${n}`]);
    }
    expect(odd.dueCalls).toBe(reads);
    let drained = 0;
    for (let taken = -1; taken !== 0; drained += taken) {
      taken = (await queue.take(...delivery("dead.example", 7))).length;
    }
    expect(drained).toBe(200);
  });

  test("one next hop sees nothing of another; without one, all of Delivery", async () => {
    await queue.apply({
      insert: [queueItem({ id: "a", to: "a.example" }), queueItem({ id: "b", to: "b.example" })],
    });
    expect(idsOf(await queue.take(...delivery("b.example")))).toEqual(["b"]);
    expect(idsOf(await queue.take("Delivery", { limit: 9 }))).toEqual(["a"]);
    expect(await queue.take("Delivery", { limit: 9 })).toEqual([]);
    expect(await queue.take(...delivery("nobody.example"))).toEqual([]);
  });

  test("an item removed while a read of the store is on its way is not handed out", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore, memoryBound: 0 });
    const [gone, kept] = [queueItem(), queueItem()];
    await queue.apply({ insert: [gone, kept] });
    const gate = Promise.withResolvers<void>();
    odd.dueGate = gate.promise;
    const taking = queue.take(...submission());
    await eventually(() => odd.dueCalls === 1);
    await queue.apply({ remove: [gone.message.id] });
    gate.resolve();
    expect(idsOf(await taking)).toEqual([kept.message.id]);
  });

  test("what a disturbed read left behind is read again", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore, memoryBound: 0 });
    await queue.apply({ insert: [queueItem({ id: "a" }), queueItem({ id: "b" }), queueItem({ id: "c" })] });
    const gate = Promise.withResolvers<void>();
    odd.dueGate = gate.promise;
    const taking = queue.take(...submission(2));
    await eventually(() => odd.dueCalls === 1);
    await queue.apply({ remove: ["a"] });
    gate.resolve();
    expect(idsOf(await taking)).toEqual(["b", "c"]);
  });

  test("an item that nobody got because of a change is due again when the change fails", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore, memoryBound: 0 });
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    const gate = Promise.withResolvers<void>();
    odd.applyGate = gate.promise;
    odd.fail = new Error("disk I/O error");
    const change = queue.apply({ amend: [{ id: "m", status: "Suspended" }] });
    expect(await queue.take(...submission())).toEqual([]);
    const heard = announcements();
    gate.resolve();
    await expect(change).rejects.toThrow("disk I/O error");
    await eventually(() => heard.length === 1);
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
  });

  test("an item overdue is not handed out again by take()", async () => {
    await queue.apply({ insert: [queueItem({ id: "old", expiresAt: T0 }), queueItem({ id: "new" })] });
    const options = { receivedBefore: 0, limit: 9 };
    const [overdue, again] = await Promise.all([queue.takeOverdue(options), queue.takeOverdue(options)]);
    expect(idsOf([...overdue, ...again])).toEqual(["old"]);
    expect(idsOf(await queue.take(...submission()))).toEqual(["new"]);
    expect(await queue.takeOverdue(options)).toEqual([]);
    queue.release(["old"]);
    expect(idsOf(await queue.takeOverdue(options))).toEqual(["old"]);
  });

  test("a store that fails to read says so, and the items are offered again later", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore, memoryBound: 0 });
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    odd.dueGate = Promise.reject(new Error("I/O error"));
    await expect(queue.take(...submission())).rejects.toThrow("I/O error");
    odd.dueGate = Promise.resolve();
    const heard = announcements();
    heard.length = 0;
    clock.advance(5000);
    await eventually(() => heard.length > 0);
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
  });
});

describe("leases", () => {
  test("end with release(), and the item is due again at once", async () => {
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    await queue.take(...submission());
    expect(await queue.take(...submission())).toEqual([]);
    const heard = announcements();
    queue.release(["m", "nobody"]);
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
    expect(heard).toEqual(["Submission "]);
  });

  test("end with the change that settles them", async () => {
    const item = queueItem({ id: "m" });
    await queue.apply({ insert: [item] });
    const [taken] = await queue.take(...submission());
    await queue.apply({
      update: [{ ...taken!, queue: "Delivery", nextHop: nextHop("default/internet", "a.example", false) }],
    });
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["m"]);
    expect(queue.submissionLength()).toBe(0);
  });

  test("die with the process", async () => {
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    await queue.take(...submission());
    await reopen();
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
  });

  test("outlive a failed change; a release after it takes effect only after a pause", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore });
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    await queue.take(...submission());
    odd.fail = new Error("Cannot write to the queue: database or disk is full");
    await expect(queue.apply({ remove: ["m"] })).rejects.toThrow("full");
    queue.release(["m"]);
    expect(await queue.take(...submission())).toEqual([]);
    odd.fail = undefined;
    clock.advance(30_000);
    await eventually(async () => (await queue.take(...submission())).length === 1);
  });

  test("an item whose removal failed is due again", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore });
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    odd.fail = new Error("disk I/O error");
    await expect(queue.apply({ remove: ["m"] })).rejects.toThrow();
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
  });
});

describe("onDue()", () => {
  test("tells at once what is due, and then whatever becomes due", async () => {
    await queue.apply({ insert: [queueItem()] });
    const heard = announcements();
    expect(heard).toEqual(["Submission "]);
    await queue.apply({ insert: [queueItem({ to: "a.example" }), queueItem({ to: "a.example" })] });
    await eventually(() => heard.length > 1);
    expect(heard).toEqual(["Submission ", `Delivery ${hop("a.example")}`]);
  });

  test("wakes when the time has come, the earliest first, also after a restart", async () => {
    const later = (id: string, after: number) =>
      queueItem({ id, to: `${id}.example`, status: "Retry", dueAt: T0 + after });
    await queue.apply({ insert: [later("b", 2000), later("a", 1000)] });
    await reopen();
    const heard = announcements();
    expect(heard).toEqual([]);
    expect(await queue.take(...delivery("a.example"))).toEqual([]);
    clock.advance(1000);
    await eventually(() => heard.length === 1);
    expect(heard).toEqual([`Delivery ${hop("a.example")}`]);
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["a"]);
    clock.advance(1000);
    await eventually(() => heard.length === 2);
    expect(idsOf(await queue.take(...delivery("b.example")))).toEqual(["b"]);
  });

  test("wakes for an item whose time was found while reading others", async () => {
    const at = (id: string, after: number) =>
      queueItem({ id, to: "a.example", status: "Retry", dueAt: T0 + after });
    await queue.apply({ insert: [at("one", 1000), at("two", 5000), at("three", 90_000_000)] });
    const heard = announcements();
    clock.advance(1000);
    await eventually(() => heard.length === 1);
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["one"]);
    clock.advance(4000);
    await eventually(() => heard.length === 2);
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["two"]);
    clock.advance(86_400_000);
    await eventually(() => clock.sleepers() > 1);
    clock.advance(90_000_000 - 86_405_000);
    await eventually(async () => idsOf(await queue.take(...delivery("a.example")))[0] === "three");
  });

  test("a listener that throws does not keep others from hearing", async () => {
    queue.onDue(() => {
      throw new Error("listener fault");
    });
    const heard = announcements();
    await queue.apply({ insert: [queueItem()] });
    await eventually(() => heard.length === 1);
    expect(log.lines.some(({ message }) => message === "onDue listener failed")).toBe(true);
  });

  test("works with the real clock", async () => {
    await reopen({ clock: systemClock });
    const heard = announcements();
    await queue.apply({ insert: [queueItem({ dueAt: Date.now() + 5000, status: "Retry" })] });
    expect(heard).toEqual([]);
    await eventually(() => heard.length === 1);
    expect(await queue.take(...submission())).toHaveLength(1);
  });
});

describe("submissionLength()", () => {
  test("is exact through inserts, moves, failures and restarts", async () => {
    const items = [queueItem(), queueItem(), queueItem({ to: "a.example" })];
    await queue.apply({ insert: items });
    expect(queue.submissionLength()).toBe(2);
    await expect(queue.apply({ insert: [items[0]!] })).rejects.toThrow();
    expect(queue.submissionLength()).toBe(2);
    await queue.apply({ remove: [items[0]!.message.id, "nobody"] });
    expect(queue.submissionLength()).toBe(1);
    await reopen();
    expect(queue.submissionLength()).toBe(1);
    await queue.retry({ queue: "Delivery" }, { resubmit: true });
    expect(queue.submissionLength()).toBe(2);
  });
});

describe("bodies in the queue", () => {
  const write = async (octets: Buffer) => {
    const writer = queue.writeBody();
    for (let at = 0; at < octets.length; at += 10_000) await writer.write(octets.subarray(at, at + 10_000));
    return await writer.finish();
  };
  const bodyFiles = () => readdirSync(join(directory, "bodies"));
  const large = Buffer.alloc(1_200_000, "0123456789abcdef");

  test("a shared body file goes with the last message", async () => {
    const body = await write(large);
    await queue.apply({ insert: [queueItem({ id: "a", body }), queueItem({ id: "b", body })] });
    await queue.apply({ remove: ["a"] });
    expect(bodyFiles()).toHaveLength(1);
    expect(await collect(queue.readBody(body))).toEqual(large);
    await queue.apply({ remove: ["b"] });
    await eventually(() => bodyFiles().length === 0);
  });

  test("a body file outlives a removal in no hurry until that is flushed: with the next message, or by itself", async () => {
    const [a, b] = [await write(large), await write(large)];
    await queue.apply({ insert: [queueItem({ id: "a", body: a }), queueItem({ id: "b", body: b })] });
    // It is flushed by itself after a second, and a slow machine may be that late with its look.
    const removeAndLook = async (id: string) => {
      const before = bodyFiles().length;
      const from = performance.now();
      await queue.apply({ remove: [id] }, { hurry: false });
      for (let round = 0; round < 10; round++) await queue.summary();
      return bodyFiles().length === before || performance.now() - from >= 1000;
    };
    expect(await removeAndLook("a")).toBe(true);
    await queue.apply({ insert: [queueItem()] });
    await eventually(() => bodyFiles().length === 1);
    expect(await removeAndLook("b")).toBe(true);
    await eventually(() => bodyFiles().length === 0);
  });

  test("a removal in no hurry is flushed within a second, though a change that was to flush it failed", async () => {
    await queue.apply({ insert: [queueItem({ id: "a", body: await write(large) })] });
    await queue.apply({ remove: ["a"] }, { hurry: false });
    await expect(queue.apply({ update: [queueItem({ id: "nobody" })] })).rejects.toThrow("not in the queue");
    await eventually(() => bodyFiles().length === 0);
  });

  test("a body that nothing names is swept at the next opening, one that is named stays", async () => {
    const [named, orphan] = [await write(large), await write(large)];
    await queue.apply({ insert: [queueItem({ body: named })] });
    writeFileSync(join(directory, "bodies", "stray.part"), "x");
    expect(bodyFiles()).toHaveLength(3);
    await reopen();
    expect(bodyFiles()).toEqual([(named as { name: string }).name]);
    expect(orphan.size).toBe(large.length);
    expect(queue.diskUsed()).toBeGreaterThan(large.length);
  });

  test("discardBody() removes a body of a refused message, never one that a message names", async () => {
    const [refused, accepted] = [await write(large), await write(large)];
    await queue.apply({ insert: [queueItem({ body: accepted })] });
    queue.discardBody(accepted);
    queue.discardBody(refused);
    await eventually(() => bodyFiles().length === 1);
    expect(await collect(queue.readBody(accepted))).toEqual(large);
  });

  test.each([
    { name: "cut short", harm: (path: string) => truncateSync(path, 50) },
    { name: "missing", harm: (path: string) => rmSync(path) },
  ])("a message whose body file is $name is set aside in Poison, the others go on", async ({ harm }) => {
    const body = await write(large);
    await queue.apply({ insert: [queueItem({ id: "bad", body }), queueItem({ id: "good" })] });
    harm(join(directory, "bodies", (body as { name: string }).name));
    await reopen();
    expect(await queue.takeOverdue({ receivedBefore: 0, limit: 9 })).toEqual([]);
    expect(idsOf(await queue.take(...submission()))).toEqual(["good"]);
    expect(await queue.store.get("bad")).toMatchObject({ queue: "Poison", status: "Suspended" });
    expect(log.lines.some(({ fields }) => fields.messageId === "bad")).toBe(true);
  });

  test("an overdue message without its body is set aside in Poison too", async () => {
    const body = await write(large);
    await queue.apply({ insert: [queueItem({ id: "bad", body, expiresAt: T0 })] });
    rmSync(join(directory, "bodies", (body as { name: string }).name));
    expect(await queue.takeOverdue({ receivedBefore: 0, limit: 9 })).toEqual([]);
    expect(await queue.store.get("bad")).toMatchObject({ queue: "Poison", status: "Suspended" });
  });

  test("octets altered in place are found when read, and the next change sets the message aside", async () => {
    const body = await write(large);
    await queue.apply({ insert: [queueItem({ id: "bad", body })] });
    const path = join(directory, "bodies", (body as { name: string }).name);
    writeFileSync(path, Buffer.concat([Buffer.from("X"), large.subarray(1)]));
    const [item] = await queue.take(...submission());
    await expect(collect(queue.readBody(body))).rejects.toThrow(/not those that were written/);
    await queue.apply({ update: [{ ...item!, status: "Retry", attempts: 1 }] });
    expect(await queue.store.get("bad")).toMatchObject({ queue: "Poison", status: "Suspended" });
  });
});

describe("damaged rows", () => {
  test.each([
    { name: "details that are no JSON", sql: "UPDATE items SET details = '{' WHERE id = 'bad'" },
    {
      name: "an envelope without recipients",
      sql: "UPDATE items SET details = '{\"envelope\":{}}' WHERE id = 'bad'",
    },
    {
      name: "an unknown status",
      sql: "PRAGMA ignore_check_constraints = ON; UPDATE items SET status = 'Odd' WHERE id = 'bad'",
    },
    { name: "no content", sql: "DELETE FROM content WHERE item = (SELECT seq FROM items WHERE id = 'bad')" },
    {
      name: "a body cut short",
      sql: "UPDATE content SET body = x'00' WHERE item = (SELECT seq FROM items WHERE id = 'bad')",
    },
    { name: "a next hop that is no JSON", sql: "UPDATE items SET next_hop_details = '{{' WHERE id = 'bad'" },
  ])("a message with $name is set aside in Poison, the others go on", async ({ sql }) => {
    await queue.apply({ insert: [queueItem({ id: "bad" }), queueItem({ id: "good" })] });
    await queue.close();
    const database = new DatabaseSync(join(directory, "queue.db"));
    database.exec(sql);
    database.close();
    await open();
    expect(idsOf(await queue.take(...submission(1)))).toEqual(["good"]);
    expect(await queue.take(...submission())).toEqual([]);
    expect(await queue.summary()).toContainEqual(expect.objectContaining({ queue: "Poison", suspended: 1 }));
    expect(
      log.lines.filter(({ level, fields }) => level === "error" && fields.messageId === "bad"),
    ).toHaveLength(1);
    expect(await queue.remove({ ids: ["bad"] }, { withDsn: false })).toBe(1);
  });
});

describe("crash counts", () => {
  /** Ends without clearing marks, as a killed process would: the marks are put back by hand. */
  const crashWhileWorkingOn = async (...ids: string[]) => {
    await queue.close();
    const slots = ids.map((id) => {
      const slot = Buffer.alloc(256);
      slot[0] = Buffer.byteLength(id);
      slot.write(id, 1);
      return slot;
    });
    writeFileSync(join(directory, "marks"), Buffer.concat(slots));
    await open();
  };

  test("a message is blamed for a crash, and set aside in Poison at the threshold", async () => {
    await queue.apply({ insert: [queueItem({ id: "bad" }), queueItem({ id: "good" })] });
    await crashWhileWorkingOn("bad", "unknown");
    expect(await queue.store.get("bad")).toMatchObject({ queue: "Submission", crashes: 1 });
    await crashWhileWorkingOn("bad");
    expect(await queue.store.get("bad")).toMatchObject({ queue: "Poison", status: "Suspended", crashes: 2 });
    expect(idsOf(await queue.take(...submission()))).toEqual(["good"]);
    expect(queue.submissionLength()).toBe(1);
  });

  test("a clean end blames nobody, even with marks open", async () => {
    await queue.apply({ insert: [queueItem({ id: "m" })] });
    const done = queue.mark("m");
    await reopen();
    done();
    expect((await queue.store.get("m"))?.crashes).toBe(0);
  });

  test("a message released from Poison starts afresh", async () => {
    await queue.apply({ insert: [queueItem({ id: "m", queue: "Poison", status: "Suspended", crashes: 2 })] });
    expect(await queue.resume({ ids: ["m"] })).toBe(0);
    expect(await queue.retry({ ids: ["m"] }, { resubmit: false })).toBe(0);
    expect(await queue.retry({ ids: ["m"] }, { resubmit: true })).toBe(1);
    expect((await queue.take(...submission()))[0]).toMatchObject({
      crashes: 0,
      status: "Ready",
      queue: "Submission",
    });
  });
});

describe("administrator's verbs", () => {
  test("a suspended message is not handed out until it is resumed", async () => {
    await queue.apply({
      insert: [queueItem({ id: "a", to: "a.example" }), queueItem({ id: "b", to: "a.example" })],
    });
    expect(await queue.suspend({ nextHop: hop("a.example") })).toBe(2);
    expect(await queue.take(...delivery("a.example"))).toEqual([]);
    const heard = announcements();
    heard.length = 0;
    expect(await queue.resume({ ids: ["a"] })).toBe(1);
    await eventually(() => heard.includes(`Delivery ${hop("a.example")}`));
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["a"]);
  });

  test("suspending what is in hand takes effect when its holder is done", async () => {
    await queue.apply({ insert: [queueItem({ id: "a" }), queueItem({ id: "b" }), queueItem({ id: "c" })] });
    const [a] = await queue.take(...submission());
    expect(await queue.suspend({})).toBe(3);
    expect(await queue.resume({ ids: ["c"] })).toBe(1);
    await queue.apply({ update: [{ ...a!, status: "Retry" }] });
    queue.release(["b", "c"]);
    await eventually(async () => (await queue.store.get("b"))?.status === "Suspended");
    expect(await queue.store.get("a")).toMatchObject({ status: "Suspended" });
    expect(idsOf(await queue.take(...submission()))).toEqual(["c"]);
  });

  test("retry makes due now what waits, and leaves suspended messages alone", async () => {
    const later = { status: "Retry", dueAt: T0 + 99_999, to: "a.example" } as const;
    await queue.apply({
      insert: [queueItem({ id: "a", ...later }), queueItem({ id: "b", ...later, status: "Suspended" })],
    });
    expect(await queue.take(...delivery("a.example"))).toEqual([]);
    expect(await queue.retry({ queue: "Delivery" }, { resubmit: false })).toBe(1);
    expect(idsOf(await queue.take(...delivery("a.example")))).toEqual(["a"]);
  });

  test.each([
    { resubmit: false, want: { queue: "Delivery", status: "Ready", attempts: 1 } },
    { resubmit: true, want: { queue: "Submission", status: "Ready", attempts: 0, nextHop: undefined } },
  ])(
    "retry of what is in hand takes effect when its attempt fails: $want.queue",
    async ({ resubmit, want }) => {
      const later = { status: "Retry", dueAt: T0 + 99_999, attempts: 1 } as const;
      await queue.apply({
        insert: [queueItem({ id: "a", to: "a.example" }), queueItem({ id: "b", to: "a.example" })],
      });
      const [a, b] = await queue.take(...delivery("a.example"));
      expect(await queue.retry({ queue: "Delivery" }, { resubmit })).toBe(2);
      await queue.apply({ update: [{ ...a!, ...later }] });
      expect(await queue.store.get("a")).toMatchObject({ ...want, dueAt: T0 });
      queue.release([b!.message.id]);
      await eventually(async () => (await queue.store.get("b"))?.queue === want.queue);
      const taken = await (resubmit ? queue.take(...submission()) : queue.take(...delivery("a.example")));
      expect(idsOf(taken)).toContain("a");
      // Once: an attempt that began after it waits as any other.
      await queue.apply({ update: taken.map((item) => ({ ...item, ...later })) });
      expect((await queue.store.get("a"))?.dueAt).toBe(later.dueAt);
    },
  );

  test.each([
    {
      verb: "retry",
      ask: () => queue.retry({ ids: ["a"] }, { resubmit: false }),
      want: { status: "Ready", dueAt: T0 },
    },
    { verb: "suspend", ask: () => queue.suspend({ ids: ["a"] }), want: { status: "Suspended" } },
  ])("$verb of what is being written takes effect when it is written", async ({ ask, want }) => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore });
    await queue.apply({ insert: [queueItem({ id: "a", to: "a.example" })] });
    const [a] = await queue.take(...delivery("a.example"));
    let open = () => {};
    odd.applyGate = new Promise((resolve) => {
      open = resolve;
    });
    const written = queue.apply({ update: [{ ...a!, status: "Retry", dueAt: T0 + 99_999 }] });
    const asked = ask();
    await new Promise(setImmediate);
    open();
    expect(await asked).toBe(1);
    await written;
    expect(await queue.store.get("a")).toMatchObject(want);
  });

  test("retry of many leaves alone what is suspended before its turn comes", async () => {
    const { odd, openStore } = oddStore();
    await reopen({ openStore });
    const later = { status: "Retry", dueAt: T0 + 99_999, to: "a.example" } as const;
    const ids = Array.from({ length: 501 }, (_, index) => String(1000 + index));
    await queue.apply({ insert: ids.map((id) => queueItem({ id, ...later })) });
    let open = () => {};
    odd.applyGate = new Promise((resolve) => {
      open = resolve;
    });
    const retried = queue.retry({ queue: "Delivery" }, { resubmit: false });
    await new Promise(setImmediate);
    odd.applyGate = Promise.resolve();
    expect(await queue.suspend({ ids: ["1500"] })).toBe(1);
    open();
    expect(await retried).toBe(500);
    expect(await queue.store.get("1499")).toMatchObject({ status: "Ready", dueAt: T0 });
    expect(await queue.store.get("1500")).toMatchObject({ status: "Suspended" });
  });

  test("retry of what is in hand and then finds no route makes it due only where it is routed again", async () => {
    await queue.apply({ insert: [queueItem({ id: "a" }), queueItem({ id: "b" })] });
    const taken = await queue.take(...submission());
    await queue.retry({ ids: ["a"] }, { resubmit: false });
    await queue.retry({ ids: ["b"] }, { resubmit: true });
    const lost = { queue: "Unreachable", dueAt: T0 + 99_999 } as const;
    await queue.apply({ update: taken.map((item) => ({ ...item, ...lost })) });
    expect(await queue.store.get("a")).toMatchObject(lost);
    expect(await queue.store.get("b")).toMatchObject({ queue: "Submission", dueAt: T0 });
  });

  test.each([
    { verb: "retry", status: "Ready", ask: () => queue.retry({ ids: ["a"] }, { resubmit: false }) },
    { verb: "resume", status: "Suspended", ask: () => queue.resume({ ids: ["a"] }) },
  ] as const)("$verb of what found no route has it routed again", async ({ status, ask }) => {
    await queue.apply({ insert: [queueItem({ id: "a", queue: "Unreachable", status, dueAt: T0 + 99_999 })] });
    expect(await ask()).toBe(1);
    expect(idsOf(await queue.take(...submission()))).toEqual(["a"]);
  });

  test("retry tells of each next hop before its messages are due", async () => {
    const told: string[] = [];
    queue.onRetry((nextHop) => told.push(`retry ${nextHop}`));
    const later = { status: "Retry", dueAt: T0 + 99_999, to: "a.example" } as const;
    await queue.apply({
      insert: [queueItem({ id: "a", ...later }), queueItem({ id: "b", ...later }), queueItem()],
    });
    queue.onDue((kind, nextHop) => kind === "Delivery" && told.push(`due ${nextHop}`));
    await queue.retry({}, { resubmit: false });
    await eventually(() => told.length > 1);
    expect(told).toEqual([`retry ${hop("a.example")}`, `due ${hop("a.example")}`]);
  });

  test("remove leaves what is in hand, and asks onRemove for the rest", async () => {
    const removed: unknown[] = [];
    await reopen({
      async onRemove(items, withDsn) {
        removed.push([idsOf(items), withDsn]);
        await queue.apply({ remove: idsOf(items).filter((id) => id !== "kept") });
      },
    });
    await queue.apply({ insert: [queueItem({ id: "held" })] });
    await queue.take(...submission());
    await queue.apply({ insert: [queueItem({ id: "gone" }), queueItem({ id: "kept" })] });
    expect(await queue.remove({}, { withDsn: true })).toBe(2);
    expect(removed).toEqual([[["gone", "kept"], true]]);
    expect((await queue.store.select({})).map(({ id }) => id)).toEqual(["held", "kept"]);
    expect(idsOf(await queue.take(...submission()))).toEqual(["kept"]);
  });

  test("remove with a DSN needs somebody to write it", async () => {
    await expect(queue.remove({}, { withDsn: true })).rejects.toThrow(/DSN/);
  });
});

describe("openQueue()", () => {
  test("a second opening is refused and names the holder", async () => {
    await expect(openQueue({ directory, clock, log })).rejects.toThrow(
      new RegExp(`in use by process ${process.pid} on`),
    );
    await queue.apply({ insert: [queueItem()] });
  });

  test("a file that is no database is refused in words, and the lock is given back", async () => {
    const other = mkdtempSync(join(tmpdir(), "postroom-queue-"));
    writeFileSync(
      join(other, "queue.db"),
      "this is not a database at all, but it is long enough to be looked at",
    );
    await expect(openQueue({ directory: other, clock, log })).rejects.toThrow(/not a database/);
    rmSync(join(other, "queue.db"));
    await (await openQueue({ directory: other, clock, log })).close();
    rmSync(other, { recursive: true });
  });

  test("a database of an older program is brought up to date", async () => {
    await queue.apply({ insert: [queueItem({ id: "m", networkMessageId: "n" })] });
    await queue.close();
    const database = new DatabaseSync(join(directory, "queue.db"));
    database.exec("CREATE INDEX items_network_id ON items (network_id); PRAGMA user_version = 1");
    database.close();
    await open();
    const found = await queue.store.list({ networkMessageId: "n", limit: 9, offset: 0 });
    expect(found.map(({ id }) => id)).toEqual(["m"]);
    expect(idsOf(await queue.take(...submission()))).toEqual(["m"]);
  });

  test("a database of a newer program is refused", async () => {
    await queue.close();
    const database = new DatabaseSync(join(directory, "queue.db"));
    database.exec("PRAGMA user_version = 99");
    database.close();
    await expect(open()).rejects.toThrow(/newer/);
  });

  test("close() waits for running changes, is safe to call twice, and leaves no socket", async () => {
    const changes = Array.from({ length: 20 }, () => queue.apply({ insert: [queueItem()] }));
    await Promise.all([queue.close(), queue.close()]);
    await Promise.all(changes);
    expect(existsSync(join(directory, "admin.sock"))).toBe(false);
    await expect(queue.apply({ insert: [queueItem()] })).rejects.toThrow(/closed/);
    expect(await queue.take(...submission())).toEqual([]);
    await open();
    expect(await queue.take(...submission())).toHaveLength(20);
  });

  test("under a storm of takes, settles, releases and restarts every message is settled once", async () => {
    await reopen({ memoryBound: 40_000 });
    const all = Array.from({ length: 400 }, () => queueItem());
    const settled = new Map<string, number>();
    const settle = async (item: QueueItem, index: number) => {
      if (index === 4) return queue.release([item.message.id]);
      if (item.attempts === 0 && index % 2 === 0) return queue.apply({ update: [{ ...item, attempts: 1 }] });
      await queue.apply({ remove: [item.message.id] });
      settled.set(item.message.id, (settled.get(item.message.id) ?? 0) + 1);
    };
    const worker = async () => {
      while (settled.size < all.length) {
        const items = await queue.take(...submission(5));
        for (const [index, item] of items.entries()) await settle(item, index);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const workers = Array.from({ length: 6 }, worker);
    await Promise.all(all.map((item) => queue.apply({ insert: [item] })));
    await Promise.all(workers);
    expect([...settled.values()].every((count) => count === 1)).toBe(true);
    expect(await queue.store.select({})).toEqual([]);
  });
});
