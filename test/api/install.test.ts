/** Facts about what a chart installs, as tests install it: definitions, the operator's rights, the admission policy. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiClient, apiClient } from "../helpers/api-client.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { installAdmission, installOperatorAccess } from "../helpers/install.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

const API = "/apis/postroom.dev/v1alpha1";

describe.skipIf(kubeAssets() === undefined)("an installed Postroom", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
  });
  afterAll(() => server?.stop());

  test("definitions are served, and may be installed again", async () => {
    await installCrds(server);
    expect(await server.admin("GET", `${API}/mailtransports`)).toMatchObject({ kind: "MailTransportList" });
  });

  describe("the operator's service account", () => {
    let operator: ApiClient;
    beforeAll(async () => {
      operator = apiClient(server.authFor(await server.tokenFor(await installOperatorAccess(server))));
    });
    afterAll(() => operator?.close());

    /** What kubectl auth can-i asks. */
    async function may(verb: string, group: string, resource: string): Promise<boolean> {
      const [name, subresource] = resource.split("/");
      const { status } = await operator.call(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
          body: {
            spec: { resourceAttributes: { verb, group, resource: name, subresource, namespace: "default" } },
          },
        },
      );
      return status.allowed;
    }

    test.each([
      { verb: "list", group: "postroom.dev", resource: "transportrules" },
      { verb: "patch", group: "postroom.dev", resource: "mailtransports/status" },
      { verb: "patch", group: "apps", resource: "statefulsets" },
      { verb: "get", group: "", resource: "secrets" },
    ])("may $verb $resource", async ({ verb, group, resource }) => {
      expect(await may(verb, group, resource)).toBe(true);
    });

    test.each([
      { verb: "update", group: "postroom.dev", resource: "transportrules" },
      { verb: "delete", group: "postroom.dev", resource: "mailtransports" },
      { verb: "create", group: "", resource: "pods" },
      { verb: "create", group: "rbac.authorization.k8s.io", resource: "clusterroles" },
      { verb: "delete", group: "", resource: "persistentvolumeclaims" },
    ])("may not $verb $resource", async ({ verb, group, resource }) => {
      expect(await may(verb, group, resource)).toBe(false);
    });
  });

  test("a pod writes the status of its own TransportPod and of no other", async () => {
    await installAdmission(server);
    const namespace = await server.namespace();
    const core = `/api/v1/namespaces/${namespace}`;
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    await server.admin("POST", `${core}/serviceaccounts`, { body: { metadata: { name: "hub" } } });
    await server.admin("POST", `${rbac}/roles`, {
      body: {
        metadata: { name: "hub" },
        rules: [
          { apiGroups: ["postroom.dev"], resources: ["transportpods", "transportpods/status"], verbs: ["*"] },
        ],
      },
    });
    await server.admin("POST", `${rbac}/rolebindings`, {
      body: {
        metadata: { name: "hub" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "hub" },
        subjects: [{ kind: "ServiceAccount", name: "hub", namespace }],
      },
    });
    const own = `${API}/namespaces/${namespace}/transportpods`;
    for (const name of ["hub-0", "hub-1"]) {
      await server.admin("POST", own, {
        body: {
          apiVersion: "postroom.dev/v1alpha1",
          kind: "TransportPod",
          metadata: { name },
          spec: { transport: "hub" },
        },
      });
    }
    const pod = await server.admin("POST", `${core}/pods`, {
      body: {
        metadata: { name: "hub-0" },
        spec: { serviceAccountName: "hub", containers: [{ name: "transport", image: "postroom" }] },
      },
    });
    const bound = { name: "hub-0", uid: pod.metadata.uid };
    const tokens = [
      await server.tokenFor({ namespace, serviceAccount: "hub", pod: bound }),
      await server.tokenFor({ namespace, serviceAccount: "hub" }),
    ];
    const [asPod, asAccount] = tokens.map((token) => apiClient(server.authFor(token)));
    const drained = { body: { status: { drained: true } } };
    expect(await asPod!.call("PATCH", `${own}/hub-0/status`, drained)).toMatchObject({
      status: { drained: true },
    });
    const forbidden = { status: 403 };
    await expect(asPod!.call("PATCH", `${own}/hub-1/status`, drained)).rejects.toMatchObject(forbidden);
    await expect(asAccount!.call("PATCH", `${own}/hub-0/status`, drained)).rejects.toMatchObject(forbidden);
    const spec = { body: { spec: { drain: true } } };
    await expect(asPod!.call("PATCH", `${own}/hub-0`, spec)).rejects.toMatchObject(forbidden);
    asPod!.close();
    asAccount!.close();
  });
});
