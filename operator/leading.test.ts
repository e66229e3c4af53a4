import { describe, expect, test } from "vitest";
import { silentLog } from "../test/helpers/fake-kube.ts";
import type { Cluster } from "./cluster.ts";
import { beginTerm, CHILDREN, leadersWork, SHARED } from "./leading.ts";
import type { ClusterView } from "./view.ts";

function rig({ isLeading = true, isSynced = true } = {}) {
  const done: string[] = [];
  const view = { isSynced, synced: Promise.resolve(), objects: () => [{ key: "mail/hub" }] };
  const work = leadersWork({
    isLeading: () => isLeading,
    view: view as unknown as ClusterView,
    reconciler: {
      async run(key) {
        done.push(key);
        return undefined;
      },
    },
    cluster: { applyShared: async ({ kind }: { kind: string }) => done.push(kind) } as unknown as Cluster,
    reportChildren: async () => void done.push("children"),
  });
  return { done, work, view: view as unknown as ClusterView };
}

describe("the leader's work", () => {
  test.each(["mail/hub", CHILDREN, SHARED])(
    "begins when everything is listed, not before: half a folder is no configuration (%j)",
    async (key) => {
      const { done, work } = rig({ isSynced: false });
      await work(key);
      expect(done).toEqual([]);
    },
  );

  test("is nobody else's", async () => {
    const { done, work } = rig({ isLeading: false });
    await work("mail/hub");
    expect(done).toEqual([]);
  });

  test("is everything at the begin of a term, and the policies are looked at again later", async () => {
    const { done, work, view } = rig();
    const keys: string[] = [];
    await beginTerm({ view, queue: { add: (key) => void keys.push(key) }, log: silentLog });
    const results = [];
    for (const key of keys) results.push(await work(key));
    expect(done).toEqual([
      "mail/hub",
      "children",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionPolicyBinding",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionPolicyBinding",
    ]);
    expect(results.at(-1)?.againAfterMs).toBeGreaterThan(0);
  });
});
