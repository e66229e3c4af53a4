/** Attachment: which objects belong to a transport, by transportRefs or by namespace. Pure. */
import { type AnyResource, type MailTransport, objectName, qualifiedName } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";
import { type NamespaceVerdict, namespaceOf } from "./namespaces.ts";

export type AttachedResource = Exclude<AnyResource, MailTransport>;

export interface Attachment {
  readonly attached: readonly AttachedResource[];
  readonly diagnostics: readonly Diagnostic[];
}

export interface AttachInput {
  /** namespace/name. */
  readonly transport: string;
  /** Whether objects of a namespace may attach to it. */
  judge(namespace: string): NamespaceVerdict;
  /** kind/namespace/name of an object that what is unknown must not put out of force. */
  stays(object: string): boolean;
}

/** Enabled objects that attach to the transport: without transportRefs those of its namespace, else those that name it. */
export function attachResources(resources: readonly AnyResource[], input: AttachInput): Attachment {
  const known = new Set([input.transport]);
  for (const resource of resources) if (resource.kind === "MailTransport") known.add(qualifiedName(resource));
  const homes = new Set([...known].map(namespaceOf));
  const attached: AttachedResource[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const resource of resources) {
    if (!isAttachable(resource)) continue;
    if (isAttached(resource, input)) attached.push(resource);
    if (resource.spec.transportRefs !== undefined) diagnostics.push(...checkRefs(resource, input, known));
    else if (!homes.has(resource.metadata.namespace)) diagnostics.push(orphan(resource));
  }
  return { attached, diagnostics };
}

function isAttachable(resource: AnyResource): resource is AttachedResource {
  return resource.kind !== "MailTransport" && resource.spec.enabled;
}

function isAttached(resource: AttachedResource, { transport, judge, stays }: AttachInput): boolean {
  const refs = resource.spec.transportRefs;
  if (refs === undefined) return resource.metadata.namespace === namespaceOf(transport);
  if (!refs.some((ref) => targetOf(resource, ref) === transport)) return false;
  const verdict = judge(resource.metadata.namespace);
  return verdict.allowed || (verdict.unknown && stays(objectName(resource)));
}

function checkRefs(
  resource: AttachedResource,
  { transport, judge }: AttachInput,
  known: ReadonlySet<string>,
): Diagnostic[] {
  const object = objectName(resource);
  return (resource.spec.transportRefs ?? []).flatMap((ref, index): Diagnostic[] => {
    const target = targetOf(resource, ref);
    const path = `spec.transportRefs[${index}]`;
    if (!known.has(target)) {
      const message = `there is no MailTransport ${target}`;
      return [{ object, path, reason: "TransportNotFound", message, severity: "warning" }];
    }
    const verdict = target === transport ? judge(resource.metadata.namespace) : undefined;
    if (verdict === undefined || verdict.allowed) return [];
    const { message } = verdict;
    return [{ object, path, reason: "NotAllowedByTransport", message, severity: "error" }];
  });
}

function orphan(resource: AttachedResource): Diagnostic {
  const { namespace } = resource.metadata;
  return {
    object: objectName(resource),
    path: "metadata.namespace",
    reason: "TransportNotFound",
    message: `attaches to nothing: there is no MailTransport in namespace ${namespace}`,
    severity: "warning",
  };
}

function targetOf(
  { metadata }: AttachedResource,
  ref: { name: string; namespace?: string | undefined },
): string {
  return `${ref.namespace ?? metadata.namespace}/${ref.name}`;
}
