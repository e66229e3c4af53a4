/** Which namespaces' objects may attach to a transport, by MailTransport.spec.allowedNamespaces. Pure. */
import type { AllowedNamespaces } from "../crds/allowed-namespaces.ts";
import type { TransportEntry } from "./schema.ts";

export type NamespaceLabels = ReadonlyMap<string, Readonly<Record<string, string>>>;

export type NamespaceVerdict =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      /** The labels of the namespace would say, and they are not known. */
      readonly unknown: boolean;
      /** One sentence with the mend, as a Diagnostic has it. */
      readonly message: string;
    };

type Selector = NonNullable<AllowedNamespaces["selector"]>;

export function judgeNamespace(
  namespace: string,
  { name, allowedNamespaces }: TransportEntry,
  namespaces: NamespaceLabels = new Map(),
): NamespaceVerdict {
  const home = namespaceOf(name);
  const { from, selector } = allowedNamespaces;
  if (namespace === home || from === "All") return { allowed: true };
  const refuse = (message: string, unknown = false) => ({ allowed: false, unknown, message }) as const;
  if (from === "Same" || selector === undefined) {
    return refuse(
      `MailTransport ${name} takes objects of its own namespace only: move this one to ${home}, or allow namespace ${namespace} in the transport's spec.allowedNamespaces`,
    );
  }
  const labels = namespaces.get(namespace);
  if (labels === undefined) {
    return refuse(
      `MailTransport ${name} takes namespaces by their labels, and those of ${namespace} are not known: add its Namespace to the manifests`,
      true,
    );
  }
  if (matches(selector, labels)) return { allowed: true };
  return refuse(
    `MailTransport ${name} does not take objects of namespace ${namespace}: give it labels that match the transport's spec.allowedNamespaces.selector`,
  );
}

/** As Kubernetes reads a label selector; an empty one matches everything. */
function matches(
  { matchLabels, matchExpressions }: Selector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labelOf(labels, key) === value) &&
    matchExpressions.every((expression) => holds(expression, labels))
  );
}

function holds(
  { key, operator, values }: Selector["matchExpressions"][number],
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labelOf(labels, key);
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  const listed = value !== undefined && values.includes(value);
  return operator === "In" ? listed : !listed;
}

function labelOf(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** Of namespace/name. */
export function namespaceOf(name: string): string {
  return name.slice(0, name.indexOf("/"));
}
