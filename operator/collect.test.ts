import { describe, expect, test } from "vitest";
import { KubeError } from "../lib/kube/errors.ts";
import { chunksToDelete, deleteByName, keySecretsToDelete } from "./collect.ts";

const NOW = 10_000_000;
const OLD = NOW - 600_000;

describe("chunksToDelete()", () => {
  const chunk = (digest: string, createdAt = OLD) => ({ name: `hub-${digest}`, digest, createdAt });
  test.each([
    { name: "what a revision names stays", chunks: [chunk("a")], keep: ["a"], want: [] },
    { name: "what none names goes", chunks: [chunk("a"), chunk("b")], keep: ["a"], want: ["hub-b"] },
    { name: "what is young stays", chunks: [chunk("a", OLD + 1)], keep: [], want: [] },
    { name: "what is from the future stays", chunks: [chunk("a", NOW + 5)], keep: [], want: [] },
    {
      name: "the oldest goes first",
      chunks: [chunk("a"), chunk("b", OLD - 5), chunk("c", OLD - 1)],
      keep: [],
      want: ["hub-b", "hub-c", "hub-a"],
    },
    {
      name: "what has no readable time stays",
      chunks: [chunk("a", Number.NaN)],
      keep: [],
      want: [],
    },
  ])("$name", ({ chunks, keep, want }) => {
    expect(chunksToDelete({ chunks, keep: new Set(keep), now: NOW })).toEqual(want);
  });
});

describe("keySecretsToDelete()", () => {
  test.each([
    { name: "what the head names stays", secrets: ["hub-keys-1", "hub-keys-2"], want: ["hub-keys-1"] },
    {
      name: "Secrets of another transport stay",
      secrets: ["hub-keys-extra-keys-1", "hub2-keys-1"],
      want: [],
    },
    { name: "Secrets of a person stay", secrets: ["hub-keys-", "hub-keys-1a", "mx-tls"], want: [] },
  ])("$name", ({ secrets, want }) => {
    const state = {
      transport: "hub",
      secrets: secrets.map((name) => ({ name, createdAt: OLD })),
      keep: new Set(["hub-keys-2"]),
      now: NOW,
    };
    expect(keySecretsToDelete(state)).toEqual(want);
  });

  test("a young one stays: the head that names it may not be seen yet", () => {
    const secrets = [{ name: "hub-keys-3", createdAt: NOW - 1000 }];
    expect(keySecretsToDelete({ transport: "hub", secrets, keep: new Set(), now: NOW })).toEqual([]);
  });
});

describe("deleteByName()", () => {
  const names = Array.from({ length: 10 }, (_, index) => `chunk-${index}`);

  test("deletes no more than one run may, the first ones first, and says what is left", async () => {
    const removed: string[] = [];
    const remove = async (name: string) => void removed.push(name);
    expect(await deleteByName(names, { remove, most: 6 })).toEqual({ deleted: 6, left: 4 });
    expect(removed.sort()).toEqual(names.slice(0, 6));
  });

  test("what is gone already is deleted", async () => {
    const remove = () =>
      Promise.reject(
        new KubeError({ verb: "DELETE", path: "/x", status: 404, reason: "NotFound", words: "" }),
      );
    expect(await deleteByName(names, { remove })).toEqual({ deleted: 10, left: 0 });
  });

  test("a refusal rejects", async () => {
    const remove = () => Promise.reject(new Error("refused"));
    await expect(deleteByName(names, { remove })).rejects.toThrow("refused");
  });
});
