/** One verdict: what `postroom check` says of manifests is what the operator says of the objects, by object, field and word. */
import * as yaml from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Condition } from "../../crds/conditions.ts";
import type { Fault } from "../../crds/mod.ts";
import { RESOURCES, type ResourceName, resourcePath } from "../../lib/kube/paths.ts";
import { checkManifests } from "../../snapshot/mod.ts";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { applyManifests } from "../helpers/applied-manifests.ts";
import { expiredCertificate, testCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { FAULTY_FIELDS, FAULTY_OBJECTS } from "../helpers/faulty-manifests.ts";
import { installOperatorAccess } from "../helpers/install.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";

const API_VERSION = "postroom.dev/v1alpha1";
/** Stand for the row's two namespaces; the second one has the label mail=yes. */
const [HOME, AWAY] = ["$HOME", "$AWAY"];

interface Row {
  readonly name: string;
  readonly objects: readonly object[];
  /** Words that check says of it, as a guard against a row that says nothing; "": it says nothing. */
  readonly says: string;
}

function object(kind: string, name: string, spec: object, namespace = HOME): object {
  return { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec };
}

function secret(name: string, stringData: object): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: HOME }, stringData };
}

const hub = (spec: object = {}) =>
  object("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 0, ...spec });
const domain = (name: string, domains: readonly string[], spec: object = {}) =>
  object("AcceptedDomain", name, { domains, ...spec });
const receive = (name: string, spec: object = {}) =>
  object("ReceiveConnector", name, { bindings: [{ port: 25 }], ...spec });
const send = (name: string, spec: object = {}) =>
  object("SendConnector", name, {
    addressSpaces: [{ domain: "*" }],
    routing: { type: "MX" },
    ...spec,
  });
const rule = (name: string, spec: object = {}) =>
  object("TransportRule", name, { actions: { deleteMessage: true }, ...spec });
const guest = (spec: object = {}) =>
  object(
    "AcceptedDomain",
    "guest",
    { domains: ["guest.example"], transportRefs: [{ name: "hub", namespace: HOME }], ...spec },
    AWAY,
  );
const viaTls = { tls: { mode: "Opportunistic", certificateRefs: [{ name: "mx-tls" }] } };
const viaSmartHost = {
  routing: { type: "SmartHost", smartHosts: [{ host: "relay.contoso.example" }] },
  tls: { mode: "VerifyName", caRef: { name: "relay-ca" } },
  auth: { mechanism: "Plain", secretRef: { name: "relay-user" } },
};
const bySelector = (value: string) => ({
  allowedNamespaces: { from: "Selector", selector: { matchLabels: { mail: value } } },
});

const TOGETHER: readonly Row[] = [
  {
    name: "all is well",
    objects: [hub(), receive("a"), send("a"), domain("a", ["a.example"]), rule("a")],
    says: "",
  },
  {
    name: "what is disabled is not judged by others",
    objects: [hub(), domain("a", ["a.example"]), domain("b", ["a.example"], { enabled: false })],
    says: "",
  },
  {
    name: "a domain that is all another's",
    objects: [hub(), domain("a", ["a.example"]), domain("b", ["a.example"])],
    says: "nothing is left",
  },
  {
    name: "a domain that is in part another's",
    objects: [hub(), domain("a", ["a.example"]), domain("b", ["b.example", "a.example"])],
    says: "the rest stays in force",
  },
  {
    name: "two connectors for the same clients",
    objects: [
      hub(),
      receive("a", { remoteIPRanges: ["10.0.0.0/8"] }),
      receive("b", { remoteIPRanges: ["10.0.0.0/8", "192.0.2.0/24"] }),
    ],
    says: "belongs to ReceiveConnector",
  },
  {
    name: "a domain that no connector takes",
    objects: [hub(), send("a", { addressSpaces: [{ domain: "b.example" }] }), domain("a", ["a.example"])],
    says: "no SendConnector takes a.example",
  },
  {
    name: "a rule that routes by a connector that is not there",
    objects: [hub(), rule("a", { actions: { routeMessageOutboundConnector: "nowhere" } })],
    says: 'there is no SendConnector "nowhere"',
  },
  {
    name: "a rule that asks for a receive connector that is not there",
    objects: [hub(), rule("a", { conditions: { receiveConnectorIs: ["a", "b"] } }), receive("a")],
    says: 'there is no ReceiveConnector "b"',
  },
  {
    name: "a certificate that is not there",
    objects: [hub(), receive("a", viaTls)],
    says: "TLS is not offered with it",
  },
  {
    name: "a certificate without its key",
    objects: [hub(), receive("a", viaTls), secret("mx-tls", { "tls.crt": "x" })],
    says: "has no key tls.key",
  },
  {
    name: "a certificate that is none",
    objects: [hub(), receive("a", viaTls), secret("mx-tls", { "tls.crt": "x", "tls.key": "y" })],
    says: "mx-tls",
  },
  {
    name: "a smart host whose password and authority are not there",
    objects: [hub(), send("a", viaSmartHost)],
    says: "there is no Secret $HOME/relay-ca",
  },
  {
    name: "a smart host whose authority is none",
    objects: [
      hub(),
      send("a", viaSmartHost),
      secret("relay-user", { username: "u", password: "p" }),
      secret("relay-ca", { "ca.crt": "x" }),
    ],
    says: "ca.crt holds no certificate",
  },
  {
    name: "users that are not there",
    objects: [
      hub(),
      receive("a", {
        ...viaTls,
        authMechanisms: ["Tls", "BasicAuthRequireTLS"],
        credentialsRef: { name: "users" },
      }),
    ],
    says: "nobody can log on",
  },
  {
    name: "an object of a namespace that the transport does not take",
    objects: [hub(), guest()],
    says: "takes objects of its own namespace only",
  },
  {
    name: "an object of a namespace whose labels do not fit",
    objects: [hub(bySelector("no")), guest()],
    says: "give it labels that match",
  },
  { name: "an object of a namespace whose labels fit", objects: [hub(bySelector("yes")), guest()], says: "" },
  {
    name: "an object that names a transport that is not there",
    objects: [hub(), domain("a", ["a.example"], { transportRefs: [{ name: "hub" }, { name: "hop" }] })],
    says: "there is no MailTransport $HOME/hop",
  },
  {
    name: "an object in a namespace without a transport",
    objects: [hub(), guest({ transportRefs: undefined })],
    says: "attaches to nothing",
  },
  {
    name: "a rule whose connector only one of two transports has",
    objects: [
      hub(),
      object("MailTransport", "edge", { hostname: "edge.contoso.example", replicas: 0 }),
      send("a", { transportRefs: [{ name: "edge" }] }),
      rule("a", { actions: { routeMessageOutboundConnector: "a" } }),
    ],
    says: 'there is no SendConnector "a"',
  },
  {
    name: "a rule that routes by a connector that has faults",
    objects: [
      hub(),
      send("a", { addressSpaces: [{ domain: "a.example" }, { domain: "A.example" }] }),
      rule("a", { actions: { routeMessageOutboundConnector: "a" } }),
    ],
    says: 'there is no SendConnector "a"',
  },
  {
    name: "several faults of one object",
    objects: [
      hub(),
      rule("a", {
        conditions: { receiveConnectorIs: ["x", "y"] },
        actions: { routeMessageOutboundConnector: "z" },
      }),
    ],
    says: 'there is no SendConnector "z"',
  },
];

/** Wrong alone, and the API server lets it through. */
const ALONE = [
  "an IPv6 range does not end before it begins",
  "the same range twice, however written",
  "an address space stands once",
  "a domain stands once",
  "an alias leads to one place",
  "an alias does not lead to itself",
  "a pattern that expands to many steps is refused",
  "the local part of an address has at most 64 octets",
  "a domain outside ASCII has an A-label form",
];

async function allRows(): Promise<Row[]> {
  const manifests = [...FAULTY_FIELDS, ...FAULTY_OBJECTS];
  const alone = ALONE.map((name): Row => {
    const { text = "" } = manifests.find((one) => one.name === name) ?? {};
    const wrong = yaml.load(text) as { metadata: object };
    const objects = [hub(), { ...wrong, metadata: { ...wrong.metadata, namespace: HOME } }];
    return { name, objects, says: "spec." };
  });
  const certificate = ({ cert, key }: { cert: string; key: string }) =>
    secret("mx-tls", { "tls.crt": cert, "tls.key": key });
  const dated: Row[] = [
    {
      name: "a certificate that is good",
      objects: [hub(), receive("a", viaTls), certificate(await testCertificate("mx.contoso.example"))],
      says: "",
    },
    {
      name: "a certificate that has expired",
      objects: [hub(), receive("a", viaTls), certificate(await expiredCertificate("mx.contoso.example"))],
      says: "renew it",
    },
  ];
  return [...TOGETHER, ...dated, ...alone];
}

/** As check reads it: the namespaces are part of it. */
function textOf({ objects }: Row, [home, away]: readonly [string, string]): string {
  const namespaces = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: home } },
    { apiVersion: "v1", kind: "Namespace", metadata: { name: away, labels: { mail: "yes" } } },
  ];
  const text = [...namespaces, ...objects].map((one) => JSON.stringify(one)).join("\n---\n");
  return text.replaceAll(HOME, home).replaceAll(AWAY, away);
}

interface Judged {
  readonly kind: ResourceName;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

function judgedIn(text: string): Judged[] {
  const all = yaml.loadAll(text) as (Judged & { readonly apiVersion: string })[];
  return all.filter(({ apiVersion }) => apiVersion === API_VERSION);
}

const rows = kubeAssets() === undefined ? [] : await allRows();

describe.skipIf(kubeAssets() === undefined)("check and operator say the same of", () => {
  let server: ApiServer;
  let operator: OperatorProcess;
  const texts = new Map(rows.map((row, at) => [row.name, textOf(row, [`home-${at}`, `away-${at}`])]));
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    for (const text of texts.values()) await applyManifests(server, text);
    operator = await startOperator({ server, account: await installOperatorAccess(server) });
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await server?.stop();
  });

  /** Waits until the operator has judged the object as it stands. */
  function conditionsOf({ kind, metadata }: Judged): Promise<readonly Condition[]> {
    return eventually(async () => {
      const { metadata: seen, status } = await server.admin("GET", resourcePath(RESOURCES[kind], metadata));
      const conditions: readonly Condition[] = status?.conditions ?? [];
      // A MailTransport with faults is never compiled.
      const isRefused = conditions.some(({ type, status: is }) => type === "Accepted" && is === "False");
      const isJudged = isRefused || !conditions.some(({ reason }) => reason === "Pending");
      return status?.observedGeneration === seen.generation && isJudged ? conditions : undefined;
    });
  }

  test.each(rows)("$name", async ({ name, says }) => {
    const text = texts.get(name) ?? "";
    const { faults, warnings } = checkManifests([{ path: "row.yaml", text }], Date.now());
    const all = [...faults, ...warnings];
    if (says === "") expect(all).toEqual([]);
    else
      expect(all.map(sentence).join("\n")).toContain(
        says.replace(HOME, `home-${rows.findIndex((row) => row.name === name)}`),
      );
    for (const object of judgedIn(text)) {
      const { kind, metadata } = object;
      const key = `${kind}/${metadata.namespace}/${metadata.name}`;
      const conditions = await conditionsOf(object);
      const said = all.filter((fault) => fault.object === key).map(sentence);
      expect([key, unsaid(conditions, said)]).toEqual([key, { missing: [], more: [] }]);
      const isFaulty = faults.some((fault) => fault.object === key);
      if (isFaulty) expect([key, complaints(conditions)]).not.toEqual([key, []]);
      if (said.length === 0) expect([key, complaints(conditions)]).toEqual([key, []]);
    }
  });
});

/** A sentence of a condition. */
function sentence({ field, reason }: Fault): string {
  return field === "" ? reason : `${field}: ${reason}`;
}

/** Conditions that speak of the object and not of pods. */
const JUDGING: readonly string[] = ["Accepted", "ResolvedRefs", "Conflicted", "PartiallyInvalid"];
/** What comes of faults; check names the faults themselves. */
const CONSEQUENCE = /^(?:Dropped|Fall Back):/;

/** Sentences of check that no condition has, and what conditions say beyond them. */
function unsaid(conditions: readonly Condition[], said: readonly string[]) {
  const messages = conditions.filter(({ type }) => JUDGING.includes(type)).map(({ message }) => message);
  const longestFirst = said.toSorted((a, b) => b.length - a.length);
  const more = messages
    // With several transports a sentence begins with those that say it.
    .map((message) => longestFirst.reduce((rest, one) => rest.replace(one, ""), message))
    .flatMap((rest) => rest.split("; "))
    .filter((rest) => rest !== "" && !CONSEQUENCE.test(rest) && !/^[a-z0-9-]+\/[a-z]+: $/.test(rest));
  return { missing: said.filter((one) => !messages.some((message) => message.includes(one))), more };
}

/** Types of conditions by which an object is not in force as written, or may not be. */
function complaints(conditions: readonly Condition[]): string[] {
  return conditions
    .filter(({ type }) => JUDGING.includes(type))
    .filter(({ type, status }) => (type === "Accepted" || type === "ResolvedRefs") === (status === "False"))
    .map(({ type }) => type);
}
