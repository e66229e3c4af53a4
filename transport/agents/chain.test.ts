import { describe, expect, test } from "vitest";
import { type Reply, reply } from "../../mail/reply.ts";
import type { LogLine } from "../../test/helpers/agent-facts.ts";
import {
  makeContent,
  makeMessage,
  makeRecipient,
  makeRouting,
  makeSession,
  makeTools,
} from "../../test/helpers/agent-facts.ts";
import type { Agent, AgentHandlers, Verdict } from "./agent.ts";
import { type AgentChain, type AgentTrace, createAgentChain } from "./chain.ts";

const REFUSED: Verdict = { action: "reject", reply: reply(550, "5.7.1", "No") };
const LATER: Verdict = { action: "defer", reply: reply(450, "4.7.1", "Later") };
const FAILED = { action: "defer", reply: { code: 451, status: "4.3.0" } };

interface Fixture {
  readonly chain: AgentChain;
  readonly traces: AgentTrace[];
  readonly lines: LogLine[];
  /** Delays asked of the clock, in order; timeouts excluded. */
  readonly slept: number[];
}

type Fake = AgentHandlers & { readonly antispam?: boolean };

const TIMEOUT = 1_000;

/** Agents a, b, c ...; a sleep ends at once, except for the timeout, which ends when `expire` is set. */
function fixture(
  agents: readonly Fake[],
  options: { disabled?: Record<string, readonly string[]>; expire?: boolean } = {},
): Fixture {
  const traces: AgentTrace[] = [];
  const slept: number[] = [];
  const deps = makeTools();
  const registry = agents.map(({ antispam = false, ...handlers }, index): Agent<unknown> => {
    const key = String.fromCharCode(97 + index);
    return { key, name: `Agent ${key}`, antispam, create: () => handlers };
  });
  const clock = {
    now: () => 0,
    sleep(ms: number) {
      if (ms !== TIMEOUT) slept.push(ms);
      return ms !== TIMEOUT || options.expire ? Promise.resolve() : new Promise<void>(() => {});
    },
  };
  const chain = createAgentChain(
    registry.map(({ key }) => ({ [key]: {} })),
    {
      registry,
      deps,
      clock,
      timeoutMs: TIMEOUT,
      disabledFor: (connector) => new Set(options.disabled?.[connector] ?? []),
      trace: (trace) => traces.push(trace),
    },
  );
  return { chain, traces, lines: deps.lines, slept };
}

describe("createAgentChain()", () => {
  test.each([
    { name: "no agent, no answer", agents: [], want: undefined, ran: "" },
    {
      name: "agents that say nothing let it pass",
      agents: [{ onMail: () => undefined }, { onMail: () => undefined }],
      want: undefined,
      ran: "ab",
    },
    {
      name: "the first verdict ends the event",
      agents: [{ onMail: () => undefined }, { onMail: () => REFUSED }, { onMail: () => LATER }],
      want: REFUSED,
      ran: "ab",
    },
    {
      name: "agents that do not listen are left out",
      agents: [{ onRcpt: () => LATER }, { onMail: () => REFUSED }],
      want: REFUSED,
      ran: "b",
    },
    {
      name: "drop ends the event",
      agents: [{ onMail: () => ({ action: "drop" as const, reason: "r" }) }, { onMail: () => REFUSED }],
      want: { action: "drop", reason: "r" },
      ran: "a",
    },
    {
      name: "a tarpit of nothing goes on",
      agents: [{ onMail: () => ({ action: "tarpit" as const, delayMs: 0 }) }, { onMail: () => REFUSED }],
      want: REFUSED,
      ran: "ab",
    },
  ])("synchronous: $name", ({ agents, want, ran }) => {
    const { chain, traces } = fixture(agents);
    expect(chain.onMail(makeContent())).toEqual(want);
    expect(traces.map(({ agent }) => agent.slice(-1)).join("")).toBe(ran);
  });

  test.each([
    {
      name: "a promised verdict ends the event",
      agents: [{ onMail: async () => REFUSED }, { onMail: () => LATER }],
      want: REFUSED,
      ran: "a",
      slept: [],
    },
    {
      name: "after a promise the next agents run",
      agents: [{ onMail: async () => undefined }, { onMail: () => LATER }],
      want: LATER,
      ran: "ab",
      slept: [],
    },
    {
      name: "a tarpit waits, then goes on",
      agents: [
        { onMail: () => ({ action: "tarpit" as const, delayMs: 5 }) },
        { onMail: async () => ({ action: "tarpit" as const, delayMs: 7 }) },
        { onMail: () => REFUSED },
      ],
      want: REFUSED,
      ran: "abc",
      slept: [5, 7],
    },
    {
      name: "a tarpit at the end accepts",
      agents: [{ onMail: () => ({ action: "tarpit" as const, delayMs: 5 }) }],
      want: undefined,
      ran: "a",
      slept: [5],
    },
    {
      name: "a delayed refusal waits first",
      agents: [{ onMail: () => ({ ...REFUSED, delayMs: 9 }) }, { onMail: () => LATER }],
      want: { ...REFUSED, delayMs: 9 },
      ran: "a",
      slept: [9],
    },
  ])("asynchronous: $name", async ({ agents, want, ran, slept }) => {
    const built = fixture(agents as Fake[]);
    const answer = built.chain.onMail(makeContent());
    expect(answer).toBeInstanceOf(Promise);
    expect(await answer).toEqual(want);
    expect(built.traces.map(({ agent }) => agent.slice(-1)).join("")).toBe(ran);
    expect(built.slept).toEqual(slept);
  });

  test("every event reaches its handler with its facts", () => {
    const heard: unknown[][] = [];
    const hear =
      (name: string) =>
      (...facts: unknown[]) => {
        heard.push([name, ...facts]);
        return undefined;
      };
    const names = [
      "onConnect",
      "onEhlo",
      "onAuth",
      "onMail",
      "onRcpt",
      "onData",
      "onEndOfHeaders",
      "onEndOfData",
      "onReject",
      "onReset",
      "onDisconnect",
      "onSubmitted",
      "onResolved",
      "onRouted",
      "onCategorized",
    ] as const;
    const { chain, traces } = fixture([Object.fromEntries(names.map((name) => [name, hear(name)])) as Fake]);
    const session = makeSession();
    const content = makeContent({ session });
    const routing = makeRouting();
    const recipient = makeRecipient("ann@c.example");
    const refusal: Reply = reply(550, "5.1.1", "x");
    const calls: [string, ...unknown[]][] = [
      ["onConnect", session],
      ["onEhlo", session, "name"],
      ["onAuth", session, "user"],
      ["onMail", content],
      ["onRcpt", content, recipient],
      ["onData", content],
      ["onEndOfHeaders", content],
      ["onEndOfData", content],
      ["onReject", session, "RCPT", refusal],
      ["onReset", session],
      ["onDisconnect", session],
      ["onSubmitted", routing],
      ["onResolved", routing],
      ["onRouted", routing],
      ["onCategorized", routing],
    ];
    for (const [name, ...facts] of calls) {
      const call = chain[name as "onEhlo"] as (...facts: unknown[]) => unknown;
      expect(call(...facts), name).toBeUndefined();
      expect(chain.listens(name as "onEhlo")).toBe(true);
    }
    expect(heard).toEqual(calls);
    expect(traces.filter(({ messageId }) => messageId === "message-1").map(({ event }) => event)).toEqual(
      names.slice(-4),
    );
    expect(traces.filter(({ sessionId }) => sessionId === "session-1").map(({ event }) => event)).toEqual(
      names.slice(0, 8),
    );
  });

  test("an event that nobody takes says so", () => {
    expect(fixture([{ onMail: () => undefined }]).chain.listens("onEndOfData")).toBe(false);
  });

  test("an entry that names no agent is refused", () => {
    const options = {
      registry: [],
      deps: makeTools(),
      clock: { now: () => 0, sleep: async () => {} },
      timeoutMs: 1,
    };
    expect(() => createAgentChain([{ nonsense: {} }], options)).toThrow('"nonsense" is no agent');
  });

  test("settings left undefined beside an agent are no entry", () => {
    const { chain } = fixture([]);
    expect(chain.onMail(makeContent())).toBeUndefined();
    const agent: Agent<unknown> = {
      key: "a",
      name: "A",
      antispam: false,
      create: () => ({ onMail: () => REFUSED }),
    };
    const options = {
      registry: [agent],
      deps: makeTools(),
      clock: { now: () => 0, sleep: async () => {} },
      timeoutMs: 1,
    };
    expect(createAgentChain([{ b: undefined, a: {} }], options).onMail(makeContent())).toEqual(REFUSED);
  });
});

describe("an agent that fails", () => {
  const thrown = () => {
    throw new Error("Cannot think\nbody of the message");
  };
  const broken = [
    { name: "that throws", agent: { onMail: thrown } },
    { name: "that rejects", agent: { onMail: async () => thrown() } },
    { name: "that rejects with no error", agent: { onMail: () => Promise.reject("why") } },
    {
      name: "that rejects mail with 250",
      agent: { onMail: () => ({ action: "reject" as const, reply: reply(250, "2.0.0", "x") }) },
    },
    {
      name: "that rejects mail with 4yz",
      agent: { onMail: async () => ({ action: "reject" as const, reply: reply(450, "4.0.0", "x") }) },
    },
    {
      name: "that defers with 5yz",
      agent: { onMail: () => ({ action: "defer" as const, reply: reply(550, "5.0.0", "x") }) },
    },
  ];
  test.each(broken)("$name is answered 451, and the next agent does not pass the mail", async ({ agent }) => {
    const { chain, traces, lines } = fixture([agent, { onMail: () => undefined }]);
    expect(await chain.onMail(makeContent())).toMatchObject(FAILED);
    expect(traces).toMatchObject([{ agent: "Agent a", failed: true, verdict: FAILED }]);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.fields).toMatchObject({ agent: "Agent a", event: "onMail", sessionId: "session-1" });
    expect(String(lines[0]?.fields.cause)).not.toBe("");
    expect(JSON.stringify(lines)).not.toContain("body of the message");
  });

  test("one that never answers is answered 451 when its time is over", async () => {
    const { chain, lines } = fixture([{ onMail: () => new Promise(() => {}) }], { expire: true });
    expect(await chain.onMail(makeContent())).toMatchObject(FAILED);
    expect(lines[0]?.fields.cause).toContain(`No answer within ${TIMEOUT} ms`);
  });

  test("one that answers too late changes nothing, and its late error is no unhandled rejection", async () => {
    let fail = (_: Error) => {};
    const late = new Promise<Verdict>((_, reject) => {
      fail = reject;
    });
    const { chain, traces } = fixture([{ onMail: () => late }], { expire: true });
    expect(await chain.onMail(makeContent())).toMatchObject(FAILED);
    fail(new Error("too late"));
    await late.catch(() => {});
    expect(traces).toHaveLength(1);
  });

  test("at an event without an answer it is logged, and the others still hear of it", async () => {
    const heard: string[] = [];
    const { chain, lines } = fixture([
      { onReset: thrown },
      { onReset: (async () => thrown()) as () => void },
      { onReset: () => void heard.push("c") },
    ]);
    chain.onReset(makeSession());
    await Promise.resolve();
    expect(heard).toEqual(["c"]);
    expect(lines.map(({ fields }) => fields.agent)).toEqual(["Agent a", "Agent b"]);
  });

  test("one whose exemption fails exempts nobody", () => {
    const { chain, lines } = fixture([{ exempts: thrown }, { antispam: true, onMail: () => REFUSED }]);
    expect(chain.onMail(makeContent())).toEqual(REFUSED);
    expect(lines[0]?.fields.event).toBe("exempts");
  });
});

describe("who is skipped", () => {
  const antispam: Fake = { antispam: true, onMail: () => REFUSED, onSubmitted: () => REFUSED };
  const always: Fake = { onMail: () => REFUSED, onSubmitted: () => REFUSED };
  const allow: Fake = { antispam: true, exempts: (address) => address === "192.0.2.9" };
  const internal = makeSession({ internal: true });
  const friend = makeSession({ clientAddress: "192.0.2.9" });
  test.each([
    { name: "anti-spam agents judge strangers", agents: [antispam], session: makeSession(), want: REFUSED },
    {
      name: "anti-spam agents skip internal sessions",
      agents: [antispam],
      session: internal,
      want: undefined,
    },
    { name: "other agents judge internal sessions", agents: [always], session: internal, want: REFUSED },
    {
      name: "anti-spam agents skip clients that an agent exempts",
      agents: [allow, antispam],
      session: friend,
      want: undefined,
    },
    {
      name: "the exemption counts wherever its agent stands",
      agents: [antispam, allow],
      session: friend,
      want: undefined,
    },
    { name: "other agents judge exempt clients", agents: [allow, always], session: friend, want: REFUSED },
    {
      name: "another client is not exempt",
      agents: [allow, antispam],
      session: makeSession(),
      want: REFUSED,
    },
  ])("$name", ({ agents, session, want }) => {
    const { chain } = fixture(agents);
    expect(chain.onMail(makeContent({ session }))).toEqual(want);
    const { clientAddress, internal: isInternal } = session;
    expect(chain.onSubmitted(makeRouting(makeMessage({ clientAddress, internal: isInternal })))).toEqual(
      want,
    );
  });

  test("disabledAgents of a connector do not run for it, and do not exempt", () => {
    const disabled = { "mail/internet": ["b"], "mail/lab": ["a"] };
    const { chain } = fixture([allow, antispam], { disabled });
    expect(chain.onMail(makeContent())).toBeUndefined();
    const session = makeSession({ connector: "mail/lab", clientAddress: "192.0.2.9" });
    expect(chain.onMail(makeContent({ session }))).toEqual(REFUSED);
  });

  test("a session that became internal: its refusals are not counted, its end is told", () => {
    const heard: string[] = [];
    const { chain } = fixture([
      {
        antispam: true,
        onReject: () => void heard.push("reject"),
        onReset: () => void heard.push("reset"),
        onDisconnect: () => void heard.push("disconnect"),
      },
    ]);
    chain.onReject(internal, "MAIL", reply(550, "5.7.1", "x"));
    chain.onReset(internal);
    chain.onDisconnect(internal);
    expect(heard).toEqual(["reset", "disconnect"]);
  });
});
