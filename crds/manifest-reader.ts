/**
 * Manifest reader: the text of a folder's files to typed objects, Secrets and faults.
 *
 * In: files as text, many documents each. Out: every object that is right, every Secret, and every fault of all files
 * at once, at its line. Objects of other groups (a Deployment, say) are passed over. Pure: reading files is the caller's.
 *
 * @module
 */
import { GROUP } from "./common.ts";
import { didYouMean, type Fault, type FieldFault, formatPath, parsePath } from "./faults.ts";
import { type AnyResource, API_VERSION, INTERNAL_KINDS, KINDS, RESERVED_KINDS } from "./kinds.ts";
import { ManifestMemory } from "./manifest-memory.ts";
import { isObject, nameOf } from "./read-object.ts";
import { readSecret } from "./secret-reader.ts";
import type { FieldPath, YamlDocument } from "./yaml-source.ts";

export interface ManifestFile {
  readonly path: string;
  readonly text: string;
  /** Why it could not be read, if so; anything may stand in it. */
  readonly unreadable?: string | undefined;
}

export interface LoadedResource {
  readonly resource: AnyResource;
  readonly file: string;
  readonly line: number;
  /** Line of a field, given as a dotted path. */
  lineOf(path: string): number;
}

export interface LoadedManifests {
  readonly resources: readonly LoadedResource[];
  /** namespace/name -> key -> text. */
  readonly secrets: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Name -> labels of every core/v1 Namespace. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly faults: readonly Fault[];
  /** kind/namespace/name of objects that are written down but have a fault: their last good form should stay in force. */
  readonly broken: readonly string[];
  /** True when some document could not even be named: any object that seems gone may stand in it. */
  readonly incomplete: boolean;
}

/** More faults than these in one object are summed up in one line. */
const MAX_FAULTS = 200;

/** With the memory of the last call, files that have not changed cost next to nothing. */
export function parseManifests(
  files: readonly ManifestFile[],
  memory: ManifestMemory = new ManifestMemory(),
): LoadedManifests {
  const load = new Load(memory);
  memory.keep(files.map(({ path }) => path));
  // By path, so that the same folder always gives the same answer.
  for (const file of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) load.readFile(file);
  load.faults.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  return load;
}

/** One manifest: an object somewhere in a document (in a List, below its items). */
interface Manifest {
  readonly value: Readonly<Record<string, unknown>>;
  readonly file: string;
  readonly document: YamlDocument;
  readonly at: FieldPath;
}

class Load implements LoadedManifests {
  readonly resources: LoadedResource[] = [];
  readonly secrets = new Map<string, Readonly<Record<string, string>>>();
  readonly namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly faults: Fault[] = [];
  readonly #broken = new Set<string>();
  /** kind/namespace/name -> where it stood first. */
  readonly #seen = new Map<string, string>();
  readonly #inForce = new Set<string>();
  readonly #memory: ManifestMemory;
  incomplete = false;

  constructor(memory: ManifestMemory) {
    this.#memory = memory;
  }

  get broken(): readonly string[] {
    return [...this.#broken].filter((object) => object !== "" && !this.#inForce.has(object)).sort();
  }

  readFile({ path, text, unreadable }: ManifestFile): void {
    if (unreadable !== undefined) {
      this.#unreadable({ file: path, line: 1, field: "", object: "", reason: unreadable });
      return;
    }
    const { documents, faults } = this.#memory.read(path, text);
    for (const { line, reason } of faults) {
      this.#unreadable({ file: path, line, field: "", object: "", reason });
    }
    for (const document of documents) this.#readDocument(path, document);
  }

  #readDocument(file: string, document: YamlDocument): void {
    if (document.value === null || document.value === undefined) return;
    this.#readValue(file, document, [], document.value);
  }

  #readValue(file: string, document: YamlDocument, at: FieldPath, value: unknown): void {
    if (!isObject(value)) {
      const reason = "is no object: write apiVersion, kind, metadata and spec";
      this.#unreadable({ file, line: document.lineOf(at), field: formatPath(at), object: "", reason });
      return;
    }
    if (value.kind !== "List" || value.apiVersion !== "v1" || !Array.isArray(value.items)) {
      this.#readManifest({ value, file, document, at });
      return;
    }
    for (const [index, item] of value.items.entries()) {
      this.#readValue(file, document, [...at, "items", index], item);
    }
  }

  #readManifest(manifest: Manifest): void {
    const { apiVersion, kind } = manifest.value;
    if (typeof apiVersion !== "string" || typeof kind !== "string") {
      const field = typeof apiVersion === "string" ? "kind" : "apiVersion";
      this.#nameless(manifest, field, describeHead(manifest.value[field]));
    } else if (apiVersion === "v1" && kind === "Secret") {
      this.#readSecret(manifest);
    } else if (apiVersion === "v1" && kind === "Namespace") {
      this.#readNamespace(manifest);
    } else if (apiVersion === API_VERSION) {
      this.#readOwn(manifest, kind);
    } else if (isOurGroup(apiVersion)) {
      this.#nameless(manifest, "apiVersion", `unknown version, write ${API_VERSION}`);
    } else if (isOursMisspelt(apiVersion, kind)) {
      this.#nameless(
        manifest,
        "apiVersion",
        `"${apiVersion}" has no ${kind}, did you mean "${API_VERSION}"?`,
      );
    }
    // Everything else is another group's, and no business of ours.
  }

  #readOwn(manifest: Manifest, kind: string): void {
    if (KINDS.some((one) => one.kind === kind)) {
      this.#readObject(manifest, kind);
    } else if (RESERVED_KINDS.includes(kind)) {
      this.#report(manifest, "", { path: ["kind"], reason: `${kind} is not available in this version` });
    } else if (INTERNAL_KINDS.some((one) => one === kind)) {
      this.#report(manifest, "", { path: ["kind"], reason: `${kind} is written by the operator only` });
    } else {
      const known = KINDS.map((one) => one.kind);
      this.#nameless(manifest, "kind", `unknown kind "${kind.slice(0, 64)}"${didYouMean(kind, known)}`);
    }
  }

  #readObject(manifest: Manifest, kind: string): void {
    const object = nameOf(kind, manifest.value);
    const { resource, faults: fieldFaults } = this.#memory.check(manifest.value);
    const faults = [...this.#duplicateKeys(manifest), ...fieldFaults];
    if (resource === undefined || faults.length > 0) {
      this.#refuse(manifest, object, faults);
      return;
    }
    if (!this.#claim(manifest, object)) return;
    this.#inForce.add(object);
    const { file, document, at } = manifest;
    this.resources.push({
      resource,
      file,
      line: document.lineOf(at),
      lineOf: (path) => document.lineOf([...at, ...parsePath(path)]),
    });
  }

  #readSecret(manifest: Manifest): void {
    const object = nameOf("Secret", manifest.value);
    const { content, faults } = readSecret(manifest.value);
    const all = [...this.#duplicateKeys(manifest), ...faults];
    if (object === "") all.push({ path: ["metadata", "name"], reason: "is missing" });
    if (all.length > 0) {
      this.#refuse(manifest, object, all);
      return;
    }
    if (!this.#claim(manifest, object)) return;
    this.#inForce.add(object);
    this.secrets.set(object.slice("Secret/".length), content);
  }

  /** What is written wrongly in it is the API server's business; of its labels only text counts. */
  #readNamespace({ value: { metadata } }: Manifest): void {
    if (!isObject(metadata) || typeof metadata.name !== "string") return;
    const labels = Object.entries(isObject(metadata.labels) ? metadata.labels : {}).filter(
      (label): label is [string, string] => typeof label[1] === "string",
    );
    this.namespaces.set(metadata.name, Object.fromEntries(labels));
  }

  #duplicateKeys({ document, at }: Manifest): FieldFault[] {
    return document.faults
      .filter(({ path }) => at.every((step, index) => path[index] === step))
      .map(({ path, reason }) => ({ path: path.slice(at.length), reason }));
  }

  /** False: the same object stood before. The first stays in force; the other one may be a third, renamed by mistake. */
  #claim(manifest: Manifest, object: string): boolean {
    const place = `${manifest.file}:${manifest.document.lineOf(manifest.at)}`;
    const first = this.#seen.get(object);
    if (first === undefined) {
      this.#seen.set(object, place);
      return true;
    }
    this.#report(manifest, object, {
      path: ["metadata", "name"],
      reason: `stands already at ${first}, which is in force`,
    });
    this.incomplete = true;
    return false;
  }

  #refuse(manifest: Manifest, object: string, faults: readonly FieldFault[]): void {
    for (const fault of faults.slice(0, MAX_FAULTS)) this.#report(manifest, object, fault);
    const more = faults.length - MAX_FAULTS;
    if (more > 0) this.#report(manifest, object, { path: [], reason: `${more} more faults in this object` });
    this.#broken.add(object);
    // A name that is wrong is not the name under which the object was known: it may be any that is missing.
    if (object === "" || faults.some(({ path }) => path[0] === "metadata")) this.incomplete = true;
  }

  #nameless(manifest: Manifest, field: string, reason: string): void {
    this.#report(manifest, "", { path: [field], reason });
    this.incomplete = true;
  }

  #unreadable(fault: Fault): void {
    this.faults.push(fault);
    this.incomplete = true;
  }

  #report({ file, document, at }: Manifest, object: string, { path, reason }: FieldFault): void {
    const line = document.lineOf([...at, ...path]);
    this.faults.push({ file, line, field: formatPath(path), object, reason });
  }
}

function describeHead(value: unknown): string {
  return value === undefined ? "is missing: every object needs apiVersion and kind" : "must be text";
}

function isOurGroup(apiVersion: string): boolean {
  return apiVersion === GROUP || apiVersion.startsWith(`${GROUP}/`);
}

/** One of our kinds under an apiVersion that looks like ours. */
function isOursMisspelt(apiVersion: string, kind: string): boolean {
  return KINDS.some((one) => one.kind === kind) && didYouMean(apiVersion, [API_VERSION]) !== "";
}
