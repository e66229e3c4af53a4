/**
 * A peer: a mail server that relays everything from one port to one next hop, started by the bench itself in a
 * temporary folder. Each is one object, made by a function of its own file: `postroom({...})`, `postfix({...})` ...
 *
 *   const why = await peer.isThere();           // undefined: it can start
 *   const running = await peer.start({ nextHopPort });
 *   ... load on 127.0.0.1:running.port ...
 *   await running.stop();                       // processes ended, folder removed
 */

export interface Peer {
  /** As it stands in tables; no two are the same. */
  readonly name: string;
  /** What it does with a message before its 250, in a few words. */
  readonly durability: string;
  /** Whether it runs on a virtual machine that compiles what runs often, and so needs load before it is at its speed. */
  readonly compiles?: boolean;
  /** Undefined: it can start; else why not. Whatever it needs from a registry is fetched here, once. */
  isThere(): Promise<string | undefined>;
  /** Name and version of the program. */
  version(): Promise<string>;
  /** Resolves once it greets; leaves nothing behind when it does not. */
  start(options: PeerOptions): Promise<RunningPeer>;
}

export interface PeerOptions {
  /** 127.0.0.1 with this port gets everything. */
  readonly nextHopPort: number;
  /** Offer STARTTLS with this certificate on the port. Left out: no TLS on the way in. */
  readonly tls?: CertificateFiles;
  /** Deliver over TLS only, whatever the certificate of the next hop. Left out: never TLS. */
  readonly nextHopTls?: boolean;
}

/** Paths of PEM files that every user may read. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface RunningPeer {
  /** On 127.0.0.1. */
  readonly port: number;
  /** All its processes as of now, for memory and CPU time. */
  pids(): readonly number[];
  /** CPU time of all of them since its start, ended ones too. Undefined: cannot be had here. */
  cpuSeconds(): number | undefined;
  stop(): Promise<void>;
}
