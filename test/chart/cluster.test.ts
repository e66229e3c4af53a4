/** Facts about the charts at a real API server: what it says of every object, and Helm's install, upgrade, uninstall. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ApiFault } from "../helpers/api-client.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { applyManifests } from "../helpers/applied-manifests.ts";
import { eventually } from "../helpers/eventually.ts";
import {
  chartArgs,
  helmOrThrow,
  helmProgram,
  type RenderedObject,
  type RenderOptions,
  renderChart,
} from "../helpers/helm.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";

const OPERATOR = "charts/postroom";
const TRANSPORT = "charts/postroom-transport";
const ROOT = join(import.meta.dirname, "../..");
const FILES = [OPERATOR, TRANSPORT].flatMap((chart) =>
  readdirSync(join(ROOT, chart, "ci")).map((file) => ({ chart, file: `ci/${file}` })),
);
const MAIL = "/apis/postroom.dev/v1alpha1";
const isReady = helmProgram() !== undefined && kubeAssets() !== undefined;

describe.skipIf(!isReady)("what the API server says of every object of the charts", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    for (const [kind, plural] of [
      ["PodMonitor", "podmonitors"],
      ["PrometheusRule", "prometheusrules"],
    ] as const) {
      await server.admin("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
        body: anyObjects("monitoring.coreos.com", kind, plural),
      });
      await eventually(() => server.admin("GET", `/apis/monitoring.coreos.com/v1/${plural}`));
    }
    for (const name of ["home", "mail", "mail-edge"])
      await server.admin("POST", "/api/v1/namespaces", { body: { metadata: { name } } });
  });
  afterAll(() => server?.stop());

  test.each(FILES)("$chart with $file: nothing unknown, nothing refused", async ({ chart, file }) => {
    const objects = await renderChart(chart, { valueFiles: [file], namespace: "home" });
    const faults: string[] = [];
    for (const object of objects) {
      const path = await pathOf(server, object);
      const body = yaml.dump(object);
      await server
        .admin("PATCH", `${path}?dryRun=All&fieldManager=helm&fieldValidation=Strict&force=true`, {
          body,
          contentType: "application/apply-patch+yaml",
        })
        .catch((fault: Error) => faults.push(fault.message));
    }
    expect(faults).toEqual([]);
    expect(objects.length).toBeGreaterThan(0);
  });
});

describe.skipIf(!isReady).each([
  { name: "the whole cluster", values: {} },
  { name: "one namespace", values: { watchNamespaces: ["mail"] } },
])("an operator of $name as the chart installs it", ({ values }) => {
  const namespace = "postroom-system";
  let server: ApiServer;
  let operator: OperatorProcess;
  const release = (verb: string, name: string, chart: string, options: RenderOptions) =>
    helmOrThrow(verb, name, ...chartArgs(chart, options), "--kubeconfig", server.kubeconfigPath);
  beforeAll(async () => {
    server = await startApiServer();
    for (const name of [namespace, "mail", "other"])
      await server.admin("POST", "/api/v1/namespaces", { body: { metadata: { name } } });
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await server?.stop();
  });

  const get = (path: string) => server.admin("GET", path);
  const isGone = (path: string) =>
    get(path).then(
      () => false,
      (fault: unknown) => fault instanceof ApiFault && fault.status === 404,
    );

  test("helm install makes definitions, roles and the operator; its notes are the next command", async () => {
    const notes = await release("install", "postroom", OPERATOR, { namespace, values });
    const example = /<<'END'\n([\s\S]*?)\n {2}END/.exec(notes)?.[1]?.replaceAll(/^ {2}/gm, "") ?? "";
    await eventually(() => get(`${MAIL}/transportrules`));
    await applyManifests(server, example, "mail");
    const deployment = await get(`/apis/apps/v1/namespaces/${namespace}/deployments/postroom`);
    expect(deployment.spec.replicas).toBe(2);
  });

  test("with the rights and arguments that the chart gives, it does all of its work and is refused nothing", async () => {
    const { spec } = await get(`/apis/apps/v1/namespaces/${namespace}/deployments/postroom`);
    const [command, ...args] = spec.template.spec.containers[0].args;
    expect(command).toBe("operator");
    const account = { namespace, serviceAccount: spec.template.spec.serviceAccountName };
    operator = await startOperator({ server, account, args });
    await eventually(async () => {
      const { status } = await get(`${MAIL}/namespaces/mail/mailtransports/hub`);
      const programmed = status.conditions?.find(({ type }: { type: string }) => type === "Programmed");
      // Nobody plays the pods here.
      return programmed?.reason === "NoPods";
    });
    const { spec: wanted } = await get("/apis/apps/v1/namespaces/mail/statefulsets/hub");
    expect(wanted.template.spec.containers[0].image).toBe(spec.template.spec.containers[0].image);
    await eventually(() =>
      get("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/postroom-transport-pods"),
    );
    await get(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/postroom`);
    await eventually(async () => {
      const { items } = await get(`${MAIL}/namespaces/mail/accepteddomains`);
      return items.every(({ status }: { status: { conditions?: { type: string; status: string }[] } }) =>
        status.conditions?.some((one) => one.type === "Accepted" && one.status === "True"),
      );
    });
    expect(await operator.metric("postroom_operator_requests_total", { code: "403" })).toBe(0);
    expect(await operator.metric("postroom_operator_requests_total", { code: "200" })).toBeGreaterThan(10);
  });

  test("who views the namespace sees Postroom's objects, who edits it writes connectors, who administers it transports", async () => {
    const rules = async (name: string) =>
      JSON.stringify((await get(`/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`)).rules);
    expect(await rules(`${namespace}:postroom:view`)).not.toMatch(/create|secrets|chunks/);
    expect(await rules(`${namespace}:postroom:edit`)).not.toContain("mailtransports");
    expect(await rules(`${namespace}:postroom:admin`)).toContain("mailtransports/scale");
  });

  test("the second chart's objects are taken in", async () => {
    const edge = {
      "transport.spec.hostname": "edge.contoso.example",
      receiveConnectors: { internet: null, edge: { bindings: [{ port: 2526 }] } },
      sendConnectors: { internet: null },
    };
    await release("install", "edge", TRANSPORT, { namespace: "mail", values: edge });
    await eventually(async () => {
      const { status } = await get(`${MAIL}/namespaces/mail/receiveconnectors/edge`);
      const accepted = status.conditions?.find(({ type }: { type: string }) => type === "Accepted");
      return accepted?.status === "True" && status.transports.includes("mail/edge");
    });
  });

  test("helm upgrade changes the operator and no pod of a transport", async () => {
    const before = await get("/apis/apps/v1/namespaces/mail/statefulsets/hub");
    await release("upgrade", "postroom", OPERATOR, {
      namespace,
      values: { ...values, replicas: 3, logLevel: "debug" },
    });
    const { spec } = await get(`/apis/apps/v1/namespaces/${namespace}/deployments/postroom`);
    expect(spec.replicas).toBe(3);
    expect((await get("/apis/apps/v1/namespaces/mail/statefulsets/hub")).spec.template).toEqual(
      before.spec.template,
    );
  });

  test("helm uninstall leaves definitions, objects and pods; a new install takes them over", async () => {
    const before = await get("/apis/apps/v1/namespaces/mail/statefulsets/hub");
    await operator.process.kill();
    await helmOrThrow(
      "uninstall",
      "postroom",
      "--namespace",
      namespace,
      "--kubeconfig",
      server.kubeconfigPath,
    );
    await eventually(() => isGone(`/apis/apps/v1/namespaces/${namespace}/deployments/postroom`));
    await eventually(() => isGone(`/apis/rbac.authorization.k8s.io/v1/clusterroles/${namespace}:postroom`));
    expect(
      (await get(`${MAIL}/namespaces/mail/mailtransports/hub`)).metadata.deletionTimestamp,
    ).toBeUndefined();
    const after = await get("/apis/apps/v1/namespaces/mail/statefulsets/hub");
    expect(after.metadata.uid).toBe(before.metadata.uid);
    await release("install", "postroom", OPERATOR, { namespace, values });
    expect((await get(`${MAIL}/namespaces/mail/mailtransports/hub`)).metadata.uid).toBeDefined();
  });
});

/** Where an object lies, as the server itself says. */
async function pathOf(server: ApiServer, { apiVersion, kind, metadata }: RenderedObject): Promise<string> {
  const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = await server.admin<{
    resources: { kind: string; name: string; namespaced: boolean }[];
  }>("GET", base);
  const found = resources.find((one) => one.kind === kind && !one.name.includes("/"));
  if (found === undefined) throw new Error(`The server knows no ${apiVersion} ${kind}`);
  const place = found.namespaced ? `/namespaces/${metadata.namespace}` : "";
  return `${base}${place}/${found.name}/${encodeURIComponent(metadata.name)}`;
}

/** The Prometheus Operator's own definitions are half a megabyte. */
function anyObjects(group: string, kind: string, plural: string): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${plural}.${group}`,
      annotations: { "api-approved.kubernetes.io": "unapproved, a test" },
    },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, plural },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        },
      ],
    },
  };
}
