/** The garbage collector of Kubernetes, one sweep of one namespace: objects go whose owners are gone. */
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeObject, ListOf } from "../../lib/kube/types.ts";
import type { ApiServer } from "./api-server.ts";
import { unless } from "./stateful-sets.ts";

const KINDS = Object.values(RESOURCES).filter(({ namespaced }) => namespaced);

/** Names of what was deleted, as "Service/hub". Sweeps until nothing is left to go: owners own owners. */
export async function collectGarbage({ admin }: ApiServer, namespace: string): Promise<string[]> {
  const lists = await Promise.all(
    KINDS.map(async (type) => {
      const { items } = await admin<ListOf>("GET", resourcePath(type, { namespace })).catch(() => ({
        items: [],
      }));
      return items.map((object: KubeObject) => ({ type, object }));
    }),
  );
  const all = lists.flat();
  const uids = new Set(all.map(({ object }) => object.metadata.uid));
  const orphans = all.filter(({ object: { metadata } }) => {
    const owners = metadata.ownerReferences ?? [];
    return owners.length > 0 && !owners.some(({ uid }) => uids.has(uid));
  });
  for (const { type, object } of orphans) {
    const path = resourcePath(type, { namespace, name: object.metadata.name });
    await admin("DELETE", path, { body: { propagationPolicy: "Background" } }).catch(unless("NotFound"));
  }
  const gone = orphans
    .filter(({ object }) => object.metadata.deletionTimestamp === undefined)
    .map(({ type, object }) => `${type.kind}/${object.metadata.name}`);
  return gone.length === 0 ? [] : [...gone, ...(await collectGarbage({ admin } as ApiServer, namespace))];
}
