/** What the StatefulSet controller of Kubernetes does next, as a pure decision: which pods it makes and deletes. */

export interface SetFacts {
  readonly replicas: number;
  readonly podManagementPolicy: "OrderedReady" | "Parallel";
  readonly updateStrategy: "RollingUpdate" | "OnDelete";
  /** Of the template as it stands. */
  readonly revision: string;
  readonly pods: readonly SetPod[];
}

export interface SetPod {
  readonly ordinal: number;
  readonly revision: string;
  readonly isReady: boolean;
  /** It has a deletionTimestamp. */
  readonly isLeaving: boolean;
}

export interface SetStep {
  readonly act: "create" | "delete" | "roll";
  readonly ordinal: number;
}

export function nextSteps(facts: SetFacts): SetStep[] {
  const { replicas, pods } = facts;
  const present = new Set(pods.map(({ ordinal }) => ordinal));
  const missing = Array.from({ length: replicas }, (_, ordinal) => ordinal).filter((n) => !present.has(n));
  const excess = highestFirst(pods).filter(({ ordinal, isLeaving }) => ordinal >= replicas && !isLeaving);
  const steps: SetStep[] = [
    ...missing.map((ordinal) => ({ act: "create" as const, ordinal })),
    ...excess.map(({ ordinal }) => ({ act: "delete" as const, ordinal })),
  ];
  if (facts.podManagementPolicy === "Parallel") return steps.length > 0 ? steps : roll(facts);
  return oneStep(facts, steps);
}

/** OrderedReady: one pod at a time, the lower ones ready before the next begins, and nothing while one leaves. */
function oneStep(facts: SetFacts, steps: readonly SetStep[]): SetStep[] {
  const { pods } = facts;
  if (pods.some(({ isLeaving }) => isLeaving)) return [];
  const [first] = steps;
  if (first === undefined) return roll(facts);
  const mustBeReady = pods.filter(({ ordinal }) => ordinal < first.ordinal);
  return mustBeReady.every(({ isReady }) => isReady) ? [first] : [];
}

/** Under either policy one pod at a time, from the highest, each ready with the new template before the next. */
function roll({ updateStrategy, revision, pods }: SetFacts): SetStep[] {
  if (updateStrategy === "OnDelete") return [];
  for (const pod of highestFirst(pods)) {
    if (pod.isLeaving) return [];
    if (pod.revision !== revision) return [{ act: "roll", ordinal: pod.ordinal }];
    if (!pod.isReady) return [];
  }
  return [];
}

function highestFirst(pods: readonly SetPod[]): SetPod[] {
  return pods.toSorted((a, b) => b.ordinal - a.ordinal);
}
