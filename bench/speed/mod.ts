/** The speed bench's doors: what further benches stand on. */
export type { CertificateFiles, Peer, PeerOptions, RunningPeer } from "./peer.ts";
