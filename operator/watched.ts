/** One kind watched in all namespaces or in the named ones, seen as one collection. */
import type { Clock } from "../lib/clock.ts";
import { startReflector } from "../lib/kube/reflector.ts";
import type { KubeHttp, KubeObject, Reflector, ReflectorChange, ResourceType } from "../lib/kube/types.ts";
import type { Logger } from "../lib/log.ts";

export interface WatchDeps {
  readonly http: KubeHttp;
  readonly clock: Clock;
  readonly log: Logger;
  /** undefined: the whole cluster. */
  readonly namespaces: readonly string[] | undefined;
}

export interface WatchOptions<Item> {
  readonly type: ResourceType;
  readonly labelSelector?: string;
  transform(object: KubeObject): Item;
  onChange(change: ReflectorChange<Item>): void;
}

export function watchKind<Item>(options: WatchOptions<Item>, deps: WatchDeps): Reflector<Item> {
  const { namespaces, ...rest } = deps;
  if (namespaces === undefined || !options.type.namespaced)
    return startReflector<Item>({ ...rest, ...options });
  return join(namespaces.map((namespace) => startReflector<Item>({ ...rest, ...options, namespace })));
}

function join<Item>(parts: readonly Reflector<Item>[]): Reflector<Item> {
  return {
    synced: Promise.all(parts.map(({ synced }) => synced)).then(() => undefined),
    get isSynced() {
      return parts.every(({ isSynced }) => isSynced);
    },
    get size() {
      return parts.reduce((sum, { size }) => sum + size, 0);
    },
    get(key) {
      for (const part of parts) {
        const item = part.get(key);
        if (item !== undefined) return item;
      }
      return undefined;
    },
    *items() {
      for (const part of parts) yield* part.items();
    },
    stop() {
      for (const part of parts) part.stop();
    },
  };
}
