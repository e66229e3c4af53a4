/** Writes of the leader only, and what a new leader does first. */
import type { KubeHttp } from "../lib/kube/types.ts";
import type { WorkQueue } from "../lib/kube/work-queue.ts";
import type { Logger } from "../lib/log.ts";
import { admissionObjects } from "./admission.ts";
import type { Cluster } from "./cluster.ts";
import type { ClusterView } from "./view.ts";

/** Key of the work that only tells children what became of them. */
export const CHILDREN = "";

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
  cluster,
  log,
}: {
  readonly view: ClusterView;
  readonly queue: WorkQueue;
  readonly cluster: Cluster;
  readonly log: Logger;
}): Promise<void> {
  log.info("leading");
  await view.synced;
  for (const { key } of view.objects("MailTransport")) queue.add(key);
  queue.add(CHILDREN);
  for (const object of admissionObjects()) {
    await cluster.applyShared(object).catch((cause: unknown) => {
      const fields = { kind: object.kind, cause: String(cause) };
      log.error(fields, "admission policy not applied: any pod could write another's status");
    });
  }
}
