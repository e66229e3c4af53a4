/** Attachment: which objects belong to a transport, by transportRefs or by namespace. Pure. */
import { type AnyResource, type MailTransport, objectName, qualifiedName } from "../crds/mod.ts";
import type { Diagnostic } from "../lib/diagnostics.ts";

export type AttachedResource = Exclude<AnyResource, MailTransport>;

export interface Attachment {
  readonly attached: readonly AttachedResource[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Enabled objects that attach to `transport` (namespace/name). */
export function attachResources(resources: readonly AnyResource[], transport: string): Attachment {
  const known = new Set([transport]);
  for (const resource of resources) if (resource.kind === "MailTransport") known.add(qualifiedName(resource));
  const namespaces = new Set([...known].map(namespaceOf));
  const candidates = resources.filter(isAttachable);
  return {
    attached: candidates.filter((resource) => isAttached(resource, transport)),
    diagnostics: candidates.flatMap((resource) => {
      if (resource.spec.transportRefs !== undefined) return checkRefs(resource, transport, known);
      return namespaces.has(resource.metadata.namespace) ? [] : [orphan(resource)];
    }),
  };
}

function isAttachable(resource: AnyResource): resource is AttachedResource {
  return resource.kind !== "MailTransport" && resource.spec.enabled;
}

function isAttached(resource: AttachedResource, transport: string): boolean {
  if (resource.metadata.namespace !== namespaceOf(transport)) return false;
  const refs = resource.spec.transportRefs;
  return refs === undefined || refs.some((ref) => targetOf(resource, ref) === transport);
}

function checkRefs(resource: AttachedResource, transport: string, known: ReadonlySet<string>): Diagnostic[] {
  const object = objectName(resource);
  return (resource.spec.transportRefs ?? []).flatMap((ref, index): Diagnostic[] => {
    const target = targetOf(resource, ref);
    const path = `spec.transportRefs[${index}]`;
    if (!known.has(target)) {
      const message = `there is no MailTransport ${target}`;
      return [{ object, path, reason: "TransportNotFound", message, severity: "warning" }];
    }
    const home = namespaceOf(target);
    if (target !== transport || home === resource.metadata.namespace) return [];
    const message = `MailTransport ${target} takes objects of its own namespace only: move this one to ${home}`;
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

export function namespaceOf(name: string): string {
  return name.slice(0, name.indexOf("/"));
}
