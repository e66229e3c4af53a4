/**
 * Server-side apply of what differs, and of nothing else.
 *
 * What is desired goes with its hash in an annotation, so that a field we no longer say is seen to be gone. A live object that
 * has the hash and every desired value is left alone. Where the server writes a value in a way that we don't know, the
 * first apply learns it from the answer: twice never writes twice.
 */
import { createHash } from "node:crypto";
import { covers, project, sortedJson } from "./covers.ts";
import { isConflict, isNotFound, KubeError } from "./errors.ts";
import { apiVersion, objectKey, resourcePath } from "./paths.ts";
import type { KubeHttp, KubeObject, ObjectMeta, OwnerReference, ResourceType } from "./types.ts";

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
  /** With a uid: an object that was deleted and made anew is a conflict. */
  readonly object: Pick<ObjectMeta, "name" | "namespace" | "uid">;
  /** All of it: a field that is left out goes. */
  readonly status: unknown;
  /** As it stands. */
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

/** What an apply led to, as far as a later one must know. */
interface Outcome {
  readonly uid: string | undefined;
  readonly hash: string;
  /** resourceVersion that it was decided upon: a watch that still shows it lags behind. */
  readonly basis: string | undefined;
  /** The server's form of all that was desired. */
  readonly form: string;
}

export function createApplier({
  http,
  fieldManager,
}: {
  readonly http: KubeHttp;
  readonly fieldManager: string;
}): Applier {
  /** By path. */
  const outcomes = new Map<string, Outcome>();

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
    outcomes.set(path, {
      uid: answer.metadata.uid,
      hash,
      basis: live?.metadata.resourceVersion,
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
      if (sortedJson(status) === sortedJson(live)) return false;
      const { name, namespace, uid } = object;
      const metadata = { name, ...(namespace && { namespace }), ...(uid && { uid }) };
      const path = resourcePath(type, { namespace, name, subresource: "status" });
      await patch(path, { apiVersion: apiVersion(type), kind: type.kind, metadata, status });
      return true;
    },
  };
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
  const hash = createHash("sha256")
    .update(sortedJson({ ...desired, metadata }))
    .digest("hex")
    .slice(0, 16);
  const annotations = { ...metadata.annotations, [APPLIED_HASH]: hash };
  return { hash, object: { ...desired, metadata: { ...metadata, annotations } } };
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
  if (covers(live, content)) return true;
  if (outcome?.hash !== hash || outcome.uid !== live.metadata.uid) return false;
  return (
    outcome.basis === live.metadata.resourceVersion || outcome.form === sortedJson(project(live, content))
  );
}
