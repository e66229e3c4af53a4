import type { KubeHttp, KubeObject, OwnerReference, ResourceType } from "./types.ts";

export interface Desired extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ApplyOptions {
  readonly type: ResourceType;
  /** As a watch or a read knows it; undefined: not known to exist. It is read when it must be. */
  readonly live?: KubeObject | undefined;
  /** Controller of the object; an object that exists and has another one is refused. */
  readonly owner?: OwnerReference | undefined;
}

export type Applied = "unchanged" | "created" | "updated";

export interface ObjectIdentity {
  readonly name: string;
  readonly namespace?: string | undefined;
}

export interface StatusApply {
  readonly type: ResourceType;
  readonly object: ObjectIdentity;
  readonly status: unknown;
  /** The status as it stands. */
  readonly live: unknown;
}

export interface Applier {
  /** Server-side apply of what differs. Throws ForeignObjectError, KubeError. */
  apply(desired: Desired, options: ApplyOptions): Promise<Applied>;
  /** The same for the status subresource. False: it is as wanted already. */
  applyStatus(status: StatusApply): Promise<boolean>;
}

/** The object exists and is controlled by somebody else. */
export class ForeignObjectError extends Error {
  readonly kind: string;
  readonly key: string;

  constructor(kind: string, key: string) {
    super(`${kind} "${key}" exists and belongs to somebody else: rename the MailTransport or delete it`);
    this.name = "ForeignObjectError";
    this.kind = kind;
    this.key = key;
  }
}

export function createApplier(options: { readonly http: KubeHttp; readonly fieldManager: string }): Applier {
  throw new Error(`Cannot apply as "${options.fieldManager}"`);
}
