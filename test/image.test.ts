/** What the Dockerfile says twice or must not lose. The image itself is built by test/cluster. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import manifest from "../package.json" with { type: "json" };

const ROOT = join(import.meta.dirname, "..");
const read = (name: string) => readFileSync(join(ROOT, name), "utf8");

describe("Dockerfile", () => {
  test("its Node is that of package.json", () => {
    expect(/^FROM node:(\S+?)-/m.exec(read("Dockerfile"))?.[1]).toBe(manifest.dependencies.node);
  });

  test("what only a kubeconfig needs is left out", () => {
    expect(Object.keys(manifest.dependencies)).toContain("@kubernetes/client-node");
    expect(read("Dockerfile")).toContain("npm pkg delete dependencies.@kubernetes/client-node");
  });

  test("it ends as a user without rights", () => {
    expect(
      read("Dockerfile")
        .match(/^USER .*/gm)
        ?.at(-1),
    ).toBe("USER 65532:65532");
  });

  test("what .dockerignore lets in exists", () => {
    const names = [...read(".dockerignore").matchAll(/^!(.+)$/gm)].map(([, name]) => name ?? "");
    expect(names.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
  });
});
