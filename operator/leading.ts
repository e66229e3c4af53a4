/** Writes of the leader only, and what a new leader does first. */
import type { KubeHttp } from "../lib/kube/types.ts";
import type { WorkQueue } from "../lib/kube/work-queue.ts";
import type { Logger } from "../lib/log.ts";
import { admissionObjects } from "./admission.ts";
import type { Cluster } from "./cluster.ts";
import type { Reconciler } from "./reconcile.ts";
import type { ClusterView } from "./view.ts";

/** Key of the work that only tells children what became of them. */
export const CHILDREN = "";
/** Key of the work on what all transports share. */
export const SHARED = "/";
/** The policy may be deleted by hand. */
const SHARED_AGAIN_MS = 600_000;

export interface LeadersWork {
  isLeading(): boolean;
  readonly view: ClusterView;
  readonly reconciler: Reconciler;
  readonly cluster: Cluster;
  reportChildren(): Promise<void>;
}

/**
 * What the leader does with a key. Nothing is judged before all was listed: a transport whose rules are not seen yet has
 * rules all the same. beginTerm() adds every key then.
 */
export function leadersWork({ isLeading, view, reconciler, cluster, reportChildren }: LeadersWork) {
  return async (key: string): Promise<{ readonly againAfterMs?: number | undefined } | undefined> => {
    if (!isLeading() || !view.isSynced) return undefined;
    if (key === SHARED) {
      for (const object of admissionObjects()) await cluster.applyShared(object);
      return { againAfterMs: SHARED_AGAIN_MS };
    }
    if (key !== CHILDREN) return reconciler.run(key);
    await reportChildren();
    return undefined;
  };
}

/** A term that has run out writes nothing any more, whatever is under way. */
export function onlyWhile(isLeading: () => boolean, http: KubeHttp): KubeHttp {
  return {
    watch: (call) => http.watch(call),
    close: () => http.close(),
    request(call) {
      if (call.method === "GET" || isLeading()) return http.request(call);
      return Promise.reject(
        new Error(`Not written, this replica does not lead: ${call.method} ${call.path}`),
      );
    },
  };
}

/** Looks at everything; what is as it should be costs no write. */
export async function beginTerm({
  view,
  queue,
  log,
}: {
  readonly view: ClusterView;
  readonly queue: Pick<WorkQueue, "add">;
  readonly log: Logger;
}): Promise<void> {
  log.info("leading");
  await view.synced;
  for (const { key } of view.objects("MailTransport")) queue.add(key);
  queue.add(CHILDREN);
  queue.add(SHARED);
}
