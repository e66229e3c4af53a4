/** Types of lib/kube: what a Kubernetes API call, a watched object and a failure look like. No code. */

/** One kind's place in the API. */
export interface ResourceType {
  /** "" for core/v1. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  /** False: cluster-scoped. */
  readonly namespaced: boolean;
}

/** An object as JSON; times are strings, unknown fields are kept. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly [field: string]: unknown;
}

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** How to reach and to convince the API server. Asked before each connection and request: files rotate. */
export interface KubeAuth {
  /** https://host:port; a proxy such as Rancher's may want a path behind it. */
  readonly server: string;
  /** Namespace of the context or the pod. */
  readonly namespace: string;
  /** TLS material and headers (authorization) for the next request. Rejects when they cannot be had. */
  credentials(): Promise<KubeCredentials>;
  /** The API server answered 401: what is remembered is not good any more. */
  refused?(): void;
}

export interface KubeCredentials {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface KubeCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path from resourcePath(). */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Default application/json; a patch must name its own. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** For the whole answer; default 30 s. */
  readonly timeoutMs?: number;
  /** Default: true for GET, PUT, DELETE and server-side apply; a POST is repeated only when it surely was not taken (429, refused connection). */
  readonly retry?: boolean;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  readonly object: unknown;
}

export interface KubeHttp {
  /** The JSON answer. Rejects with KubeError (lib/kube/errors.ts) for any answer but 2xx and for a connection that failed. */
  request<Answer = KubeObject>(call: KubeCall): Promise<Answer>;
  /** Events of one watch until it ends, in order. Ends quietly when the server closes it; throws KubeError otherwise. */
  watch(call: {
    readonly path: string;
    readonly query: KubeCall["query"];
    readonly signal: AbortSignal;
    /** Silence (no event, no bookmark) after which the connection counts as dead. */
    readonly silenceMs: number;
  }): AsyncIterable<WatchEvent>;
  close(): void;
}

export interface ListOf<Item = KubeObject> {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly Item[];
}

/** A watched collection, held in memory as `transform` left it. */
export interface Reflector<Item> {
  /** Resolves when the first list is in; rejects never. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /** By namespace/name, or name for what is cluster-scoped. */
  get(key: string): Item | undefined;
  items(): IterableIterator<Item>;
  readonly size: number;
  stop(): void;
}

export interface ReflectorChange<Item> {
  readonly key: string;
  /** undefined: it is gone. */
  readonly now: Item | undefined;
  readonly before: Item | undefined;
}
