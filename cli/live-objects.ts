/**
 * Live objects: what a cluster's objects say now of one MailTransport, and what its pods are told to serve.
 *
 * Reads only, no Secrets, and no more than the transport's allowedNamespaces reaches: rights in its namespace are enough
 * when it takes objects of no other. Rejects with one sentence.
 *
 * @module
 */
import {
  type AnyResource,
  API_VERSION,
  formatPath,
  type Kind,
  type MailTransport,
  qualifiedName,
  readLiveObject,
  TransportSnapshotSpec,
} from "../crds/mod.ts";
import { isNotFound } from "../lib/kube/errors.ts";
import { objectKey, RESOURCES, type ResourceName, resourcePath } from "../lib/kube/paths.ts";
import type { KubeHttp, KubeObject, ListOf } from "../lib/kube/types.ts";

export interface LiveObjects {
  readonly transport: MailTransport;
  /** It, and every object that is right and may attach to it. */
  readonly resources: readonly AnyResource[];
  /** `kind/namespace/name field: reason`. */
  readonly faults: readonly string[];
  /** Name -> labels; undefined: it does not choose by labels. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined;
  /** undefined: the operator has written none. */
  readonly head: TransportSnapshotSpec | undefined;
}

export interface WantedObjects {
  readonly namespace: string;
  /** Name of the MailTransport, or namespace/name; undefined: the only one of the namespace. */
  readonly transport: string | undefined;
}

const CHILDREN = ["ReceiveConnector", "SendConnector", "AcceptedDomain", "TransportRule"] as const;
const PAGE_SIZE = 500;

export async function readLiveObjects(http: KubeHttp, wanted: WantedObjects): Promise<LiveObjects> {
  const transport = await findTransport(http, wanted);
  const { namespace } = transport.metadata;
  const { from } = transport.spec.allowedNamespaces;
  const scope = from === "Same" ? namespace : undefined;
  const read = await Promise.all(CHILDREN.map((kind) => readKind(http, kind, scope)));
  return {
    transport,
    resources: [transport, ...read.flatMap(({ resources }) => resources)],
    faults: read.flatMap(({ faults }) => faults),
    namespaces: from === "Selector" ? await readNamespaces(http) : undefined,
    head: await readHead(http, transport),
  };
}

/** Why what was explained is not what the pods serve, in one line; undefined: it is. */
export function describeHead(live: LiveObjects, digest: string): string | undefined {
  const { transport, head } = live;
  const name = `MailTransport ${qualifiedName(transport)}`;
  if (head === undefined) return `${name} serves nothing yet: the operator has published nothing`;
  const { current } = head;
  if (current.digest === digest) return undefined;
  return `${name} serves revision ${current.revision}, which differs: ${differenceOf(live, head, digest)}`;
}

function differenceOf(
  { transport, faults }: LiveObjects,
  { canary, refused }: TransportSnapshotSpec,
  digest: string,
): string {
  const { rollbackTo } = transport.spec;
  if (canary?.digest === digest)
    return `revision ${canary.revision} says this and is on trial in ${canary.pod}`;
  if (refused?.digest === digest)
    return `revision ${refused.revision} said this and was refused by ${refused.pod}: ${refused.message}`;
  if (rollbackTo !== undefined) return `spec.rollbackTo holds revision ${rollbackTo}`;
  if (faults.length > 0)
    return "objects with faults are left out here, and serve there in their last good form";
  return "the operator has not published what the objects say now";
}

async function findTransport(http: KubeHttp, wanted: WantedObjects): Promise<MailTransport> {
  const [namespace, name] = placeOf(wanted);
  const { resources, faults, names } = await readKind(http, "MailTransport", namespace);
  const list = names.join(", ");
  if (names.length === 0)
    throw new Error(`There is no MailTransport in namespace ${namespace}: name another with --namespace`);
  if (name === undefined && names.length > 1)
    throw new Error(`There are several MailTransports, name one with --transport: ${list}`);
  const key = `${namespace}/${name ?? names[0]?.split("/")[1]}`;
  if (!names.includes(key)) throw new Error(`There is no MailTransport ${key}; there is ${list}`);
  const found = resources.find((one) => qualifiedName(one) === key);
  if (found?.kind === "MailTransport") return found;
  throw new Error(
    `MailTransport ${key} has faults: ${faults.filter((one) => one.startsWith(`MailTransport/${key} `)).join("; ")}`,
  );
}

function placeOf({ namespace, transport }: WantedObjects): readonly [string, string | undefined] {
  const [first, second] = transport?.split("/") ?? [];
  return first !== undefined && second !== undefined ? [first, second] : [namespace, first];
}

async function readKind(http: KubeHttp, kind: Kind, namespace: string | undefined) {
  const objects = await listAll(http, kind, namespace);
  const resources: AnyResource[] = [];
  const faults: string[] = [];
  for (const object of objects) {
    const read = readLiveObject(kind, object);
    if (read.resource !== undefined) resources.push(read.resource);
    for (const { path, reason } of read.faults)
      faults.push(`${kind}/${objectKey(object.metadata)} ${formatPath(path)}: ${reason}`);
  }
  return { resources, faults, names: objects.map(({ metadata }) => objectKey(metadata)).sort() };
}

async function readNamespaces(http: KubeHttp): Promise<LiveObjects["namespaces"]> {
  const objects = await listAll(http, "Namespace", undefined);
  return new Map(objects.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
}

async function listAll(
  http: KubeHttp,
  kind: ResourceName,
  namespace: string | undefined,
): Promise<KubeObject[]> {
  const path = resourcePath(RESOURCES[kind], { namespace });
  const objects: KubeObject[] = [];
  let next: string | undefined;
  do {
    const query = { limit: PAGE_SIZE, continue: next };
    const page: ListOf = await http
      .request<ListOf>({ method: "GET", path, query })
      .catch((cause: unknown) => {
        if (!isNotFound(cause)) throw cause;
        const message = `This cluster does not have the kinds of ${API_VERSION}: apply charts/postroom/files/crds`;
        throw new Error(message, { cause });
      });
    objects.push(...page.items);
    next = page.metadata.continue || undefined;
  } while (next !== undefined);
  return objects;
}

async function readHead(http: KubeHttp, { metadata }: MailTransport): Promise<LiveObjects["head"]> {
  const { name, namespace } = metadata;
  const path = resourcePath(RESOURCES.TransportSnapshot, { namespace, name });
  const object = await http.request({ method: "GET", path }).catch((cause: unknown) => {
    if (isNotFound(cause)) return undefined;
    throw cause;
  });
  return TransportSnapshotSpec.safeParse(object?.spec).data;
}
