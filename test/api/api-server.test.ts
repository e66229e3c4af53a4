/** Facts about the tier itself: what a test of test/api may take for granted. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apiClient } from "../helpers/api-client.ts";
import { type ApiServer, startApiServer } from "../helpers/api-server.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

describe.skipIf(kubeAssets() === undefined)("API server for tests", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
  });
  afterAll(() => server?.stop());

  /** A service account and a pod of its own. */
  async function accountAndPod() {
    const namespace = await server.namespace();
    const base = `/api/v1/namespaces/${namespace}`;
    await server.admin("POST", `${base}/serviceaccounts`, { body: { metadata: { name: "hub" } } });
    const pod = await server.admin("POST", `${base}/pods`, {
      body: {
        metadata: { name: "hub-0" },
        spec: { serviceAccountName: "hub", containers: [{ name: "transport", image: "postroom" }] },
      },
    });
    return { namespace, base, pod: { name: "hub-0", uid: pod.metadata.uid as string } };
  }

  test("a token bound to a pod says who it is, and dies with the pod", async () => {
    const { namespace, base, pod } = await accountAndPod();
    const client = apiClient(
      server.authFor(await server.tokenFor({ namespace, serviceAccount: "hub", pod })),
    );
    // The server holds a token that was once good for 10 s, so this one is shown only afterwards.
    const late = apiClient(server.authFor(await server.tokenFor({ namespace, serviceAccount: "hub", pod })));
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const { status } = await client.call("POST", review, { body });
    expect(status.userInfo.username).toBe(`system:serviceaccount:${namespace}:hub`);
    expect(status.userInfo.extra["authentication.kubernetes.io/pod-name"]).toEqual(["hub-0"]);
    await server.admin("DELETE", `${base}/pods/hub-0?gracePeriodSeconds=0`);
    await expect(late.call("POST", review, { body })).rejects.toMatchObject({ status: 401 });
    client.close();
    late.close();
  });

  test("RBAC holds for a service account", async () => {
    const { namespace, base } = await accountAndPod();
    const client = apiClient(server.authFor(await server.tokenFor({ namespace, serviceAccount: "hub" })));
    await expect(client.call("GET", `${base}/secrets`)).rejects.toMatchObject({
      status: 403,
      reason: "Forbidden",
    });
    client.close();
  });

  test("objects outlive a server that is killed", async () => {
    const { base, pod } = await accountAndPod();
    await server.stopServer("SIGKILL");
    await expect(server.admin("GET", "/readyz")).rejects.toThrow("ECONNREFUSED");
    await server.startAgain();
    expect((await server.admin("GET", `${base}/pods/hub-0`)).metadata.uid).toBe(pod.uid);
  });

  test("forgetHistory() makes earlier watches and continue tokens 410 Gone", async () => {
    const { base } = await accountAndPod();
    for (const name of ["a", "b", "c"]) {
      await server.admin("POST", `${base}/configmaps`, { body: { metadata: { name } } });
    }
    const { metadata } = await server.admin("GET", `${base}/configmaps?limit=2`);
    await server.admin("DELETE", `${base}/configmaps/a`);
    await server.forgetHistory();
    const page = `${base}/configmaps?limit=2&continue=${metadata.continue}`;
    await expect(server.admin("GET", page)).rejects.toMatchObject({ status: 410, reason: "Expired" });
    const watch = `${base}/configmaps?watch=1&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=5`;
    expect(await server.admin("GET", watch)).toMatchObject({ type: "ERROR", object: { code: 410 } });
  });
});
