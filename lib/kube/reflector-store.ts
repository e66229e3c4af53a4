/**
 * ReflectorStore: what a reflector knows, and the changes it tells.
 *
 * A fault in transform or in the listener stops that object only: it is logged, and what cannot be transformed stays in
 * its last form, or out. After close() nothing changes and nothing is told.
 *
 * @module
 */
import type { Logger } from "../log.ts";
import { apiVersion, objectKey } from "./paths.ts";
import type { KubeObject, ReflectorChange, ResourceType } from "./types.ts";

export interface StoreOptions<Item> {
  readonly type: ResourceType;
  readonly log: Logger;
  transform(object: KubeObject): Item;
  onChange?(change: ReflectorChange<Item>): void;
}

interface Entry<Item> {
  readonly item: Item;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export class ReflectorStore<Item> {
  readonly #options: StoreOptions<Item>;
  readonly #entries = new Map<string, Entry<Item>>();
  #closed = false;

  constructor(options: StoreOptions<Item>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Item | undefined {
    return this.#entries.get(key)?.item;
  }

  *items(): IterableIterator<Item> {
    for (const { item } of this.#entries.values()) yield item;
  }

  close(): void {
    this.#closed = true;
  }

  /** Takes an object as listed or watched; its very version known already is no change. Returns its key. */
  put(object: KubeObject): string {
    const key = objectKey(object.metadata);
    if (this.#closed) return key;
    const { uid, resourceVersion } = object.metadata;
    const before = this.#entries.get(key);
    if (before !== undefined && before.uid === uid && before.resourceVersion === resourceVersion) return key;
    const item = this.#transformed(object, key);
    if (item === undefined) return key;
    // Another object took the name between two looks.
    const another = before !== undefined && before.uid !== uid;
    if (another) this.remove(key);
    this.#entries.set(key, { item: item.value, uid, resourceVersion });
    this.#tell({ key, now: item.value, before: another ? undefined : before?.item });
    return key;
  }

  remove(key: string): void {
    const before = this.#entries.get(key);
    if (this.#closed || before === undefined) return;
    this.#entries.delete(key);
    this.#tell({ key, now: undefined, before: before.item });
  }

  /** What a whole list did not name is gone. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of [...this.#entries.keys()]) if (!keys.has(key)) this.remove(key);
  }

  #transformed(object: KubeObject, key: string): { readonly value: Item } | undefined {
    const { type, log } = this.#options;
    const { managedFields: _, ...metadata } = object.metadata;
    try {
      // Items of a list come without kind and apiVersion.
      return {
        value: this.#options.transform({
          apiVersion: apiVersion(type),
          kind: type.kind,
          ...object,
          metadata,
        }),
      };
    } catch (error) {
      log.error({ resource: type.plural, key, err: error }, "object cannot be read and keeps its last form");
      return undefined;
    }
  }

  #tell(change: ReflectorChange<Item>): void {
    if (this.#closed) return;
    const { type, log } = this.#options;
    try {
      this.#options.onChange?.(change);
    } catch (error) {
      log.error({ resource: type.plural, key: change.key, err: error }, "listener failed on a change");
    }
  }
}
