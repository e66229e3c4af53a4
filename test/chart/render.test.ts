/** Facts about what Helm makes of the charts, without a cluster. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { describe, expect, test } from "vitest";
import { labelsOf } from "../../operator/labels.ts";
import {
  chartArgs,
  helm,
  helmOrThrow,
  helmProgram,
  type RenderedObject,
  renderChart,
} from "../helpers/helm.ts";
import { run } from "../helpers/run.ts";

const ROOT = join(import.meta.dirname, "../..");
const OPERATOR = "charts/postroom";
const TRANSPORT = "charts/postroom-transport";
const FILES = [OPERATOR, TRANSPORT].flatMap((chart) =>
  readdirSync(join(ROOT, chart, "ci")).map((file) => ({ chart, file: `ci/${file}` })),
);
const CLUSTER_SCOPED = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"];

function one(objects: readonly RenderedObject[], kind: string, name?: string): RenderedObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name ?? object.metadata.name) === object.metadata.name,
  );
  expect(found).toHaveLength(1);
  return found[0]!;
}

type Rules = readonly Record<"apiGroups" | "resources" | "verbs", string[]>[];

/** "group/resource verb" of every right. */
function rights(rules: Rules): string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
    ),
  );
}

describe.skipIf(helmProgram() === undefined)("charts", () => {
  describe.each(FILES)("$chart with $file", ({ chart, file }) => {
    test("lint finds nothing", async () => {
      const { status, stdout, stderr } = await helm(
        "lint",
        "--strict",
        ...chartArgs(chart, { valueFiles: [file] }),
      );
      expect(`${stdout}${stderr}`).not.toMatch(/WARNING|ERROR/);
      expect(status).toBe(0);
    });

    test("each object has name, namespace, labels; none is there twice; twice is the same", async () => {
      const objects = await renderChart(chart, { valueFiles: [file], namespace: "home" });
      for (const { kind, metadata } of objects) {
        expect(metadata.name, kind).toMatch(/^[a-z]/);
        expect(metadata.labels?.["app.kubernetes.io/name"], `${kind} ${metadata.name}`).toBeDefined();
        expect(metadata.namespace !== undefined, `${kind} ${metadata.name}`).toBe(
          !CLUSTER_SCOPED.includes(kind),
        );
      }
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
      expect(new Set(names).size).toBe(names.length);
      expect(await renderChart(chart, { valueFiles: [file], namespace: "home" })).toEqual(objects);
    });
  });

  test.each([
    { chart: OPERATOR, name: "a key at the top", values: { replicaz: 2 } },
    { chart: OPERATOR, name: "a key below", values: { "image.tagg": "1" } },
    { chart: OPERATOR, name: "a key in a list", values: { tolerations: [{ kee: "x" }] } },
    { chart: OPERATOR, name: "a wrong type", values: { replicas: "two" } },
    { chart: OPERATOR, name: "a digest that is none", values: { "image.digest": "latest" } },
    { chart: TRANSPORT, name: "no host name", values: {} },
    {
      chart: TRANSPORT,
      name: "a field that the kind does not have",
      values: { "transport.spec.hostname": "mx.example", "receiveConnectors.internet.port": 25 },
    },
    {
      chart: TRANSPORT,
      name: "a value that the kind does not take",
      values: { "transport.spec.hostname": "mx.example", "sendConnectors.internet.routing.type": "UUCP" },
    },
  ])("the schema of $chart refuses $name", async ({ chart, values }) => {
    await expect(renderChart(chart, { values })).rejects.toThrow(/values don't meet the specifications/);
  });

  test("the definitions are those of files/crds, to the letter", async () => {
    const rendered = (await renderChart(OPERATOR)).filter(({ kind }) => kind === "CustomResourceDefinition");
    const folder = join(ROOT, OPERATOR, "files/crds");
    const files = readdirSync(folder).map(
      (file) => yaml.load(readFileSync(join(folder, file), "utf8")) as RenderedObject,
    );
    expect(rendered.map(({ spec }) => spec)).toEqual(files.map(({ spec }) => spec));
    for (const { metadata } of rendered)
      expect(metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
  });

  test("definitions are kept or not, in the release or not, as the values say", async () => {
    const unkept = await renderChart(OPERATOR, { values: { "crds.keep": false } });
    expect(
      one(unkept, "CustomResourceDefinition", "mailtransports.postroom.dev").metadata.annotations,
    ).toBeUndefined();
    const without = await renderChart(OPERATOR, { values: { "crds.enabled": false } });
    expect(without.filter(({ kind }) => kind === "CustomResourceDefinition")).toEqual([]);
  });

  test("all parts of the roles together are the rules of the operator, and no rule is a wildcard", async () => {
    const objects = await renderChart(OPERATOR);
    const given = ["postroom", "default:postroom", "default:postroom:shared"].flatMap((name) =>
      rights(
        objects.find(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === name)?.rules,
      ),
    );
    const rules = yaml.load(readFileSync(join(ROOT, OPERATOR, "files/operator-rules.yaml"), "utf8")) as Rules;
    expect(given.sort()).toEqual(rights(rules).sort());
    expect(given.filter((right) => right.includes("*"))).toEqual([]);
  });

  test("watchNamespaces: rights in these namespaces, and for the shared admission policy only", async () => {
    const objects = await renderChart(OPERATOR, {
      valueFiles: ["ci/watch-namespaces-values.yaml"],
      namespace: "op",
    });
    const bindings = objects
      .filter(({ kind }) => kind === "RoleBinding")
      .map(({ metadata }) => metadata.namespace);
    expect(bindings.sort()).toEqual(["mail", "mail-edge", "op"]);
    const [bound] = objects.filter(({ kind }) => kind === "ClusterRoleBinding");
    expect(bound?.roleRef.name).toBe("op:postroom:shared");
    expect(
      new Set(
        rights(one(objects, "ClusterRole", "op:postroom:shared").rules).map((right) => right.split("/")[0]),
      ),
    ).toEqual(new Set(["admissionregistration.k8s.io"]));
    expect(one(objects, "Deployment").spec.template.spec.containers[0].args).toContain(
      "--namespaces=mail,mail-edge",
    );
  });

  test("the operator's pods are admitted by the restricted Pod Security Standard", async () => {
    const { spec } = one(await renderChart(OPERATOR), "Deployment").spec.template;
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  test("image: tag, digest, and what transports get", async () => {
    const argsOf = async (values: Record<string, unknown>) => {
      const [container] = one(await renderChart(OPERATOR, { values }), "Deployment").spec.template.spec
        .containers;
      return [container.image, container.args.find((arg: string) => arg.startsWith("--image="))];
    };
    const digest = `sha256:${"a".repeat(64)}`;
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(await argsOf({})).toEqual([`postroom:${version}`, `--image=postroom:${version}`]);
    expect(await argsOf({ "image.digest": digest })).toEqual([
      `postroom@${digest}`,
      `--image=postroom@${digest}`,
    ]);
    expect(await argsOf({ transportImage: "other:1" })).toEqual([`postroom:${version}`, "--image=other:1"]);
  });

  test("the monitor of transports selects the pods that the operator makes", async () => {
    const objects = await renderChart(OPERATOR, { values: { "podMonitor.enabled": true } });
    const { selector, podMetricsEndpoints } = one(objects, "PodMonitor", "postroom-transports").spec;
    expect(labelsOf("hub")).toMatchObject(selector.matchLabels);
    expect(podMetricsEndpoints).toMatchObject([{ port: "http" }]);
  });

  test("a new chart version alone restarts no operator", async () => {
    const { metadata } = one(await renderChart(OPERATOR), "Deployment").spec.template;
    expect(JSON.stringify(metadata)).not.toContain("helm.sh/chart");
    expect(JSON.stringify(metadata)).not.toContain("version");
  });

  test("each object attaches to the transport of its release unless it says otherwise; null leaves one out", async () => {
    const values = {
      "transport.spec.hostname": "mx.example",
      "sendConnectors.internet": null,
      "acceptedDomains.other": { domains: ["x.example"], transportRefs: [{ name: "edge" }] },
    };
    const objects = await renderChart(TRANSPORT, { release: "hub", namespace: "mail", values });
    const refs = objects.map(({ kind, metadata, spec }) => [`${kind} ${metadata.name}`, spec.transportRefs]);
    expect(Object.fromEntries(refs)).toEqual({
      "MailTransport hub": undefined,
      "ReceiveConnector internet": [{ name: "hub" }],
      "AcceptedDomain other": [{ name: "edge" }],
    });
  });

  test.each([
    { page: "charts/postroom/README.md", count: 1 },
    { page: "charts/postroom-transport/README.md", count: 1 },
    { page: "docs/install.md", count: 2 },
  ])("each helm install of $page is one", async ({ page, count }) => {
    const commands = readFileSync(join(ROOT, page), "utf8").match(/^helm install (?:.*\\\n)*.*$/gm) ?? [];
    expect(commands).toHaveLength(count);
    for (const command of commands) {
      const script = command.replace("helm install", `cd '${ROOT}' && '${helmProgram()}' template`);
      const { status, output } = await run("sh", ["-c", script.replace("--create-namespace", "")]);
      expect(status, output).toBe(0);
    }
  });

  test("the notes name the deployment and the next command", async () => {
    const notes = await helmOrThrow(
      "install",
      "postroom",
      ...chartArgs(OPERATOR, { namespace: "op" }),
      "--dry-run=client",
    );
    expect(notes).toContain("kubectl -n op rollout status deployment/postroom");
    expect(notes).toContain("kind: MailTransport");
  });
});
