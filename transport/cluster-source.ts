/**
 * ClusterSource: configurations from the API server. A head (TransportSnapshot) names the revision that this pod shall serve;
 * what it names is fetched, verified and unpacked.
 *
 * Until the first answer, and whenever nothing is in force and the head's revision is not to be had, the last good one on
 * disk is offered. A refused revision that the head still names (other pods serve it) is offered again every five minutes,
 * a port may be free by then; sooner when nothing at all is in force.
 *
 * @module
 */
import {
  type Revision,
  sameRevision,
  type TransportPodStatus,
  TransportSnapshotSpec,
} from "../crds/delivery-kinds.ts";
import type { Clock } from "../lib/clock.ts";
import { RESOURCES } from "../lib/kube/paths.ts";
import { startReflector } from "../lib/kube/reflector.ts";
import type { KubeHttp, KubeObject, Reflector } from "../lib/kube/types.ts";
import type { Logger } from "../lib/log.ts";
import { UnpackMemory } from "../snapshot/mod.ts";
import { createRevisionReader, type RevisionReader } from "./cluster-revision.ts";
import {
  type Configuration,
  type ConfigurationSource,
  type Offer,
  type Outcome,
  type Refusal,
  RefusedError,
} from "./configuration-source.ts";
import { readKeys, type SnapshotStore } from "./snapshot-store.ts";

/** Where a pod stands in the cluster. */
export interface PodPlace {
  readonly namespace: string;
  /** Name of the MailTransport, and of the head. */
  readonly transport: string;
  readonly pod: string;
}

export interface ClusterSourceDeps extends PodPlace {
  readonly http: KubeHttp;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the pod says of itself. */
  say(part: Partial<TransportPodStatus>): void;
}

/** An API server that has not answered by then is not waited for where there is a snapshot on disk. */
const START_MS = 3000;
/** What TransportPod.status.refused holds. */
const MAX_MESSAGE = 4096;
const MAX_OBJECTS = 100;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;
const REFUSED_AGAIN_MS = 300_000;

/** Begins to watch the head at once. */
export function openClusterSource(deps: ClusterSourceDeps): ConfigurationSource {
  return new ClusterSource(deps);
}

interface Offered {
  readonly revision: Revision;
  readonly source: "API" | "Disk";
}

class ClusterSource implements ConfigurationSource {
  readonly hearsRefusals = true;
  readonly #deps: ClusterSourceDeps;
  readonly #heads: Reflector<TransportSnapshotSpec>;
  readonly #memory = new UnpackMemory();
  readonly #reader: RevisionReader;
  readonly #stopped = new AbortController();
  #changed: () => void = () => {};
  /** Ends pauses between tries: a new head is worth more. */
  #news = new AbortController();
  #offered: Offered | undefined;
  #taken: Revision | undefined;
  #refused: Revision | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isRetrying = false;
  #hasWaited = false;
  #waitsFor = "the API server has not answered yet";

  constructor(deps: ClusterSourceDeps) {
    this.#deps = deps;
    const { http, clock, log, namespace, transport } = deps;
    this.#reader = createRevisionReader(deps, this.#memory);
    this.#heads = startReflector<TransportSnapshotSpec>({
      ...{ http, clock, log, namespace },
      type: RESOURCES.TransportSnapshot,
      fieldSelector: `metadata.name=${transport}`,
      transform: readHead,
      onChange: () => this.#wake(),
    });
    void this.#heads.synced.then(() => this.#wake());
  }

  async read(inForce: Configuration | undefined): Promise<Offer | undefined> {
    this.#offered = undefined;
    await this.#firstAnswer();
    const wanted = this.#wanted();
    if (wanted !== undefined && !this.#isDone(wanted)) {
      const offer = await this.#fromApi(wanted);
      if (offer !== undefined) return offer;
    }
    if (inForce === undefined) return this.#fromDisk();
    await this.#fetchAhead();
    return undefined;
  }

  settled(outcome: Outcome): void {
    const offered = this.#offered;
    if (offered === undefined) return;
    const { revision, source } = offered;
    if (outcome.inForce) {
      this.#taken = revision;
      this.#retryMs = FIRST_RETRY_MS;
      // What the disk holds is no answer to what was refused.
      const answered = source === "API" ? { refused: undefined } : {};
      this.#deps.say({ snapshot: revision, source, ...answered });
    } else this.#settleRefusal(offered, outcome);
  }

  failed(message: string): void {
    const { revision } = this.#offered?.revision ?? {};
    this.#waitsFor = `revision ${revision} cannot be tried: ${message}`;
    this.#askAgain();
  }

  watch(changed: () => void): () => void {
    this.#changed = changed;
    changed();
    return () => {
      this.#stopped.abort();
      this.#news.abort();
      this.#heads.stop();
    };
  }

  waitsFor(): string {
    return this.#waitsFor;
  }

  #settleRefusal({ revision, source }: Offered, { message, objects }: Refusal): void {
    this.#waitsFor = `revision ${revision.revision} was refused: ${message}`;
    if (source === "Disk") {
      this.#askAgain();
      return;
    }
    this.#refused = revision;
    this.#deps.say({
      refused: {
        ...revision,
        message: message.slice(0, MAX_MESSAGE),
        objects: objects.slice(0, MAX_OBJECTS),
      },
    });
    if (this.#taken === undefined) this.#changed();
    else this.#offerAgain(revision);
  }

  #offerAgain(refused: Revision): void {
    const again = () => {
      if (this.#refused !== refused) return;
      this.#refused = undefined;
      this.#changed();
    };
    this.#deps.clock.sleep(REFUSED_AGAIN_MS, this.#stopped.signal).then(again, () => {});
  }

  async #firstAnswer(): Promise<void> {
    if (this.#hasWaited) return;
    this.#hasWaited = true;
    const over = new AbortController();
    const wait = this.#deps.clock.sleep(START_MS, over.signal).catch(() => {});
    await Promise.race([this.#heads.synced, wait]);
    over.abort();
  }

  #wake(): void {
    this.#news.abort();
    this.#news = new AbortController();
    this.#changed();
  }

  /** The revision that the head has this pod serve. */
  #wanted(): Revision | undefined {
    const { namespace, transport, pod } = this.#deps;
    const head = this.#heads.get(`${namespace}/${transport}`);
    if (head === undefined) {
      this.#waitsFor = this.#heads.isSynced
        ? `there is no TransportSnapshot "${namespace}/${transport}" yet`
        : "the API server does not answer";
      return undefined;
    }
    const { revision, digest, keys } = head.canary?.pod === pod ? head.canary : head.current;
    const wanted = { revision, digest, ...(keys && { keys }) };
    if (!isEqual(wanted, this.#refused)) this.#refused = undefined;
    return wanted;
  }

  #isDone(wanted: Revision): boolean {
    return isEqual(wanted, this.#taken) || isEqual(wanted, this.#refused);
  }

  async #fromApi(revision: Revision): Promise<Offer | undefined> {
    this.#offered = { revision, source: "API" };
    try {
      return await this.#reader.read(revision, this.#news.signal);
    } catch (cause) {
      if (cause instanceof RefusedError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      this.#waitsFor = `revision ${revision.revision} is not to be had: ${why}`;
      this.#offered = undefined;
      if (this.#stopped.signal.aborted) return undefined;
      this.#deps.log.warn(
        { revision: revision.revision, cause: why },
        "revision not to be had, trying again",
      );
      this.#askAgain();
      return undefined;
    }
  }

  /** What another pod tries now is for all of them in a moment. */
  async #fetchAhead(): Promise<void> {
    const { namespace, transport, pod } = this.#deps;
    const canary = this.#heads.get(`${namespace}/${transport}`)?.canary;
    if (canary !== undefined && canary.pod !== pod)
      await this.#reader.fetchAhead(canary.digest, this.#news.signal);
  }

  async #fromDisk(): Promise<Offer | undefined> {
    const kept = await this.#deps.store.last(this.#memory);
    const revision = kept?.revision;
    if (kept === undefined || revision === undefined || sameRevision(revision, this.#refused)) {
      if (this.#refused !== undefined) this.#askAgain();
      return undefined;
    }
    this.#offered = { revision, source: "Disk" };
    this.#deps.log.warn(
      { revision: revision.revision, because: this.#waitsFor },
      "starting from the last good snapshot on disk",
    );
    const secrets = kept.keys === undefined ? new Map() : readKeys(kept.keys);
    return { snapshot: kept.snapshot, secrets, keep: undefined };
  }

  /** Later, less and less often. With nothing in force what was refused is tried again too: a port may be free by then. */
  #askAgain(): void {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    const again = () => {
      this.#isRetrying = false;
      if (this.#taken === undefined) this.#refused = undefined;
      this.#changed();
    };
    this.#deps.clock.sleep(this.#retryMs, this.#stopped.signal).then(again, () => {});
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }
}

/** The same content under the same number: nothing to be done. */
function isEqual(a: Revision, b: Revision | undefined): boolean {
  return a.revision === b?.revision && sameRevision(a, b);
}

/** Throws: then the reflector says so and keeps the last one. */
function readHead({ spec }: KubeObject): TransportSnapshotSpec {
  const head = TransportSnapshotSpec.safeParse(spec);
  if (head.success) return head.data;
  const faults = head.error.issues.map(({ path, message }) => `spec.${path.join(".")}: ${message}`);
  throw new Error(`Cannot understand the head, was it written by another version: ${faults.join("; ")}`);
}
