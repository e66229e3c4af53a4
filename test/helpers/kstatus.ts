/**
 * What kubectl, Helm, Flux and kustomize make of a status: the rules of kstatus for custom resources
 * (sigs.k8s.io/cli-utils, pkg/kstatus/status: generic.go, core.go).
 */
import type { Condition } from "../../crds/conditions.ts";

export type Kstatus = "Current" | "InProgress" | "Failed" | "Terminating";

interface Judged {
  readonly metadata: { readonly generation?: number; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly Pick<Condition, "type" | "status">[];
  };
}

export function kstatus({ metadata, status = {} }: Judged): Kstatus {
  const { observedGeneration, conditions = [] } = status;
  const is = (type: string) => conditions.find((one) => one.type === type)?.status;
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  if (observedGeneration !== undefined && observedGeneration !== metadata.generation) return "InProgress";
  if (is("Reconciling") === "True") return "InProgress";
  if (is("Stalled") === "True") return "Failed";
  const ready = is("Ready");
  return ready === undefined || ready === "True" ? "Current" : "InProgress";
}
