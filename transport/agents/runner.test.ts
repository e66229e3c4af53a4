/** The chain against a model of it: any mix of agents that pass, answer, wait, promise or fail. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { reply } from "../../mail/reply.ts";
import { makeContent, makeSession, makeTools } from "../../test/helpers/agent-facts.ts";
import type { Agent, Verdict } from "./agent.ts";
import { type AgentTrace, createAgentChain } from "./chain.ts";

interface Behaviour {
  readonly says: "nothing" | "reject" | "defer" | "drop" | "quarantine" | "tarpit" | "throw";
  readonly promised: boolean;
  readonly antispam: boolean;
  readonly disabled: boolean;
}

const VERDICTS: Record<Exclude<Behaviour["says"], "throw">, Verdict> = {
  nothing: undefined,
  reject: { action: "reject", reply: reply(550, "5.7.1", "No") },
  defer: { action: "defer", reply: reply(450, "4.7.1", "Later") },
  drop: { action: "drop", reason: "r" },
  quarantine: { action: "quarantine", reason: "r" },
  tarpit: { action: "tarpit", delayMs: 3 },
};

const behaviour = fc.record<Behaviour>({
  says: fc.constantFrom(
    "nothing",
    "nothing",
    "nothing",
    "reject",
    "defer",
    "drop",
    "quarantine",
    "tarpit",
    "throw",
  ),
  promised: fc.boolean(),
  antispam: fc.boolean(),
  disabled: fc.boolean(),
});

function toAgent({ says, promised, antispam }: Behaviour, index: number): Agent<unknown> {
  const answer = () => {
    if (says === "throw") throw new Error("broken");
    return VERDICTS[says];
  };
  const onMail = promised ? async () => answer() : answer;
  return { key: `k${index}`, name: String(index), antispam, create: () => ({ onMail }) };
}

/** What must happen: which agents run, how it ends, how long the client waits. */
function model(behaviours: readonly Behaviour[], internal: boolean) {
  const ran: string[] = [];
  let waited = 0;
  let promised = false;
  for (const [index, agent] of behaviours.entries()) {
    if (agent.disabled || (internal && agent.antispam)) continue;
    ran.push(String(index));
    promised ||= agent.promised || agent.says === "tarpit";
    if (agent.says === "tarpit") waited += 3;
    else if (agent.says !== "nothing") return { ran, waited, promised, end: agent.says };
  }
  return { ran, waited, promised, end: "nothing" as const };
}

test("the chain does what its model does, and makes a promise only where it must", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(behaviour, { maxLength: 6 }), fc.boolean(), async (behaviours, internal) => {
      const traces: AgentTrace[] = [];
      let waited = 0;
      const registry = behaviours.map(toAgent);
      const off = new Set(registry.filter((_, index) => behaviours[index]?.disabled).map(({ key }) => key));
      const sleep = (ms: number) => {
        if (ms === 60_000) return new Promise<void>(() => {});
        waited += ms;
        return Promise.resolve();
      };
      const chain = createAgentChain(
        registry.map(({ key }) => ({ [key]: {} })),
        {
          registry,
          deps: makeTools(),
          clock: { now: () => 0, sleep },
          timeoutMs: 60_000,
          disabledFor: () => off,
          trace: (trace) => traces.push(trace),
        },
      );
      const want = model(behaviours, internal);
      const answer = chain.onMail(makeContent({ session: makeSession({ internal }) }));
      expect(answer instanceof Promise).toBe(want.promised);
      const verdict = await answer;
      if (want.end === "throw")
        expect(verdict).toMatchObject({ action: "defer", reply: { code: 451, status: "4.3.0" } });
      else expect(verdict).toEqual(VERDICTS[want.end]);
      expect(traces.map(({ agent }) => agent)).toEqual(want.ran);
      expect(waited).toBe(want.waited);
    }),
    { numRuns: 500 },
  );
});
