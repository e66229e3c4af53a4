/**
 * Door of snapshot: resources compiled to a Snapshot, written down and read back.
 *
 * @module
 */
export { type CheckResult, checkManifests, locateDiagnostics } from "./check-manifests.ts";
export { type CompileInput, type CompileResult, compileSnapshot } from "./compile.ts";
export { canonicalJson, parseSnapshot } from "./digest.ts";
export { createDomainTable, type DomainTable, type RecipientRecord } from "./domain-table.ts";
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
