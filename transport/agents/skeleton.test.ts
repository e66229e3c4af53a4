import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeContent, makeSession, makeTools } from "../../test/helpers/agent-facts.ts";
import { createAgentChain } from "./chain.ts";
import { builtInAgents } from "./mod.ts";
import { heloStamp } from "./skeleton.ts";

const ROOT = join(import.meta.dirname, "../..");
const clock = { now: () => 0, sleep: () => new Promise<void>(() => {}) };

describe("the skeleton", () => {
  const chain = createAgentChain([{ heloStamp: { forbiddenNames: ["localhost"] } }], {
    registry: [...builtInAgents, heloStamp],
    deps: makeTools(),
    clock,
    timeoutMs: 1_000,
  });

  test.each([
    { name: "a forbidden name is refused, in any case", helo: "LocalHost", want: 550 },
    { name: "another name passes", helo: "client.example", want: undefined },
  ])("$name", ({ helo, want }) => {
    const verdict = chain.onEhlo(makeSession(), helo);
    expect(verdict && "reply" in verdict ? verdict.reply.code : verdict).toBe(want);
  });

  test("a message is stamped with the name", () => {
    const content = makeContent({ session: makeSession({ helo: "client.example" }) });
    expect(chain.onMail(content)).toBeUndefined();
    expect(content.stamps).toEqual({ Helo: "client.example" });
  });

  test("it is no built-in agent", () => {
    expect(builtInAgents.map(({ key }) => key)).not.toContain(heloStamp.key);
  });
});

describe("builtInAgents", () => {
  test("each has a key and a name of its own", () => {
    expect(new Set(builtInAgents.map(({ key }) => key)).size).toBe(builtInAgents.length);
    expect(new Set(builtInAgents.map(({ name }) => name)).size).toBe(builtInAgents.length);
  });
});

describe("docs/agents.md", () => {
  const page = readFileSync(join(ROOT, "docs/agents.md"), "utf8");
  const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1]);

  test("shows the skeleton as it is", () => {
    expect(blocks).toContain(readFileSync(join(ROOT, "transport/agents/skeleton.ts"), "utf8"));
  });

  test("shows the test of the skeleton as it is", () => {
    const source = readFileSync(join(import.meta.dirname, "skeleton.test.ts"), "utf8");
    const shown = blocks.find((block) => block?.includes("test.each"));
    expect(shown).toBeDefined();
    expect(source).toContain(shown?.trimEnd().replace(/^(?=.)/gm, "  "));
  });

  test("names every event", () => {
    const source = readFileSync(join(import.meta.dirname, "agent.ts"), "utf8");
    const events = [...source.matchAll(/^ {2}(on[A-Z]\w+)\?\(/gm)].map((match) => match[1] ?? "");
    expect(events).toHaveLength(15);
    for (const event of events) expect(page, event).toContain(`\`${event}\``);
  });

  test("names every built-in agent", () => {
    for (const { key } of builtInAgents) expect(page, key).toContain(`\`${key}\``);
  });
});
