/**
 * Door of snapshot: resources compiled to a Snapshot, written down and read back.
 *
 * @module
 */

export { canonicalJson } from "./canonical-json.ts";
export { CertificateMemory } from "./certificates.ts";
export { type CheckResult, checkManifests, locateDiagnostics } from "./check-manifests.ts";
export { decodeChunk, encodeChunk } from "./chunk-codec.ts";
export { indexDigests, type PackedSnapshot } from "./chunks.ts";
export { type CompileInput, type CompileResult, compileSnapshot } from "./compile.ts";
export { CompileMemory } from "./compile-memory.ts";
export { createDomainTable, type DomainTable, type RecipientRecord } from "./domain-table.ts";
export { entriesByObject } from "./entries.ts";
export { PackMemory, packSnapshot } from "./pack.ts";
export { Last, sameItems } from "./recall.ts";
export type {
  AcceptedDomainEntry,
  ReceiveConnectorEntry,
  RuleEntry,
  SecretName,
  Secrets,
  SendConnectorEntry,
  Snapshot,
  TransportEntry,
} from "./schema.ts";
export { UnpackMemory, unpackSnapshot } from "./unpack.ts";
