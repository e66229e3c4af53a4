/** The speed bench's doors: what further benches stand on. */
export { type Bar, barPlot, type Group, type Plot } from "./bars.ts";
export { CASES, type Case } from "./cases.ts";
export { type CpuGroup, cpuGroup } from "./cpu-group.ts";
export { type Load, send, sourceCommand } from "./load.ts";
export { thisMachine } from "./machine.ts";
export { markdownTable, whole } from "./markdown.ts";
export type { CertificateFiles, Peer, PeerOptions, RunningPeer } from "./peer.ts";
export { type PostfixPeerOptions, postfix } from "./postfix-peer.ts";
export {
  type ManifestPorts,
  type PostroomOptions,
  plainRelay,
  postroom,
  wholePipeline,
} from "./postroom-peer.ts";
export { memoryMegabytes, processesOf } from "./processes-of.ts";
export type { Machine } from "./result.ts";
export { type Sink, startSink } from "./sink.ts";
export { isSteady, medianOf, messagesFor, type Spread, spreadOf } from "./statistics.ts";
