import { describe, expect, test } from "vitest";
import { decideDrain } from "./drain.ts";
import type { DrainInput, PodFacts } from "./types.ts";

interface Says {
  readonly messages?: number;
  readonly setAside?: number;
  readonly drained?: boolean;
  readonly drain?: boolean;
  readonly exists?: boolean;
  readonly ready?: boolean;
  readonly silent?: boolean;
}

function pod(ordinal: number, says: Says = {}): PodFacts {
  const {
    messages,
    setAside = 0,
    drained = false,
    drain = false,
    exists = true,
    ready = exists,
    silent = false,
  } = says;
  const queue = messages === undefined ? {} : { queue: { messages, setAside } };
  const status = silent ? undefined : { draining: drain, drained, ...queue };
  return { name: `hub-${ordinal}`, ready, exists, drain, status };
}

function decide(input: Partial<DrainInput>) {
  const decision = decideDrain({
    deleting: false,
    wanted: 3,
    present: 3,
    pods: [pod(0), pod(1), pod(2)],
    transport: "hub",
    ...input,
  });
  const { state } = decision;
  return {
    replicas: decision.replicas,
    pods: Object.fromEntries(decision.pods),
    finished: decision.finished,
    waitsFor: state.phase === "Draining" ? state.pods.map(({ name }) => name) : [],
  };
}

describe("decideDrain()", () => {
  test.each([
    {
      name: "a new transport starts all pods",
      input: { present: undefined, pods: [] },
      replicas: 3,
      waitsFor: [],
    },
    { name: "scale-up is at once", input: { wanted: 5 }, replicas: 5, waitsFor: [] },
    {
      name: "scale-down tells the highest to drain and waits",
      input: { wanted: 2 },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a drained pod goes",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, drained: true })] },
      replicas: 2,
      waitsFor: [],
    },
    {
      name: "a pod below one that is not drained stays, because ordinals go from the top",
      input: {
        wanted: 1,
        pods: [pod(0), pod(1, { drain: true, drained: true }), pod(2, { drain: true, messages: 3 })],
      },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "several drained pods go together",
      input: {
        wanted: 1,
        pods: [pod(0), pod(1, { drain: true, drained: true }), pod(2, { drain: true, drained: true })],
      },
      replicas: 1,
      waitsFor: [],
    },
    {
      name: "drained from an earlier time counts only once the pod was told again",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: false, drained: true })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a pod that is away with mail is waited for",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, exists: false, messages: 1 })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a pod that is away with mail set aside is waited for",
      input: {
        wanted: 2,
        pods: [pod(0), pod(1), pod(2, { drain: true, exists: false, messages: 0, setAside: 1 })],
      },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a replica that is away is waited for though its queue was empty: it may have taken mail since it said so",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, exists: false, messages: 0 })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a pod that never said what its queue holds is waited for when it is away",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, exists: false })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a pod that never was goes",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, exists: false, silent: true })] },
      replicas: 2,
      waitsFor: [],
    },
    {
      name: "a ready pod that says nothing is waited for",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, silent: true })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "a pod that never got ready nor said a word goes: an image that cannot be pulled holds up nobody",
      input: { wanted: 2, pods: [pod(0), pod(1), pod(2, { drain: true, silent: true, ready: false })] },
      replicas: 2,
      waitsFor: [],
    },
    {
      name: "a replica without a TransportPod gets one first",
      input: { wanted: 2, pods: [pod(0), pod(1)] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "mail on a pod beyond the replicas brings the pod back",
      input: { wanted: 2, present: 2, pods: [pod(0), pod(1), pod(2, { exists: false, messages: 7 })] },
      replicas: 3,
      waitsFor: ["hub-2"],
    },
    {
      name: "what is left of an empty pod beyond the replicas does not",
      input: { wanted: 2, present: 2, pods: [pod(0), pod(1), pod(2, { exists: false, messages: 0 })] },
      replicas: 2,
      waitsFor: [],
    },
    {
      name: "a StatefulSet that was deleted comes back as large as its mail asks for",
      input: { wanted: 1, present: undefined, pods: [pod(0), pod(1, { messages: 4, exists: false })] },
      replicas: 2,
      waitsFor: ["hub-1"],
    },
    {
      name: "no replicas wanted is drained in the same way",
      input: { wanted: 0, present: 1, pods: [pod(0, { messages: 2 })] },
      replicas: 1,
      waitsFor: ["hub-0"],
    },
    {
      name: "another transport's pods do not count",
      input: { pods: [pod(0), pod(1), pod(2), { ...pod(7, { messages: 1 }), name: "hub-x-7" }] },
      replicas: 3,
      waitsFor: [],
    },
  ])("$name", ({ input, replicas, waitsFor }) => {
    expect(decide(input)).toMatchObject({ replicas, waitsFor, finished: false });
  });

  test("who goes is told, who stays is not, and a scale-up takes it back", () => {
    expect(decide({ wanted: 1 }).pods).toEqual({ "hub-0": false, "hub-1": true, "hub-2": true });
    const draining = [pod(0), pod(1, { drain: true }), pod(2, { drain: true })];
    expect(decide({ wanted: 3, pods: draining }).pods).toEqual({
      "hub-0": false,
      "hub-1": false,
      "hub-2": false,
    });
  });

  test.each([
    { name: "all pods drain first", pods: [pod(0), pod(1), pod(2)], finished: false },
    {
      name: "one that holds mail holds it up",
      pods: [
        pod(0, { drain: true, messages: 1 }),
        pod(1, { drain: true, drained: true }),
        pod(2, { drain: true, drained: true }),
      ],
      finished: false,
    },
    {
      name: "then it ends",
      pods: [0, 1, 2].map((ordinal) => pod(ordinal, { drain: true, drained: true })),
      finished: true,
    },
    {
      name: "pods that never came up hold nothing up",
      pods: [0, 1, 2].map((ordinal) => pod(ordinal, { drain: true, silent: true, ready: false })),
      finished: true,
    },
  ])("deleting: $name", ({ pods, finished }) => {
    expect(decide({ deleting: true, pods }).finished).toBe(finished);
  });

  test("deleting a transport that never had a workload is done at once", () => {
    expect(decide({ deleting: true, present: undefined, pods: [] })).toMatchObject({
      replicas: 0,
      finished: true,
    });
  });

  test("the state names who is waited for, with what they hold", () => {
    const { state } = decideDrain({
      deleting: true,
      wanted: 2,
      present: 2,
      pods: [pod(0, { messages: 4 }), pod(1, { silent: true })],
      transport: "hub",
    });
    expect(state).toEqual({
      phase: "Draining",
      cause: "Deleting",
      pods: [
        { name: "hub-0", messages: 4 },
        { name: "hub-1", messages: undefined },
      ],
    });
  });
});
