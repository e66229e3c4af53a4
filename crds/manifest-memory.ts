/**
 * ManifestMemory: what was read from the files last time, so that a changed file costs only itself.
 *
 * By path and text the documents, by document the verdict of the schema. What is not asked for again is forgotten.
 * A file that is the same gives the very same objects: nobody may change them.
 *
 * @module
 */
import { type ReadObject, readObject } from "./read-object.ts";
import { readYaml, type YamlSource } from "./yaml-source.ts";

type Value = Readonly<Record<string, unknown>>;

export class ManifestMemory {
  readonly #sources = new Map<string, { readonly text: string; readonly source: YamlSource }>();
  readonly #checked = new WeakMap<Value, ReadObject>();

  read(path: string, text: string): YamlSource {
    const known = this.#sources.get(path);
    if (known?.text === text) return known.source;
    const source = readYaml(text);
    this.#sources.set(path, { text, source });
    return source;
  }

  check(value: Value): ReadObject {
    const known = this.#checked.get(value);
    if (known !== undefined) return known;
    const checked = readObject(value);
    this.#checked.set(value, checked);
    return checked;
  }

  /** Forgets the files that are no longer there. */
  keep(paths: readonly string[]): void {
    const kept = new Set(paths);
    for (const path of this.#sources.keys()) if (!kept.has(path)) this.#sources.delete(path);
  }
}
