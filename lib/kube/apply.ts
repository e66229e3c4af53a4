/**
 * Server-side apply of what differs, and of nothing else.
 *
 * What is desired goes with its hash in an annotation, so that a field we no longer say is seen to be gone. A live object that
 * has the hash and every desired value is left alone. Where the server writes a value in a way that we don't know, the
 * first apply learns it from the answer: twice never writes twice. While a watch still shows what was before our last write,
 * that write is what counts: otherwise a change there and back would be lost.
 */
import { createHash } from "node:crypto";
import { covers, project, sortedJson } from "./covers.ts";
import { isConflict, isNotFound, KubeError } from "./errors.ts";
import { apiVersion, objectKey, resourcePath } from "./paths.ts";
import type { KubeHttp, KubeObject, ObjectMeta, OwnerReference, ResourceType } from "./types.ts";
import { compareVersions } from "./versions.ts";

export interface Desired extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ApplyOptions {
  readonly type: ResourceType;
  /** As a watch knows it; undefined: it is read first. */
  readonly live?: KubeObject | undefined;
  /** Controller of the object, written into it unless it names one; an object that exists without it is refused. */
  readonly owner?: OwnerReference | undefined;
}

export type Applied = "unchanged" | "created" | "updated";

export interface StatusApply {
  readonly type: ResourceType;
  /** With a uid: an object that was deleted and made anew is a conflict. With the resourceVersion that `live` is of. */
  readonly object: Pick<ObjectMeta, "name" | "namespace" | "uid" | "resourceVersion">;
  /** All of it: a field that is left out goes. */
  readonly status: unknown;
  /** As it stands, or stood a moment ago. */
  readonly live: unknown;
}

export interface Applier {
  /** Rejects with ForeignObjectError and KubeError. A `live` that was deleted since is read anew. */
  apply(desired: Desired, options: ApplyOptions): Promise<Applied>;
  /** Writes the status unless it is that already: then false. Rejects with KubeError, also when the object is gone. */
  applyStatus(status: StatusApply): Promise<boolean>;
}

/** sha256 of what was applied, 16 hexadecimal digits. */
export const APPLIED_HASH = "postroom.dev/applied-hash";

/** The object exists and is controlled by nobody or by somebody else. */
export class ForeignObjectError extends Error {
  override readonly name = "ForeignObjectError";
  readonly kind: string;
  /** namespace/name. */
  readonly key: string;

  constructor(kind: string, key: string) {
    super(`${kind} "${key}" exists and belongs to somebody else: rename the MailTransport or delete it`);
    this.kind = kind;
    this.key = key;
  }
}

/** What a write led to, as far as a later one must know. */
interface Written {
  readonly hash: string;
  /** The object's resourceVersion after it. */
  readonly version: string | undefined;
}

interface Outcome extends Written {
  readonly uid: string | undefined;
  /** The server's form of all that was desired. */
  readonly form: string;
}

/** Writes remembered; the oldest is forgotten first, which costs one write more at most. */
const MAX_REMEMBERED = 10_000;

export function createApplier({
  http,
  fieldManager,
}: {
  readonly http: KubeHttp;
  readonly fieldManager: string;
}): Applier {
  /** By path. */
  const outcomes = new Map<string, Outcome>();
  const statuses = new Map<string, Written>();

  function patch(path: string, body: unknown): Promise<KubeObject> {
    return http.request({
      method: "PATCH",
      path,
      query: { fieldManager, force: true },
      contentType: "application/apply-patch+yaml",
      body,
    });
  }

  async function read(path: string): Promise<KubeObject | undefined> {
    try {
      return await http.request({ method: "GET", path });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function applyTo(
    live: KubeObject | undefined,
    desired: Desired,
    options: ApplyOptions,
  ): Promise<Applied> {
    const { type, owner } = options;
    const { namespace, name } = desired.metadata;
    if (live !== undefined && owner !== undefined && !isControlledBy(live, owner))
      throw new ForeignObjectError(desired.kind, objectKey(desired.metadata));
    const path = resourcePath(type, { namespace, name });
    const { object, hash } = withHash(desired, owner);
    const content = contentOf(object);
    if (live !== undefined && isApplied(live, content, { hash, outcome: outcomes.get(path) }))
      return "unchanged";
    const uid = live?.metadata.uid;
    const body = uid === undefined ? object : { ...object, metadata: { ...object.metadata, uid } };
    const answer = await patch(path, body);
    remember(outcomes, path, {
      uid: answer.metadata.uid,
      hash,
      version: answer.metadata.resourceVersion,
      form: sortedJson(project(answer, content)),
    });
    if (live === undefined) return "created";
    return answer.metadata.resourceVersion === live.metadata.resourceVersion ? "unchanged" : "updated";
  }

  return {
    async apply(desired, options) {
      const { namespace, name } = desired.metadata;
      const path = resourcePath(options.type, { namespace, name });
      if (options.live === undefined) return applyTo(await read(path), desired, options);
      try {
        return await applyTo(options.live, desired, options);
      } catch (error) {
        if (!isAnotherObject(error)) throw error;
        return applyTo(await read(path), desired, options);
      }
    },

    async applyStatus({ type, object, status, live }) {
      const { name, namespace, uid, resourceVersion } = object;
      const path = resourcePath(type, { namespace, name, subresource: "status" });
      const hash = hashOf(status);
      const last = statuses.get(path);
      if ((lagsBehind(resourceVersion, last) ? last?.hash : hashOf(live)) === hash) return false;
      const metadata = { name, ...(namespace && { namespace }), ...(uid && { uid }) };
      const answer = await patch(path, { apiVersion: apiVersion(type), kind: type.kind, metadata, status });
      remember(statuses, path, { hash, version: answer.metadata.resourceVersion });
      return true;
    },
  };
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}

function lagsBehind(version: string | undefined, last: Written | undefined): boolean {
  return (compareVersions(version, last?.version) ?? 0) < 0;
}

/** The object with that uid is gone: 409 when there is none of its name, 422 when there is another one. */
function isAnotherObject(error: unknown): boolean {
  if (isConflict(error)) return true;
  return error instanceof KubeError && error.causes.some(({ field }) => field === "metadata.uid");
}

function isControlledBy({ metadata }: KubeObject, owner: OwnerReference): boolean {
  return (
    metadata.ownerReferences?.some(({ controller, uid }) => controller === true && uid === owner.uid) === true
  );
}

function withHash(desired: Desired, owner: OwnerReference | undefined) {
  const ownerReferences = desired.metadata.ownerReferences ?? (owner && [owner]);
  const metadata = { ...desired.metadata, ...(ownerReferences && { ownerReferences }) };
  const hash = hashOf({ ...desired, metadata });
  const annotations = { ...metadata.annotations, [APPLIED_HASH]: hash };
  return { hash, object: { ...desired, metadata: { ...metadata, annotations } } };
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(sortedJson(value)).digest("hex").slice(0, 16);
}

/** Objects of a list don't say what they are. */
function contentOf({ apiVersion: _version, kind: _kind, ...content }: Desired): unknown {
  return content;
}

function isApplied(
  live: KubeObject,
  content: unknown,
  { hash, outcome }: { readonly hash: string; readonly outcome: Outcome | undefined },
): boolean {
  const known = outcome?.uid === live.metadata.uid ? outcome : undefined;
  if (lagsBehind(live.metadata.resourceVersion, known)) return known?.hash === hash;
  return covers(live, content) || (known?.hash === hash && known.form === sortedJson(project(live, content)));
}
