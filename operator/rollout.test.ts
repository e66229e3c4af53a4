import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sameRevision, type TransportSnapshotSpec } from "../crds/mod.ts";
import { decideRollout } from "./rollout.ts";
import { ROUND_MS, SILENCE_MS } from "./rollout-canary.ts";
import type { PodFacts, RolloutInput, Target } from "./types.ts";

const NOW = Date.parse("2026-11-21T20:00:00Z");
const SINCE = "2026-11-21T20:00:00.000Z";
const keys = (name: string) => ({ secret: `hub-keys-${name}`, digest: name });

interface Says {
  readonly serves?: string;
  readonly refuses?: string;
  readonly keys?: string;
  readonly ready?: boolean;
  readonly exists?: boolean;
  readonly drain?: boolean;
}

function pod(
  ordinal: number,
  { serves, refuses, keys: key, ready = true, exists = true, drain = false }: Says = {},
) {
  const revision = (digest: string) => ({
    revision: 1,
    digest,
    ...(key !== undefined && { keys: keys(key) }),
  });
  const facts: PodFacts = {
    name: `hub-${ordinal}`,
    ready,
    exists,
    drain,
    status: {
      ...(serves !== undefined && { snapshot: revision(serves) }),
      ...(refuses !== undefined && {
        refused: { ...revision(refuses), message: "port 25 is taken", objects: [] },
      }),
      draining: drain,
      drained: false,
    },
  };
  return facts;
}

const REFUSED = { revision: 9, digest: "x", pod: "hub-1", message: "no", objects: [] };

function head(current: string, more: Partial<TransportSnapshotSpec> = {}): TransportSnapshotSpec {
  return { formatVersion: 1, current: { revision: 3, digest: current }, history: [], ...more };
}

function canaryOf(digest: string, name: string, since = SINCE): Pick<TransportSnapshotSpec, "canary"> {
  return { canary: { revision: 4, digest, pod: name, since } };
}

function decide(input: Partial<RolloutInput>) {
  return decideRollout({
    head: undefined,
    target: undefined,
    pods: [],
    rollbackTo: undefined,
    now: NOW,
    ...input,
  });
}

const THREE = [pod(0, { serves: "a" }), pod(1, { serves: "a" }), pod(2, { serves: "a" })];

describe("decideRollout()", () => {
  test.each<{ name: string; input: Partial<RolloutInput>; head: object | undefined; state: object }>([
    { name: "nothing compiled is nothing written", input: {}, head: undefined, state: { phase: "Nothing" } },
    {
      name: "the first head is revision 1",
      input: { target: { digest: "a" } },
      head: { formatVersion: 1, current: { revision: 1, digest: "a" }, history: [] },
      state: { phase: "NoPods", revision: 1 },
    },
    {
      name: "a transport that is new has nothing to roll back to and begins anyway",
      input: { target: { digest: "a" }, rollbackTo: 7 },
      head: { formatVersion: 1, current: { revision: 1, digest: "a" }, history: [] },
      state: { phase: "NoPods", revision: 1 },
    },
    {
      name: "one ready pod takes a target at once, what was in force is history",
      input: { head: head("a"), target: { digest: "b" }, pods: [pod(0, { serves: "a" })] },
      head: { current: { revision: 4, digest: "b" }, history: [{ revision: 3, digest: "a" }] },
      state: { phase: "Waiting", revision: 4, pods: ["hub-0"] },
    },
    {
      name: "two ready pods: the highest tries it first",
      input: { head: head("a"), target: { digest: "b" }, pods: THREE },
      head: {
        current: { revision: 3, digest: "a" },
        canary: { revision: 4, digest: "b", pod: "hub-2", since: SINCE },
      },
      state: { phase: "Canary", revision: 4, pod: "hub-2" },
    },
    {
      name: "hub-10 is higher than hub-9",
      input: { head: head("a"), target: { digest: "b" }, pods: [pod(9), pod(10)] },
      head: { canary: { pod: "hub-10" } },
      state: { phase: "Canary", pod: "hub-10" },
    },
    {
      name: "a pod that drains has no say",
      input: { head: head("a"), target: { digest: "b" }, pods: [pod(0), pod(1, { drain: true })] },
      head: { current: { digest: "b" } },
      state: { phase: "Waiting", pods: ["hub-0"] },
    },
    {
      name: "what the canary has in force is for all",
      input: {
        head: head("a", canaryOf("b", "hub-1")),
        target: { digest: "b" },
        pods: [pod(0, { serves: "a" }), pod(1, { serves: "b" })],
      },
      head: {
        current: { revision: 4, digest: "b" },
        canary: undefined,
        history: [{ revision: 3, digest: "a" }],
      },
      state: { phase: "Waiting", revision: 4, pods: ["hub-0"] },
    },
    {
      name: "equal content with other keys is not what the canary was asked for",
      input: {
        head: head("a", {
          canary: { revision: 4, digest: "a", keys: keys("2"), pod: "hub-1", since: SINCE },
        }),
        target: { digest: "a", keys: keys("2") },
        pods: [pod(0, { serves: "a", keys: "1" }), pod(1, { serves: "a", keys: "1" })],
      },
      head: { canary: { pod: "hub-1" } },
      state: { phase: "Canary" },
    },
    {
      name: "new keys alone make no history",
      input: { head: head("a"), target: { digest: "a", keys: keys("2") }, pods: [pod(0)] },
      head: { current: { revision: 4, digest: "a", keys: keys("2") }, history: [] },
      state: { phase: "Waiting" },
    },
    {
      name: "what the canary refuses is refused for all",
      input: {
        head: head("a", canaryOf("b", "hub-1")),
        target: { digest: "b" },
        pods: [pod(0, { serves: "a" }), pod(1, { serves: "a", refuses: "b" })],
      },
      head: {
        current: { digest: "a" },
        canary: undefined,
        refused: { revision: 4, digest: "b", pod: "hub-1" },
      },
      state: { phase: "Refused", revision: 3, refused: { message: "port 25 is taken" } },
    },
    {
      name: "what was refused is not offered again",
      input: {
        head: head("a", { refused: { ...REFUSED, digest: "b" } }),
        target: { digest: "b" },
        pods: THREE,
      },
      head: { current: { digest: "a" }, canary: undefined },
      state: { phase: "Refused", revision: 3 },
    },
    {
      name: "after a refusal another target counts on from its number, and the refusal is remembered",
      input: { head: head("a", { refused: REFUSED }), target: { digest: "c" }, pods: [pod(0)] },
      head: { current: { revision: 10, digest: "c" }, refused: REFUSED },
      state: { phase: "Waiting" },
    },
    {
      name: "a newer target takes the place of the one on trial",
      input: { head: head("a", canaryOf("b", "hub-1")), target: { digest: "c" }, pods: THREE },
      head: { current: { digest: "a" }, canary: { revision: 5, digest: "c", pod: "hub-1" } },
      state: { phase: "Canary", revision: 5 },
    },
    {
      name: "a newer target finds the one on trial taken: that one is for all, the newer one on trial",
      input: {
        head: head("a", canaryOf("b", "hub-1")),
        target: { digest: "c" },
        pods: [pod(0, { serves: "a" }), pod(1, { serves: "b" })],
      },
      head: { current: { revision: 4, digest: "b" }, canary: { revision: 5, digest: "c", pod: "hub-1" } },
      state: { phase: "Canary", revision: 5 },
    },
    {
      name: "a target taken back ends the trial",
      input: { head: head("a", canaryOf("b", "hub-2")), target: { digest: "a" }, pods: THREE },
      head: { current: { digest: "a" }, canary: undefined },
      state: { phase: "Done", revision: 3 },
    },
    {
      name: "a silent canary is given its time",
      input: {
        head: head("a", canaryOf("b", "hub-2")),
        target: { digest: "b" },
        pods: THREE,
        now: NOW + SILENCE_MS - 1,
      },
      head: { canary: { pod: "hub-2" } },
      state: { phase: "Canary" },
    },
    {
      name: "then the next pod is asked",
      input: {
        head: head("a", canaryOf("b", "hub-2")),
        target: { digest: "b" },
        pods: THREE,
        now: NOW + SILENCE_MS,
      },
      head: { canary: { revision: 4, pod: "hub-1", since: "2026-11-21T20:00:15.000Z" } },
      state: { phase: "Canary", pod: "hub-1" },
    },
    {
      name: "the last one that was asked in vain is not passed over soon",
      input: {
        head: head("a", canaryOf("b", "hub-0")),
        target: { digest: "b" },
        pods: THREE,
        now: NOW + ROUND_MS - 1,
      },
      head: { canary: { pod: "hub-0" } },
      state: { phase: "Canary" },
    },
    {
      name: "but in the end the round begins again",
      input: {
        head: head("a", canaryOf("b", "hub-0")),
        target: { digest: "b" },
        pods: THREE,
        now: NOW + ROUND_MS,
      },
      head: { canary: { pod: "hub-2" } },
      state: { phase: "Canary", pod: "hub-2" },
    },
    {
      name: "a canary that is gone is passed over at once",
      input: {
        head: head("a", canaryOf("b", "hub-2")),
        target: { digest: "b" },
        pods: [pod(0), pod(1), pod(2, { exists: false, ready: false })],
      },
      head: { canary: { pod: "hub-1" } },
      state: { phase: "Canary", pod: "hub-1" },
    },
    {
      name: "a canary that is not ready any more may have been brought down by it: nobody else takes it at once",
      input: {
        head: head("a", canaryOf("b", "hub-1")),
        target: { digest: "b" },
        pods: [pod(0, { serves: "a" }), pod(1, { serves: "b", ready: false })],
      },
      head: { current: { digest: "a" }, canary: { pod: "hub-1" } },
      state: { phase: "Canary" },
    },
    {
      name: "a trial ends when the transport shrinks to one pod",
      input: {
        head: head("a", canaryOf("b", "hub-1")),
        target: { digest: "b" },
        pods: [pod(0), pod(1, { drain: true })],
      },
      head: { current: { revision: 4, digest: "b" }, canary: undefined },
      state: { phase: "Waiting" },
    },
    {
      name: "a clock that was set back does not hold a trial up",
      input: {
        head: head("a", canaryOf("b", "hub-2")),
        target: { digest: "b" },
        pods: THREE,
        now: NOW - 3_600_000,
      },
      head: { canary: { pod: "hub-1" } },
      state: { phase: "Canary" },
    },
    {
      name: "a single pod that refuses gets back what it serves",
      input: {
        head: head("b", { current: { revision: 4, digest: "b" }, history: [{ revision: 3, digest: "a" }] }),
        target: { digest: "b" },
        pods: [pod(0, { serves: "a", refuses: "b" })],
      },
      head: { current: { revision: 3, digest: "a" }, refused: { revision: 4, digest: "b" }, history: [] },
      state: { phase: "Refused", revision: 3 },
    },
    {
      name: "what a pod serves is gone back to before what is only newer",
      input: {
        head: head("c", {
          history: [
            { revision: 2, digest: "b" },
            { revision: 1, digest: "a" },
          ],
        }),
        target: { digest: "c" },
        pods: [pod(0, { serves: "a", refuses: "c" })],
      },
      head: { current: { revision: 1, digest: "a" }, history: [{ revision: 2, digest: "b" }] },
      state: { phase: "Refused" },
    },
    {
      name: "a pod that starts with a refused head is heard though it is not ready",
      input: {
        head: head("b", { history: [{ revision: 2, digest: "a" }] }),
        target: { digest: "b" },
        pods: [pod(0, { refuses: "b", ready: false })],
      },
      head: { current: { digest: "a" }, refused: { digest: "b", pod: "hub-0" } },
      state: { phase: "Refused" },
    },
    {
      name: "nothing to go back to leaves the head and says so",
      input: { head: head("a"), target: { digest: "a" }, pods: [pod(0, { refuses: "a", ready: false })] },
      head: { current: { revision: 3, digest: "a" }, refused: undefined },
      state: { phase: "Refused", revision: 3, refused: { revision: 3, pod: "hub-0" } },
    },
    {
      name: "one of several that refuses what others serve is reported, not followed",
      input: {
        head: head("b", { history: [{ revision: 2, digest: "a" }] }),
        target: { digest: "b" },
        pods: [pod(0, { serves: "b" }), pod(1, { serves: "a", refuses: "b" })],
      },
      head: { current: { digest: "b" }, refused: undefined },
      state: { phase: "Refused", revision: 3, refused: { pod: "hub-1" } },
    },
    {
      name: "nor is it while the pod that serves it restarts",
      input: {
        head: head("b", { history: [{ revision: 2, digest: "a" }] }),
        target: { digest: "b" },
        pods: [pod(0, { serves: "b", ready: false }), pod(1, { serves: "a", refuses: "b" })],
      },
      head: { current: { digest: "b" }, refused: undefined },
      state: { phase: "Refused", revision: 3, refused: { pod: "hub-1" } },
    },
    {
      name: "rollbackTo is for all pods at once, with today's keys",
      input: {
        head: head("c", {
          ...canaryOf("d", "hub-2"),
          history: [
            { revision: 2, digest: "b" },
            { revision: 1, digest: "a" },
          ],
        }),
        target: { digest: "d", keys: keys("9") },
        pods: THREE,
        rollbackTo: 1,
      },
      head: {
        current: { revision: 1, digest: "a", keys: keys("9") },
        canary: undefined,
        history: [
          { revision: 3, digest: "c" },
          { revision: 2, digest: "b" },
        ],
      },
      state: { phase: "Pinned", revision: 1, wanted: 1 },
    },
    {
      name: "rollbackTo what is not kept any more changes nothing",
      input: { head: head("c"), target: { digest: "d" }, pods: THREE, rollbackTo: 1 },
      head: { current: { digest: "c" }, canary: undefined },
      state: { phase: "Pinned", revision: undefined, wanted: 1 },
    },
    {
      name: "what cannot be compiled leaves the head",
      input: { head: head("a"), pods: THREE },
      head: { current: { digest: "a" } },
      state: { phase: "Done", revision: 3 },
    },
  ])("$name", ({ input, head: wanted, state }) => {
    const decision = decide(input);
    if (wanted === undefined) expect(decision.head).toBeUndefined();
    else expect({ canary: undefined, refused: undefined, ...decision.head }).toMatchObject(wanted);
    expect(decision.state).toMatchObject(state);
    // A second operator, or the same one again, has nothing to add.
    const again = decide({ ...input, head: decision.head });
    if (decision.state.phase !== "NoPods") expect(again.head).toBe(decision.head);
  });

  test("history keeps five, each digest once", () => {
    let at = head("a");
    for (const digest of [..."bcdefgbh"]) at = decide({ head: at, target: { digest } }).head ?? at;
    expect(at.history.map((one) => one.digest)).toEqual(["b", "g", "f", "e", "d"]);
    expect(at.current).toEqual({ revision: 11, digest: "h" });
  });

  test("a silent canary is looked at again when its time is over", () => {
    const silent = {
      head: head("a", canaryOf("b", "hub-2")),
      target: { digest: "b" },
      pods: THREE,
      now: NOW + 4000,
    };
    expect(decide(silent).againAfterMs).toBe(SILENCE_MS - 4000);
  });
});

/** A pod as transport/ has it: takes what the head gives it, unless the content is bad. */
interface Actor {
  serves: Target | undefined;
  refuses: Target | undefined;
  revision: number;
}

const isBad = ({ digest }: Target) => digest.startsWith("bad");

function answer(actor: Actor, name: string, at: TransportSnapshotSpec): void {
  const offered = at.canary?.pod === name ? at.canary : at.current;
  if (sameRevision(offered, actor.serves) || sameRevision(offered, actor.refuses)) return;
  actor.revision = offered.revision;
  if (isBad(offered)) actor.refuses = offered;
  else Object.assign(actor, { serves: offered, refuses: undefined });
}

function factsOf(actors: readonly Actor[]): PodFacts[] {
  return actors.map(({ serves, refuses, revision }, ordinal) => ({
    name: `hub-${ordinal}`,
    ready: serves !== undefined,
    exists: true,
    drain: false,
    status: {
      ...(serves && { snapshot: { ...serves, revision } }),
      ...(refuses && { refused: { ...refuses, revision, message: "bad", objects: [] } }),
      draining: false,
      drained: false,
    },
  }));
}

type Step = { readonly target: Target } | { readonly answers: number } | { readonly passes: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.constantFrom("a", "b", "c", "d", "bad1", "bad2").map((digest) => ({ target: { digest } })),
  },
  { weight: 3, arbitrary: fc.nat(2).map((ordinal) => ({ answers: ordinal })) },
  { weight: 2, arbitrary: fc.nat(20_000).map((ms) => ({ passes: ms })) },
);

/** One transport: what passes between operator and pods, one step at a time. */
class Cluster {
  readonly #actors: Actor[];
  #head: TransportSnapshotSpec | undefined;
  #now = NOW;
  target: Target = { digest: "a" };

  constructor(pods: number) {
    this.#actors = Array.from({ length: pods }, () => ({
      serves: undefined,
      refuses: undefined,
      revision: 0,
    }));
  }

  run(one: Step): void {
    if ("target" in one) this.target = one.target;
    if ("passes" in one) this.#now += one.passes;
    if ("answers" in one) this.answer(one.answers);
    this.decide();
  }

  answer(ordinal: number): void {
    const actor = this.#actors[ordinal];
    if (actor !== undefined && this.#head !== undefined) answer(actor, `hub-${ordinal}`, this.#head);
  }

  decide() {
    const before = this.#head;
    const pods = factsOf(this.#actors);
    const decision = decideRollout({
      head: before,
      target: this.target,
      pods,
      rollbackTo: undefined,
      now: this.#now,
    });
    this.#head = decision.head;
    if (before !== undefined && decision.head !== undefined) this.#check(before, decision.head);
    return decision;
  }

  #check(before: TransportSnapshotSpec, after: TransportSnapshotSpec): void {
    const earlier = digestsOf(before);
    const known = digestsOf(after);
    const served = this.#actors.flatMap(({ serves }) => serves?.digest ?? []);
    expect(served.filter((digest) => earlier.has(digest) && !known.has(digest))).toEqual([]);
    expect(after.history.length).toBeLessThanOrEqual(5);
    if (before === after || after.canary === undefined) return;
    if (!sameRevision(after.canary, before.canary))
      expect(after.canary.revision).toBeGreaterThan(before.current.revision);
  }
}

function digestsOf({ current, canary, history }: TransportSnapshotSpec): ReadonlySet<string | undefined> {
  return new Set([current.digest, canary?.digest, ...history.map(({ digest }) => digest)]);
}

describe("decideRollout(), at random", () => {
  test("what pods serve is not forgotten, and a good target arrives in all of them", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 60 }), (pods, steps) => {
        const cluster = new Cluster(pods);
        for (const one of steps) cluster.run(one);
        cluster.target = { digest: "good" };
        cluster.decide();
        for (let turn = 0; turn < 5 * pods; turn += 1) cluster.run({ answers: turn % pods });
        const last = cluster.decide();
        expect(last.state.phase).toBe("Done");
        expect(last.head?.current.digest).toBe("good");
        expect(cluster.decide().head).toBe(last.head);
      }),
      { numRuns: 2000 },
    );
  });
});
