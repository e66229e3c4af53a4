/** Attempts: a write that fails stops its own object only. What comes of them in one round is gathered here. */
import { ForeignObjectError } from "../lib/kube/apply.ts";
import { isConflict, isNamespaceTerminating, isRetriable, KubeError } from "../lib/kube/errors.ts";

export interface Attempts {
  /** What the work resolves to; undefined: it failed, and that is noted. Rejects when the API server cannot be asked at all. */
  of<Value>(work: Promise<Value>): Promise<Value | undefined>;
  /** Refused: a sentence each. */
  readonly faults: readonly string[];
  /** The API server failed on just this, maybe by an admission webhook: to be tried again soon. */
  readonly failures: readonly KubeError[];
}

export function openAttempts(): Attempts {
  const faults: string[] = [];
  const failures: KubeError[] = [];
  return {
    faults,
    failures,
    async of(work) {
      try {
        return await work;
      } catch (error) {
        if (error instanceof ForeignObjectError) faults.push(error.message);
        else if (error instanceof KubeError && error.status === 500) failures.push(error);
        else if (isRefusal(error)) faults.push(...sentences(error));
        else throw error;
        return undefined;
      }
    },
  };
}

/** After a conflict all is looked at anew. */
function isRefusal(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === undefined && !isRetriable(error) && !isConflict(error);
}

/** What goes with its namespace is nothing that anybody should mend. */
function sentences(error: KubeError): string[] {
  return isNamespaceTerminating(error) ? [] : [error.message];
}
