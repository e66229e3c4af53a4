/** The CustomResourceDefinitions on a real API server: it takes what the schemas take, and refuses what they refuse. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CUSTOM_RESOURCES, customResourceDefinition } from "../../crds/custom-resource.ts";
import { formatPath, readObject } from "../../crds/mod.ts";
import { RULES_KEY } from "../../crds/validation.ts";
import { ApiFault } from "../helpers/api-client.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { FAULTY_FIELDS, FAULTY_OBJECTS } from "../helpers/faulty-manifests.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";

/** docs/decisions/0080: what one object can get wrong alone and neither CEL nor a pattern can see. */
const LEFT_TO_THE_OPERATOR: ReadonlySet<string> = new Set([
  "an IPv6 range does not end before it begins",
  "the same range twice, however written",
  "an address space stands once",
  "a domain stands once",
  "an alias leads to one place",
  "an alias does not lead to itself",
  "a pattern that expands to many steps is refused",
  "the local part of an address has at most 64 octets",
  "a domain outside ASCII has an A-label form",
  // The API server puts the default in its place.
  "an empty value is not the same as none",
]);
/** A matter of YAML, gone when the API server sees the object. */
const ONLY_TEXT = "a merge key is refused";

const ROWS = [...FAULTY_FIELDS, ...FAULTY_OBJECTS].filter(({ name }) => name !== ONLY_TEXT);
const SAMPLES = join(import.meta.dirname, "../../samples/contoso");
const DIGEST = "0".repeat(64);

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const hasKubectl = await promisify(execFile)("kubectl", ["version", "--client"]).then(
  () => true,
  () => false,
);

describe.skipIf(kubeAssets() === undefined)("CustomResourceDefinitions", () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
  });
  afterAll(() => server?.stop());

  function pathOf(kind: string, namespace = "default"): string {
    const plural = CUSTOM_RESOURCES.find((resource) => resource.kind === kind)?.plural;
    return `/apis/postroom.dev/v1alpha1/namespaces/${namespace}/${plural}`;
  }

  /** What the API server says against an object; "": nothing. */
  async function refusalOf(object: Manifest): Promise<string> {
    const path = `${pathOf(object.kind)}?dryRun=All&fieldValidation=Strict`;
    return server.admin("POST", path, { body: object }).then(
      () => "",
      (fault: unknown) => {
        if (fault instanceof ApiFault && (fault.status === 422 || fault.status === 400)) return fault.message;
        throw fault;
      },
    );
  }

  test("are established, and structural", async () => {
    for (const { plural } of CUSTOM_RESOURCES) {
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.postroom.dev`;
      const { status } = await server.admin("GET", path);
      const conditions = status.conditions.map(({ type, status: is }: Record<string, string>) => [type, is]);
      expect([plural, Object.fromEntries(conditions)]).toEqual([
        plural,
        { NamesAccepted: "True", Established: "True" },
      ]);
    }
  });

  test.each(readdirSync(SAMPLES))(
    "take the sample %s, with the defaults that the schemas give",
    async (file) => {
      const objects = yaml.loadAll(readFileSync(join(SAMPLES, file), "utf8")) as Manifest[];
      for (const object of objects.filter(({ kind }) => kind !== "Secret")) {
        const path = `${pathOf(object.kind)}?dryRun=All&fieldValidation=Strict`;
        const { spec } = await server.admin("POST", path, { body: object });
        expect(spec).toEqual(JSON.parse(JSON.stringify(readObject(object).resource?.spec)));
      }
    },
  );

  test.each(ROWS)("$name: the same verdict from both", async ({ name, text, want }) => {
    const object = yaml.load(text) as Manifest;
    const { faults } = readObject(object);
    const refusal = await refusalOf(object);
    expect(faults.length > 0).toBe(want.length > 0);
    if (LEFT_TO_THE_OPERATOR.has(name)) {
      expect(refusal).toBe("");
      return;
    }
    expect(refusal === "").toBe(faults.length === 0);
    if (refusal === "") return;
    // An entry is named by its list when the rule is the list's, and a map's as map[key].
    const named = faults.filter(({ path }) => {
      const list = formatPath(path.slice(0, -1));
      return [formatPath(path), `${list}:`, `${list}[${path.at(-1)}]`].some((field) =>
        refusal.includes(field),
      );
    });
    expect([refusal, named.length > 0]).toEqual([refusal, true]);
  });

  test("every rule and pattern of the users' kinds has a row above that it refuses", async () => {
    const refusals = (
      await Promise.all(ROWS.map(({ text }) => refusalOf(yaml.load(text) as Manifest)))
    ).join();
    const users = CUSTOM_RESOURCES.filter(({ category }) => category === "mail");
    const said = new Set(users.flatMap((resource) => wordsOf(specSchema(resource))));
    expect(said.size).toBeGreaterThan(60);
    expect([...said].filter((words) => !refusals.includes(words))).toEqual([]);
  });

  test("a chunk never changes", async () => {
    const body = {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "SnapshotChunk",
      metadata: { name: "hub-0" },
      spec: { digest: DIGEST, encoding: "zstd", data: "AAAA" },
    };
    await server.admin("POST", pathOf("SnapshotChunk"), { body });
    const change = server.admin("PATCH", `${pathOf("SnapshotChunk")}/hub-0`, {
      body: { spec: { data: "BBBB" } },
    });
    await expect(change).rejects.toThrow("a chunk never changes: write another one");
    await server.admin("PATCH", `${pathOf("SnapshotChunk")}/hub-0`, {
      body: { metadata: { labels: { a: "b" } } },
    });
  });

  test("a chunk of the largest size is taken", async () => {
    const spec = { digest: DIGEST, encoding: "zstd", data: "A".repeat(1_400_000) };
    const body = {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "SnapshotChunk",
      metadata: { name: "hub-1" },
      spec,
    };
    await server.admin("POST", pathOf("SnapshotChunk"), { body });
  });

  test("the head of a snapshot is taken as it is written", async () => {
    const revision = { revision: 3, digest: DIGEST, keys: { secret: "hub-keys-1", digest: DIGEST } };
    const spec = {
      formatVersion: 1,
      current: revision,
      canary: { ...revision, pod: "hub-1", since: "2026-01-31T09:00:00.123Z" },
      refused: { ...revision, pod: "hub-0", message: "no", objects: ["TransportRule/mail/a"] },
      history: [{ revision: 2, digest: DIGEST }],
    };
    const head = {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "TransportSnapshot",
      metadata: { name: "hub" },
      spec,
    };
    expect((await server.admin("POST", pathOf("TransportSnapshot"), { body: head })).spec).toEqual(spec);
  });

  const condition = {
    type: "Ready",
    status: "True",
    reason: "Ready",
    message: "",
    observedGeneration: 1,
    lastTransitionTime: "2026-01-31T09:00:00Z",
  };
  test.each([
    {
      kind: "MailTransport",
      spec: { hostname: "mx.a.example" },
      status: {
        observedGeneration: 1,
        conditions: [condition],
        replicas: 3,
        readyReplicas: 2,
        selector: "app.kubernetes.io/instance=hub",
        snapshot: {
          revision: 5,
          digest: DIGEST,
          acknowledged: "2/3",
          bytes: 1,
          rejected: 0,
          counts: { rules: 1 },
        },
        queue: { messages: 1, oldestMessageTime: "2026-01-31T09:00:00.5Z", setAside: 0 },
      },
    },
    {
      kind: "AcceptedDomain",
      spec: { domains: ["a.example"] },
      status: { observedGeneration: 1, conditions: [condition], transports: ["mail/hub"] },
    },
    {
      kind: "TransportPod",
      spec: { transport: "hub" },
      status: {
        snapshot: { revision: 5, digest: DIGEST },
        source: "Disk",
        queue: { messages: 2, setAside: 1 },
        draining: true,
        drained: false,
      },
    },
  ])("the status of a $kind is kept as it is written", async ({ kind, spec, status }) => {
    const base = pathOf(kind, await server.namespace());
    const body = { apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name: "x" }, spec };
    await server.admin("POST", base, { body });
    const path = `${base}/x/status?fieldValidation=Strict`;
    expect((await server.admin("PATCH", path, { body: { status } })).status).toEqual(status);
  });

  test("a MailTransport is scaled by its scale subresource", async () => {
    const base = pathOf("MailTransport", await server.namespace());
    const spec = { hostname: "mx.a.example" };
    await server.admin("POST", base, {
      body: { apiVersion: "postroom.dev/v1alpha1", kind: "MailTransport", metadata: { name: "x" }, spec },
    });
    await server.admin("PATCH", `${base}/x/scale`, { body: { spec: { replicas: 4 } } });
    expect((await server.admin("GET", `${base}/x`)).spec.replicas).toBe(4);
  });

  test.skipIf(!hasKubectl)("kubectl shows what a person looks for first", async () => {
    const namespace = await server.namespace();
    const spec = { bindings: [{ port: 2525 }, { port: 2587 }], tls: { mode: "None" } };
    const path = pathOf("ReceiveConnector", namespace);
    await server.admin("POST", path, {
      body: { apiVersion: "postroom.dev/v1alpha1", kind: "ReceiveConnector", metadata: { name: "x" }, spec },
    });
    await server.admin("PATCH", `${path}/x/status`, { body: { status: { conditions: [condition] } } });
    const flags = ["--kubeconfig", server.kubeconfigPath, "-n", namespace, "get", "mail"];
    const { stdout } = await promisify(execFile)("kubectl", flags);
    expect(stdout.split("\n").map((line) => line.split(/\s+/).slice(0, 4))).toEqual([
      ["NAME", "PORT", "TLS", "READY"],
      ["receiveconnector.postroom.dev/x", "2525", "None", "True"],
      [""],
    ]);
  });

  test.skipIf(!hasKubectl).each(CUSTOM_RESOURCES)(
    "kubectl explains $kind, and lists it",
    async (resource) => {
      const kubectl = async (...flags: string[]) =>
        (await promisify(execFile)("kubectl", ["--kubeconfig", server.kubeconfigPath, ...flags])).stdout;
      const { plural, shortNames, category, summary } = resource;
      expect((await kubectl("explain", plural)).replace(/\s+/g, " ")).toContain(summary);
      expect(await kubectl("explain", `${shortNames[0]}.spec`)).toContain("What is asked for.");
      const listed = await kubectl("api-resources", "--categories", category, "-o", "name");
      expect(listed.split("\n")).toContain(`${plural}.postroom.dev`);
      await kubectl("get", plural, "-o", "wide");
    },
  );
});

interface Schema {
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly [RULES_KEY]?: readonly { readonly message?: string; readonly messageExpression?: string }[];
}

function specSchema(resource: (typeof CUSTOM_RESOURCES)[number]): Schema {
  const definition = customResourceDefinition(resource) as {
    spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
  };
  const schema = definition.spec.versions[0]?.schema.openAPIV3Schema ?? {};
  return { ...schema, properties: { spec: schema.properties?.spec ?? {} } };
}

/** What the rules and patterns of a schema say when they refuse; of an expression its first words. */
function wordsOf(schema: Schema): string[] {
  const rules = (schema[RULES_KEY] ?? []).map(
    ({ message, messageExpression = "" }) => message ?? /'([^']*)'/.exec(messageExpression)?.[1] ?? "",
  );
  const below = [schema.items, schema.additionalProperties, ...Object.values(schema.properties ?? {})];
  const pattern = schema.pattern === undefined ? [] : [`'${schema.pattern}'`];
  return [...rules, ...pattern, ...below.flatMap((child) => (child === undefined ? [] : wordsOf(child)))];
}
