/** The last good configuration on disk: whole or not at all, whatever lies there. */
import { mkdtemp, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { packKeys, packManifests } from "../test/helpers/fake-cluster.ts";
import { silentLog } from "../test/helpers/fake-kube.ts";
import { mountSmallDisk } from "../test/helpers/small-disk.ts";
import { BASIC, OUTSIDE } from "../test/helpers/transport.ts";
import { type Keeping, openSnapshotStore } from "./snapshot-store.ts";

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "postroom-store-"));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const folder = () => join(state, "snapshot");
const open = () => openSnapshotStore(state, silentLog);

function keeping(manifests: string, cluster?: Keeping["cluster"]): Keeping {
  const { digest, chunks } = packManifests(manifests);
  return { digest, digests: [...chunks.keys()], texts: chunks, cluster };
}

function keys(password: string) {
  const { data, digest } = packKeys({ "default/users": { users: password } });
  const text = Buffer.from(data["keys.json"], "base64").toString();
  return { ref: { secret: "hub-keys-1", digest }, text, salt: data.salt };
}

describe("keep() and last()", () => {
  test("what was kept is there for the next process, keys and number included", async () => {
    const kept = keeping(BASIC, { revision: 7, keys: keys("ann:pw") });
    await (await open()).keep(kept);
    const last = await (await open()).last();
    expect(last?.snapshot).toMatchObject({ digest: kept.digest, transport: { name: "default/hub" } });
    expect(last?.revision).toEqual({ revision: 7, digest: kept.digest, keys: kept.cluster?.keys?.ref });
    expect(last?.keys).toEqual(kept.cluster?.keys);
  });

  test("a folder's has neither number nor keys", async () => {
    await (await open()).keep(keeping(BASIC));
    expect(await (await open()).last()).toMatchObject({ revision: undefined, keys: undefined });
    expect((await readdir(folder())).filter((name) => name.startsWith("keys"))).toEqual([]);
  });

  test("what the newest does not name is gone, keys too, and what stayed was not written again", async () => {
    const store = await open();
    await store.keep(keeping(BASIC, { revision: 1, keys: keys("old") }));
    const { digests } = keeping(BASIC);
    const before = new Map<string, number>();
    for (const name of digests) before.set(name, (await stat(join(folder(), name))).ino);
    const next = keeping(`${BASIC}---${OUTSIDE}`, { revision: 2, keys: keys("new") });
    await store.keep(next);
    const names = await readdir(folder());
    expect(names.toSorted()).toEqual(
      [...next.texts.keys(), "current", `keys-${next.cluster?.keys?.ref.digest}.json`].toSorted(),
    );
    const shared = names.filter((name) => before.has(name));
    expect(shared.length).toBeGreaterThan(1);
    for (const name of shared) expect((await stat(join(folder(), name))).ino).toBe(before.get(name));
  });

  test("nobody else may read any of it", async () => {
    await (await open()).keep(keeping(BASIC, { revision: 1, keys: keys("x") }));
    expect((await stat(folder())).mode & 0o777).toBe(0o700);
    for (const name of await readdir(folder()))
      expect((await stat(join(folder(), name))).mode & 0o777).toBe(0o600);
  });

  test("a process that died before current was replaced leaves the one before", async () => {
    await (await open()).keep(keeping(BASIC, { revision: 1, keys: undefined }));
    const current = join(folder(), "current");
    await rename(current, `${current}.kept`);
    await (await open()).keep(keeping(`${BASIC}---${OUTSIDE}`, { revision: 2, keys: undefined }));
    expect(await (await open()).last()).toMatchObject({ revision: { revision: 2 } });
    await writeFile(`${current}.tmp`, "half of it");
    expect(await (await open()).last()).toMatchObject({ revision: { revision: 2 } });
  });
});

describe("a full disk", () => {
  let unmount: (() => void) | undefined;
  beforeEach(() => {
    unmount = mountSmallDisk(state, "256k");
  });
  afterEach(() => unmount?.());

  test("leaves what was kept before, and nothing half written that a later process would trust", async ({
    skip,
  }) => {
    if (unmount === undefined) skip("no right to mount");
    const [old, long] = [keeping(BASIC, { revision: 1, keys: keys("a") }), keys("x".repeat(100_000))];
    const store = await open();
    await store.keep(old);
    const filler = join(state, "filler");
    await writeFile(filler, Buffer.alloc(256 * 1024)).catch(() => {});
    await truncate(filler, (await stat(filler)).size - 40 * 1024);
    const next = keeping(BASIC, { revision: 2, keys: long });
    await expect(store.keep(next)).rejects.toThrow("ENOSPC");
    expect(await (await open()).last()).toMatchObject({ revision: { revision: 1 } });
    await rm(filler);
    await (await open()).keep(next);
    expect(await (await open()).last()).toMatchObject({ revision: { revision: 2 } });
  });
});

describe("garbage", () => {
  test.each([
    { name: "an empty current", file: "current", text: "" },
    { name: "a current that names nothing", file: "current", text: "{}" },
    { name: "a current of another snapshot", file: "current", text: `{"digest":"${"0".repeat(64)}"}` },
    { name: "a chunk that was changed", file: "chunk", text: "[]" },
    { name: "an index that was changed", file: "index", text: "{}" },
    { name: "keys that were changed", file: "keys", text: "{}" },
    { name: "keys that are no JSON", file: "keys", text: "x" },
    { name: "keys under another salt", file: "keys", text: JSON.stringify({ ...keys("x"), salt: "eA==" }) },
  ])("$name is no last good snapshot, and is mended by the next", async ({ file, text }) => {
    const kept = keeping(BASIC, { revision: 1, keys: keys("x") });
    await (await open()).keep(kept);
    const chunk = [...kept.texts.keys()].find((digest) => digest !== kept.digest);
    const names: Record<string, string> = {
      current: "current",
      chunk: chunk ?? "",
      index: kept.digest,
      keys: `keys-${kept.cluster?.keys?.ref.digest}.json`,
    };
    await writeFile(join(folder(), names[file] ?? ""), text);
    const store = await open();
    expect(await store.last()).toBeUndefined();
    await store.keep(kept);
    expect(await (await open()).last()).toMatchObject({ revision: { revision: 1 } });
  });

  test("a missing chunk is told apart from one that is there", async () => {
    const kept = keeping(BASIC);
    await (await open()).keep(kept);
    await rm(join(folder(), kept.digest));
    const store = await open();
    expect(store.has(kept.digest)).toBe(false);
    expect(await store.text(kept.digest)).toBeUndefined();
    expect(await store.last()).toBeUndefined();
  });
});
