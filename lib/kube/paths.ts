/** Where resources stand in the Kubernetes API: the types this house uses, and the path of a call. */
import type { ObjectMeta, ResourceType } from "./types.ts";

export interface ResourcePlace {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  /** status, scale, token ...; needs a name. */
  readonly subresource?: string | undefined;
}

export type ResourceName = keyof typeof RESOURCES;

/** By kind. */
export const RESOURCES = {
  MailTransport: ours("MailTransport"),
  ReceiveConnector: ours("ReceiveConnector"),
  SendConnector: ours("SendConnector"),
  AcceptedDomain: ours("AcceptedDomain"),
  TransportRule: ours("TransportRule"),
  TransportSnapshot: ours("TransportSnapshot"),
  SnapshotChunk: ours("SnapshotChunk"),
  TransportPod: ours("TransportPod"),
  Secret: namespaced("", "v1", "Secret"),
  Service: namespaced("", "v1", "Service"),
  ServiceAccount: namespaced("", "v1", "ServiceAccount"),
  Pod: namespaced("", "v1", "Pod"),
  PersistentVolumeClaim: namespaced("", "v1", "PersistentVolumeClaim"),
  Namespace: clusterScoped("", "v1", "Namespace"),
  StatefulSet: namespaced("apps", "v1", "StatefulSet"),
  PodDisruptionBudget: namespaced("policy", "v1", "PodDisruptionBudget"),
  Role: namespaced("rbac.authorization.k8s.io", "v1", "Role"),
  RoleBinding: namespaced("rbac.authorization.k8s.io", "v1", "RoleBinding"),
  NetworkPolicy: {
    ...namespaced("networking.k8s.io", "v1", "NetworkPolicy"),
    plural: "networkpolicies",
  },
  ValidatingAdmissionPolicy: {
    ...clusterScoped("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    plural: "validatingadmissionpolicies",
  },
  ValidatingAdmissionPolicyBinding: clusterScoped(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicyBinding",
  ),
  Lease: namespaced("coordination.k8s.io", "v1", "Lease"),
  Event: namespaced("events.k8s.io", "v1", "Event"),
} as const satisfies Readonly<Record<string, ResourceType>>;

/** Path of an object, or of a collection when there is no name; no namespace: the collection of all namespaces. Throws for a place that cannot be. */
export function resourcePath(type: ResourceType, place: ResourcePlace = {}): string {
  const { namespace, name, subresource } = place;
  const fault = placeFault(type, place);
  if (fault !== undefined) throw new TypeError(`Cannot name a path of ${type.plural}: ${fault}`);
  const parts = type.group === "" ? ["api", type.version] : ["apis", type.group, type.version];
  if (namespace !== undefined) parts.push("namespaces", namespace);
  parts.push(type.plural);
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  return `/${parts.map(encodeURIComponent).join("/")}`;
}

/** "group/version" of objects of this type. */
export function apiVersion({ group, version }: Pick<ResourceType, "group" | "version">): string {
  return group === "" ? version : `${group}/${version}`;
}

/** namespace/name, or name for what is cluster-scoped. */
export function objectKey({ namespace, name }: Pick<ObjectMeta, "namespace" | "name">): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

/** "transportrules" or "transportrules/status" of a path of resourcePath(): what a metric may be labelled with. */
export function resourceOfPath(path: string): string {
  const [root, ...rest] = path.split("/").slice(1);
  if (root !== "api" && root !== "apis") return "none";
  const inside = rest.slice(root === "api" ? 1 : 2);
  const place = inside[0] === "namespaces" && inside.length > 2 ? inside.slice(2) : inside;
  const [plural, , subresource] = place;
  return subresource === undefined ? (plural ?? "none") : `${plural}/${subresource}`;
}

/** An empty name would turn the deletion of one object into that of all. */
function placeFault({ namespaced }: ResourceType, place: ResourcePlace): string | undefined {
  for (const [field, value] of Object.entries(place)) {
    if (value === "" || value === "." || value === "..") return `its ${field} is "${value}"`;
  }
  if (!namespaced && place.namespace !== undefined) return "they have no namespace";
  if (namespaced && place.name !== undefined && place.namespace === undefined)
    return "the namespace is missing";
  if (place.subresource !== undefined && place.name === undefined) return "a subresource needs a name";
  return undefined;
}

function ours(kind: string): ResourceType {
  return namespaced("postroom.dev", "v1alpha1", kind);
}

function namespaced(group: string, version: string, kind: string): ResourceType {
  return { group, version, plural: `${kind.toLowerCase()}s`, kind, namespaced: true };
}

function clusterScoped(group: string, version: string, kind: string): ResourceType {
  return { ...namespaced(group, version, kind), namespaced: false };
}
