/**
 * Door of crds: the kinds of postroom.dev, and the reader of manifests.
 *
 * @module
 */
export type { AllowedNamespaces } from "./allowed-namespaces.ts";
export { CONDITION, type Condition, type ConditionType, NEGATIVE_CONDITIONS, REASON } from "./conditions.ts";
export {
  chunkName,
  type KeysRef,
  type Revision,
  SnapshotChunkSpec,
  sameRevision,
  TransportPodSpec,
  TransportPodStatus,
  TransportSnapshotSpec,
} from "./delivery-kinds.ts";
export { type Fault, type FieldFault, formatFault, formatPath } from "./faults.ts";
export {
  type AcceptedDomain,
  type AnyResource,
  API_VERSION,
  KINDS,
  type Kind,
  type KindDefinition,
  type MailTransport,
  objectName,
  qualifiedName,
  RESERVED_KINDS,
  type ReceiveConnector,
  type SendConnector,
  type TransportRule,
} from "./kinds.ts";
export { ManifestMemory } from "./manifest-memory.ts";
export {
  type LoadedManifests,
  type LoadedResource,
  type ManifestFile,
  parseManifests,
} from "./manifest-reader.ts";
export { type ReadObject, readLiveObject, readObject } from "./read-object.ts";
export { MAX_FILE_OCTETS } from "./yaml-source.ts";
