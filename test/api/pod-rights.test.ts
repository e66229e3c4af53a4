/**
 * What the tokens of a transport pod and of the operator may not do, each asked of a real API server; and that content of
 * Secrets is in Secrets and nowhere else.
 */
import { readFileSync } from "node:fs";
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeAuth } from "../../lib/kube/types.ts";
import { decodeChunk } from "../../snapshot/mod.ts";
import { type ApiClient, apiClient } from "../helpers/api-client.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { applyManifests } from "../helpers/applied-manifests.ts";
import { testCertificate } from "../helpers/certificate.ts";
import { type PlayedCluster, playCluster } from "../helpers/cluster-actors.ts";
import { eventually } from "../helpers/eventually.ts";
import { freePort } from "../helpers/free-port.ts";
import { installOperatorAccess, type OperatorAccount } from "../helpers/install.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";
import { transportCommand } from "../helpers/pod-runner.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";

const PORT = await freePort();
const CORE = "/api/v1/namespaces";
const OURS = "/apis/postroom.dev/v1alpha1/namespaces/mail";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const PASSWORD = "pw-of-ann-Rk7xQ2wZ";
const RELAY_PASSWORD = "pw-of-relay-Vt4mB9cY";
/** Written where a certificate and a user should stand, so that what complains of them has it in its hands. */
const NO_KEY = "no-key-at-all-Hd3nL8sF";
const NO_USER = "no-user-at-all-Jw6kP5gT";

function hub(name: string, spec: object, namespace = "mail"): object {
  const metadata = { name, namespace };
  return {
    apiVersion: "postroom.dev/v1alpha1",
    kind: "MailTransport",
    metadata,
    spec: { hostname: "mx.contoso.example", ...spec },
  };
}

function of(kind: string, name: string, transport: string, spec: object): object {
  const metadata = { name, namespace: "mail" };
  const transportRefs = [{ name: transport }];
  return { apiVersion: "postroom.dev/v1alpha1", kind, metadata, spec: { ...spec, transportRefs } };
}

function secret(name: string, stringData: object, namespace = "mail"): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, stringData };
}

function manifests(certificate: { readonly cert: string; readonly key: string }): string {
  const objects = [
    ...["mail", "elsewhere"].map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
    hub("hub", { replicas: 2 }),
    hub("edge", { replicas: 0 }),
    hub("hub", { replicas: 0 }, "elsewhere"),
    secret("mx-tls", { "tls.crt": certificate.cert, "tls.key": certificate.key }),
    secret("users", { users: `ann@contoso.example:${PASSWORD}\n` }),
    secret("relay-user", { username: "relay", password: RELAY_PASSWORD }),
    secret("of-somebody", { word: "x" }),
    secret("of-somebody", { word: "x" }, "elsewhere"),
    of("ReceiveConnector", "internet", "hub", {
      bindings: [{ port: PORT }],
      tls: { mode: "Opportunistic", certificateRefs: [{ name: "mx-tls" }] },
      authMechanisms: ["Tls", "BasicAuth"],
      credentialsRef: { name: "users" },
    }),
    of("SendConnector", "relay", "edge", {
      addressSpaces: [{ domain: "*" }],
      routing: { type: "SmartHost", smartHosts: [{ host: "127.0.0.1", port: 2599 }] },
      auth: { mechanism: "Plain", secretRef: { name: "relay-user" }, allowInsecure: true },
    }),
    of("AcceptedDomain", "contoso", "hub", { domains: ["contoso.example"] }),
  ];
  return objects.map((one) => JSON.stringify(one)).join("\n---\n");
}

/** One call: what it tries, and what the API server shall answer. */
interface Try {
  readonly verb: string;
  readonly what: string;
  readonly call: readonly [method: string, path: string, body?: unknown];
}

function tries(...rows: readonly (readonly [string, string, Try["call"]])[]): Try[] {
  return rows.map(([verb, what, call]) => ({ verb, what, call }));
}

const drained = { status: { drained: true } };
const role = (name: string, rules: readonly object[]) => ({ metadata: { name }, rules });
const everything = { apiGroups: ["*"], resources: ["*"], verbs: ["*"] };
const binding = (name: string, kind: string, to: string) => ({
  metadata: { name },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: to },
  subjects: [{ kind: "ServiceAccount", name: "hub", namespace: "mail" }],
});
const podSpec = { containers: [{ name: "x", image: "x" }] };
const tokenRequest = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };

const POD_MAY_NOT: readonly Try[] = tries(
  ["get", "a Secret of a user", ["GET", `${CORE}/mail/secrets/of-somebody`]],
  ["get", "the Secret its own connector names", ["GET", `${CORE}/mail/secrets/mx-tls`]],
  ["get", "the keys of another transport", ["GET", `${CORE}/mail/secrets/edge-keys-1`]],
  ["get", "a Secret of another namespace", ["GET", `${CORE}/elsewhere/secrets/of-somebody`]],
  ["list", "Secrets", ["GET", `${CORE}/mail/secrets`]],
  ["list", "its keys", ["GET", `${CORE}/mail/secrets?fieldSelector=metadata.name%3Dhub-keys-1`]],
  ["list", "Secrets of all namespaces", ["GET", "/api/v1/secrets"]],
  ["watch", "Secrets", ["GET", `${CORE}/mail/secrets?watch=true`]],
  ["patch", "its keys", ["PATCH", `${CORE}/mail/secrets/hub-keys-1`, { metadata: { labels: { a: "b" } } }]],
  ["delete", "its keys", ["DELETE", `${CORE}/mail/secrets/hub-keys-1`]],
  ["create", "a Secret", ["POST", `${CORE}/mail/secrets`, { metadata: { name: "x" } }]],
  ["patch", "its head", ["PATCH", `${OURS}/transportsnapshots/hub`, { spec: { formatVersion: 1 } }]],
  ["delete", "its head", ["DELETE", `${OURS}/transportsnapshots/hub`]],
  ["get", "the head of another transport", ["GET", `${OURS}/transportsnapshots/edge`]],
  ["list", "heads", ["GET", `${OURS}/transportsnapshots`]],
  ["list", "chunks", ["GET", `${OURS}/snapshotchunks`]],
  ["create", "a chunk", ["POST", `${OURS}/snapshotchunks`, { metadata: { name: "x" } }]],
  ["delete", "chunks", ["DELETE", `${OURS}/snapshotchunks`]],
  ["patch", "its TransportPod", ["PATCH", `${OURS}/transportpods/hub-0`, { spec: { drain: true } }]],
  ["delete", "its TransportPod", ["DELETE", `${OURS}/transportpods/hub-0`]],
  ["create", "a TransportPod", ["POST", `${OURS}/transportpods`, { metadata: { name: "hub-7" } }]],
  ["list", "all TransportPods", ["GET", `${OURS}/transportpods`]],
  ["patch", "the status of another pod", ["PATCH", `${OURS}/transportpods/hub-1/status`, drained]],
  ["update", "its status, as a whole", ["PUT", `${OURS}/transportpods/hub-0/status`, drained]],
  ["get", "its MailTransport", ["GET", `${OURS}/mailtransports/hub`]],
  ["patch", "its MailTransport", ["PATCH", `${OURS}/mailtransports/hub`, { spec: { replicas: 9 } }]],
  ["patch", "the status of its MailTransport", ["PATCH", `${OURS}/mailtransports/hub/status`, drained]],
  ["list", "transport rules", ["GET", `${OURS}/transportrules`]],
  ["get", "its Role", ["GET", `${RBAC}/namespaces/mail/roles/hub`]],
  ["patch", "its Role", ["PATCH", `${RBAC}/namespaces/mail/roles/hub`, { rules: [everything] }]],
  ["create", "a RoleBinding", ["POST", `${RBAC}/namespaces/mail/rolebindings`, binding("x", "Role", "hub")]],
  ["patch", "its StatefulSet", ["PATCH", "/apis/apps/v1/namespaces/mail/statefulsets/hub", { spec: {} }]],
  ["list", "pods", ["GET", `${CORE}/mail/pods`]],
  ["create", "a pod", ["POST", `${CORE}/mail/pods`, { metadata: { name: "x" }, spec: podSpec }]],
  ["delete", "its own pod", ["DELETE", `${CORE}/mail/pods/hub-0`]],
  ["create", "a process in a pod", ["POST", `${CORE}/mail/pods/hub-1/exec?command=sh&stdout=true`]],
  ["create", "a token for itself", ["POST", `${CORE}/mail/serviceaccounts/hub/token`, tokenRequest]],
  ["list", "ConfigMaps", ["GET", `${CORE}/mail/configmaps`]],
  ["create", "an Event", ["POST", `${CORE}/mail/events`, { metadata: { name: "x" } }]],
  ["list", "namespaces", ["GET", "/api/v1/namespaces"]],
  ["list", "nodes", ["GET", "/api/v1/nodes"]],
  [
    "get",
    "the head of the same name elsewhere",
    ["GET", `${OURS.replace("/mail", "/elsewhere")}/transportsnapshots/hub`],
  ],
);

const POD_MAY: readonly Try[] = tries(
  ["get", "its head", ["GET", `${OURS}/transportsnapshots/hub`]],
  ["list", "its head by name", ["GET", `${OURS}/transportsnapshots?fieldSelector=metadata.name%3Dhub`]],
  ["get", "its TransportPod", ["GET", `${OURS}/transportpods/hub-0`]],
  ["get", "its keys", ["GET", `${CORE}/mail/secrets/hub-keys-1`]],
);

const OPERATOR_MAY_NOT: readonly Try[] = tries(
  ["create", "a Role of all rights", ["POST", `${RBAC}/namespaces/mail/roles`, role("x", [everything])]],
  [
    "create",
    "a Role that changes Secrets",
    [
      "POST",
      `${RBAC}/namespaces/mail/roles`,
      role("x", [{ apiGroups: [""], resources: ["secrets"], verbs: ["patch"] }]),
    ],
  ],
  [
    "create",
    "a Role that starts processes in pods",
    [
      "POST",
      `${RBAC}/namespaces/mail/roles`,
      role("x", [{ apiGroups: [""], resources: ["pods/exec"], verbs: ["create"] }]),
    ],
  ],
  [
    "patch",
    "the Role of a transport beyond its own rights",
    ["PATCH", `${RBAC}/namespaces/mail/roles/hub`, { rules: [everything] }],
  ],
  [
    "create",
    "a RoleBinding to cluster-admin",
    ["POST", `${RBAC}/namespaces/mail/rolebindings`, binding("x", "ClusterRole", "cluster-admin")],
  ],
  ["create", "a ClusterRole", ["POST", `${RBAC}/clusterroles`, role("x", [])]],
  [
    "create",
    "a ClusterRoleBinding",
    ["POST", `${RBAC}/clusterrolebindings`, binding("x", "ClusterRole", "cluster-admin")],
  ],
  ["get", "ClusterRoles", ["GET", `${RBAC}/clusterroles/cluster-admin`]],
  ["delete", "a namespace", ["DELETE", `${CORE}/mail`]],
  ["create", "a namespace", ["POST", CORE, { metadata: { name: "x" } }]],
  ["patch", "a Secret", ["PATCH", `${CORE}/mail/secrets/users`, { data: {} }]],
  ["delete", "all Secrets at once", ["DELETE", `${CORE}/mail/secrets`]],
  ["create", "a pod", ["POST", `${CORE}/mail/pods`, { metadata: { name: "x" }, spec: podSpec }]],
  ["delete", "a pod", ["DELETE", `${CORE}/mail/pods/hub-0`]],
  ["create", "a process in a pod", ["POST", `${CORE}/mail/pods/hub-0/exec?command=sh&stdout=true`]],
  ["get", "logs of a pod", ["GET", `${CORE}/mail/pods/hub-0/log`]],
  ["create", "a token of a transport", ["POST", `${CORE}/mail/serviceaccounts/hub/token`, tokenRequest]],
  ["list", "ConfigMaps", ["GET", `${CORE}/mail/configmaps`]],
  ["create", "a ConfigMap", ["POST", `${CORE}/mail/configmaps`, { metadata: { name: "x" } }]],
  [
    "create",
    "a Deployment",
    ["POST", "/apis/apps/v1/namespaces/mail/deployments", { metadata: { name: "x" } }],
  ],
  ["delete", "a volume of a queue", ["DELETE", `${CORE}/mail/persistentvolumeclaims/queue-hub-0`]],
  ["list", "nodes", ["GET", "/api/v1/nodes"]],
  ["delete", "a MailTransport", ["DELETE", `${OURS}/mailtransports/hub`]],
  ["create", "a MailTransport", ["POST", `${OURS}/mailtransports`, hub("x", {})]],
  [
    "patch",
    "what users write",
    ["PATCH", `${OURS}/accepteddomains/contoso`, { spec: { domains: ["a.example"] } }],
  ],
  ["delete", "what users write", ["DELETE", `${OURS}/accepteddomains/contoso`]],
  ["delete", "a head", ["DELETE", `${OURS}/transportsnapshots/hub`]],
  ["delete", "all chunks at once", ["DELETE", `${OURS}/snapshotchunks`]],
  [
    "patch",
    "the status of a pod, which only it may",
    ["PATCH", `${OURS}/transportpods/hub-0/status`, drained],
  ],
  [
    "delete",
    "a definition",
    ["DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mailtransports.postroom.dev"],
  ],
  [
    "delete",
    "the admission policy",
    ["DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/postroom-transport-pods"],
  ],
  [
    "patch",
    "another's admission policy",
    ["PATCH", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/x", { spec: {} }],
  ],
);

describe.skipIf(kubeAssets() === undefined)("in a played cluster", () => {
  let server: ApiServer;
  let account: OperatorAccount;
  let operator: OperatorProcess;
  let cluster: PlayedCluster;
  const clients: ApiClient[] = [];
  let privateKey: string;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    account = await installOperatorAccess(server);
    operator = await startOperator({ server, account, args: ["--log-level", "debug"] });
    const certificate = await testCertificate("mx.contoso.example");
    privateKey = certificate.key;
    await applyManifests(server, manifests(certificate));
    const command: typeof transportCommand = (...place) => {
      const program = transportCommand(...place);
      return { ...program, args: [...program.args, "--log-level", "debug"] };
    };
    cluster = await playCluster({ server, namespace: "mail", command });
    for (const name of ["hub-0", "hub-1"]) await cluster.ready(name, 60_000);
    await eventually(() => server.admin("GET", `${CORE}/mail/secrets/edge-keys-1`));
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await operator?.process.kill("SIGKILL");
    await cluster?.stop();
    await server?.stop();
  });

  function as(auth: KubeAuth): ApiClient {
    const client = apiClient(auth);
    clients.push(client);
    return client;
  }

  function attempt(client: ApiClient, [method, path, body]: Try["call"]): Promise<unknown> {
    return client.call(method, path, body === undefined ? {} : { body });
  }

  /** As somebody else, with the token given. */
  function impersonating(token: string, user: string): KubeAuth {
    const auth = server.authFor(token);
    return {
      ...auth,
      async credentials() {
        const { headers, ...rest } = await auth.credentials();
        return { ...rest, headers: { ...headers, "impersonate-user": user } };
      },
    };
  }

  describe("the token of pod hub-0", () => {
    let token: string;
    let pod: ApiClient;
    beforeAll(async () => {
      token = readFileSync((await cluster.ready("hub-0")).place.tokenFile, "utf8");
      pod = as(server.authFor(token));
    });

    test.each(POD_MAY)("may $verb $what", async ({ call }) => {
      await expect(attempt(pod, call)).resolves.toBeDefined();
    });

    test("may get the chunks that its head names", async () => {
      const { spec } = await server.admin("GET", `${OURS}/transportsnapshots/hub`);
      const { items } = await server.admin("GET", `${OURS}/snapshotchunks`);
      const index = items.find(
        (one: { spec: { digest: string } }) => one.spec.digest === spec.current.digest,
      );
      await expect(
        attempt(pod, ["GET", `${OURS}/snapshotchunks/${index.metadata.name}`]),
      ).resolves.toMatchObject({
        spec: { digest: spec.current.digest },
      });
    });

    test("may patch its own status", async () => {
      const path = `${OURS}/transportpods/hub-0/status`;
      await expect(attempt(pod, ["PATCH", path, { status: {} }])).resolves.toBeDefined();
    });

    test.each(POD_MAY_NOT)("may not $verb $what", async ({ verb, call }) => {
      await expect(attempt(pod, call)).rejects.toMatchObject(refusalOf(verb, call));
    });

    test.each(["admin", "system:serviceaccount:mail:edge"])("may not be %s", async (user) => {
      const other = as(impersonating(token, user));
      await expect(attempt(other, ["GET", `${CORE}/mail/secrets`])).rejects.toMatchObject({
        status: 403,
        message: expect.stringMatching(/cannot impersonate resource/),
      });
    });
  });

  describe("the operator's token", () => {
    let token: string;
    let client: ApiClient;
    beforeAll(async () => {
      token = await server.tokenFor(account);
      client = as(server.authFor(token));
    });

    test.each(OPERATOR_MAY_NOT)("may not $verb $what", async ({ verb, call }) => {
      await expect(attempt(client, call)).rejects.toMatchObject(refusalOf(verb, call));
    });

    test.each(["admin", "system:serviceaccount:mail:hub"])("may not be %s", async (user) => {
      const other = as(impersonating(token, user));
      await expect(attempt(other, ["GET", `${CORE}/mail/secrets`])).rejects.toMatchObject({
        status: 403,
        message: expect.stringMatching(/cannot impersonate resource/),
      });
    });

    test("is granted what its file says, without a wildcard", () => {
      const path = new URL("../../charts/postroom/files/operator-rules.yaml", import.meta.url);
      expect(readFileSync(path, "utf8")).not.toMatch(/["']?\*["']?\s*[\],]/);
      expect(yaml.load(readFileSync(path, "utf8"))).not.toEqual([]);
    });
  });

  describe("content of Secrets", () => {
    /** Middle of the PEM key: one line of 64 characters. */
    const secrets = () => [privateKey.split("\n")[2] ?? "", PASSWORD, RELAY_PASSWORD, NO_KEY, NO_USER];

    beforeAll(async () => {
      const { place } = await cluster.ready("hub-0");
      const client = await openDialogue({ host: place.address, port: PORT });
      const word = Buffer.from(`\0ann@contoso.example\0${PASSWORD}`).toString("base64");
      expect(await client.say(`AUTH PLAIN ${word}`)).toMatch(/^235 /);
      client.close();
      await applyManifests(
        server,
        [
          secret("mx-tls", { "tls.crt": privateKey, "tls.key": NO_KEY }),
          secret("users", { users: `${NO_USER}\nann@contoso.example:${PASSWORD}\n` }),
        ]
          .map((one) => JSON.stringify(one))
          .join("\n---\n"),
      );
      await eventually(async () => {
        const { status } = await server.admin("GET", `${OURS}/receiveconnectors/internet`);
        return status.conditions.some(({ reason }: { reason: string }) => reason === "InvalidCertificate");
      });
      // The users went their way to the pods, the certificate did not.
      await eventually(() => server.admin("GET", `${CORE}/mail/secrets/hub-keys-2`));
      await eventually(async () => {
        const { spec } = await server.admin("GET", `${OURS}/transportsnapshots/hub`);
        const { status } = await server.admin("GET", `${OURS}/transportpods/hub-1`);
        return (
          spec.current.keys.secret === "hub-keys-2" && status.snapshot.revision === spec.current.revision
        );
      });
    });

    test.each([0, 1, 2])("would be found in base64, %d octets behind others", (offset) => {
      const octets = Buffer.from(`${"o".repeat(offset)}${PASSWORD} and more`);
      expect(placesOf(PASSWORD, [{ key: "k", text: octets.toString("base64") }])).toEqual(["k"]);
    });

    test("is in Secrets, where it is found", async () => {
      const stored = await everythingStored(server);
      const inSecrets = stored.filter(({ key }) => key.startsWith("/registry/secrets/"));
      for (const text of secrets()) expect(placesOf(text, inSecrets)).not.toEqual([]);
    });

    test("is in no other object, event or chunk of the cluster", async () => {
      const stored = await everythingStored(server);
      const others = stored.filter(({ key }) => !key.startsWith("/registry/secrets/"));
      expect(others.map(({ key }) => key)).toEqual(
        expect.arrayContaining([
          expect.stringContaining("/events/"),
          expect.stringContaining("/snapshotchunks/"),
        ]),
      );
      for (const text of secrets()) expect(placesOf(text, others)).toEqual([]);
    });

    test("is in no log line and no metric of operator and pods, even at debug", async () => {
      const pods = cluster.pods();
      const urls = [operator.url, ...pods.map(({ place }) => `http://${place.address}:9525`)];
      const metrics = await Promise.all(
        urls.map(async (url) => ({ key: url, text: await (await fetch(`${url}/metrics`)).text() })),
      );
      const processes = [operator.process, ...pods.map(({ process }) => process)];
      const logs = processes.flatMap(({ lines }) =>
        lines.map((line) => ({ key: String(line.msg), text: JSON.stringify(line) })),
      );
      expect(logs.some(({ text }) => text.includes('"debug"'))).toBe(true);
      for (const text of secrets()) expect(placesOf(text, [...logs, ...metrics])).toEqual([]);
    });
  });
});

/** RBAC names the verb; admission and the check of escalation say why. */
function refusalOf(verb: string, [method, path]: Try["call"]) {
  const isCollection = method === "DELETE" && /\/(?:secrets|snapshotchunks)$/.test(path);
  const asked = isCollection ? "deletecollection" : verb;
  const words = [
    `cannot ${asked} `,
    "is written by the pod of this name only",
    "attempting to grant RBAC permissions not currently held",
  ];
  return { status: 403, message: expect.stringMatching(new RegExp(words.join("|"))) };
}

interface Stored {
  readonly key: string;
  readonly text: string;
}

/** Every key of etcd with its value; a chunk unpacked too. */
async function everythingStored({ etcdUrl }: ApiServer): Promise<Stored[]> {
  const answer = await fetch(`${etcdUrl}/v3/kv/range`, {
    method: "POST",
    // All keys.
    body: JSON.stringify({ key: "AA==", range_end: "AA==" }),
  });
  const { kvs } = (await answer.json()) as { kvs: { key: string; value: string }[] };
  return kvs.map((pair) => {
    const key = Buffer.from(pair.key, "base64").toString();
    const text = Buffer.from(pair.value, "base64").toString("latin1");
    return { key, text: key.includes("/snapshotchunks/") ? text + unpacked(text) : text };
  });
}

function unpacked(text: string): string {
  const chunk = decodeChunk(JSON.parse(text).spec);
  if (!chunk.ok) throw new Error("A chunk cannot be unpacked");
  return chunk.value;
}

/** Where a text stands: plain, or in base64 at any offset. */
function placesOf(text: string, stored: readonly Stored[]): string[] {
  const encoded = [0, 1, 2].map((offset) => {
    const whole = Buffer.from("x".repeat(offset) + text)
      .toString("base64")
      .replaceAll("=", "");
    // What the octets before and after it have a part in is cut off.
    return whole.slice(offset === 0 ? 0 : offset + 1, -2);
  });
  const forms = [text, ...encoded];
  return stored.filter((one) => forms.some((form) => one.text.includes(form))).map(({ key }) => key);
}
