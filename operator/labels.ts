/** Names and labels of what a MailTransport owns. Pure. */
import { API_VERSION } from "../crds/mod.ts";
import type { ObjectMeta, OwnerReference } from "../lib/kube/types.ts";

export type Labels = Readonly<Record<string, string>>;

/** Selects the pods of one transport; never changes, a StatefulSet cannot change its selector. */
export function selectorLabels(transport: string): Labels {
  return {
    "app.kubernetes.io/name": "postroom",
    "app.kubernetes.io/instance": transport,
    "app.kubernetes.io/component": "transport",
  };
}

/** Labels of every owned object. */
export function labelsOf(transport: string): Labels {
  return { ...selectorLabels(transport), "app.kubernetes.io/managed-by": "postroom-operator" };
}

/** status.selector of the scale subresource: what an autoscaler asks the pods by. */
export function selectorText(transport: string): string {
  return Object.entries(selectorLabels(transport))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** The reference by which an owned object goes when its MailTransport goes. */
export function ownerReference({ name, uid }: Pick<ObjectMeta, "name" | "uid">): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "MailTransport",
    name,
    uid: uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isOwnedBy({ ownerReferences }: ObjectMeta, { uid }: OwnerReference): boolean {
  return ownerReferences?.some((owner) => owner.uid === uid) === true;
}

/** Name of the headless Service, which gives the pods their DNS names. */
export function headlessName(transport: string): string {
  return `${transport}-pods`;
}

export function podName(transport: string, ordinal: number): string {
  return `${transport}-${ordinal}`;
}

/** Ordinal in a pod's name; undefined: no pod of this transport. */
export function ordinalOf(transport: string, pod: string): number | undefined {
  const digits = pod.startsWith(`${transport}-`) ? pod.slice(transport.length + 1) : "";
  return /^(0|[1-9][0-9]{0,5})$/.test(digits) ? Number(digits) : undefined;
}
