/** Facts about the health.lua of docs/gitops.md, run by Lua as Argo CD runs it: what it makes of our objects. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { describe, expect, test } from "vitest";
import { needs } from "../helpers/debian.ts";
import { run } from "../helpers/run.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/gitops.md"), "utf8");
const BLOCK = /```yaml\n(data:\n {2}resource\.customizations:[\s\S]*?)```/.exec(PAGE)?.[1] ?? "";

function healthOf(object: object): Promise<{ output: string }> {
  const { data } = yaml.load(BLOCK) as { data: Record<string, string> };
  const customizations = yaml.load(data["resource.customizations"] ?? "") as Record<
    string,
    Record<string, string>
  >;
  const script = customizations["postroom.dev/*"]?.["health.lua"] ?? "";
  const program = `local obj = ${luaOf(object)}
local health = (function() ${script} end)()
io.write(health.status, ": ", health.message or "")`;
  return run("lua5.1", ["-"], { input: program });
}

function luaOf(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(luaOf).join(",")}}`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, one]) => `[${JSON.stringify(name)}]=${luaOf(one)}`)
    .join(",")}}`;
}

function object(status: string, more: { reason?: string; generation?: number; kind?: string } = {}) {
  const { reason = "Ready", generation = 3, kind = "TransportRule" } = more;
  const ready = { type: "Ready", status, reason, message: "why", observedGeneration: generation };
  const accepted = {
    type: "Accepted",
    status: "True",
    reason: "Accepted",
    message: "",
    observedGeneration: 3,
  };
  return { kind, metadata: { name: "x", generation: 3 }, status: { conditions: [accepted, ready] } };
}

const UNSEEN = "Progressing: The operator has not seen this generation yet";

describe.skipIf(!(await needs("lua")))("health.lua", () => {
  test.each([
    { name: "Ready is healthy", given: object("True"), want: "Healthy: why" },
    {
      name: "work under way is progress",
      given: object("Unknown", { reason: "Progressing" }),
      want: "Progressing: why",
    },
    {
      name: "no pod yet is progress",
      given: object("False", { reason: "NoPods" }),
      want: "Progressing: why",
    },
    { name: "a drain is progress", given: object("False", { reason: "Draining" }), want: "Progressing: why" },
    { name: "a fault is degraded", given: object("False", { reason: "Invalid" }), want: "Degraded: why" },
    { name: "a refusal is degraded", given: object("False", { reason: "Nacked" }), want: "Degraded: why" },
    {
      name: "a word about an older generation does not count",
      given: object("True", { generation: 2 }),
      want: UNSEEN,
    },
    {
      name: "the status that the definition gives is progress",
      given: { kind: "TransportRule", metadata: { generation: 1 }, status: { observedGeneration: -1 } },
      want: UNSEEN,
    },
    {
      name: "no status is progress",
      given: { kind: "MailTransport", metadata: { generation: 1 } },
      want: UNSEEN,
    },
    {
      name: "what only operator and pods write is healthy",
      given: { kind: "SnapshotChunk", metadata: { generation: 1 } },
      want: "Healthy: ",
    },
  ])("$name", async ({ given, want }) => {
    expect((await healthOf(given)).output).toBe(want);
  });
});
