import { describe, expect, test } from "vitest";
import { objects } from "../test/helpers/resources.ts";
import { checkManifests } from "./check-manifests.ts";
import { type CompileInput, compileSnapshot } from "./compile.ts";

const hub = (allowed: string) =>
  `MailTransport hub@mail {hostname: mx.a.example, allowedNamespaces: ${allowed}}`;
const RULE =
  "TransportRule r@sales {transportRefs: [{name: hub, namespace: mail}], actions: {deleteMessage: true}}";
const SELECTOR =
  "{from: Selector, selector: {matchLabels: {mail: 'yes'}, matchExpressions: [{key: tier, operator: NotIn, values: [test]}]}}";

function compile(lines: readonly string[], more: Partial<CompileInput> = {}) {
  const { snapshot, diagnostics } = compileSnapshot({
    resources: objects(...lines),
    transport: "mail/hub",
    ...more,
  });
  return {
    snapshot,
    rules: snapshot?.rules.map(({ name }) => name),
    says: diagnostics.map(({ object, path, reason, message }) => `${object} ${path} ${reason}: ${message}`),
  };
}

describe("an object of another namespace attaches", () => {
  const labels = (some: Record<string, string>) => new Map([["sales", some]]);
  test.each([
    { name: "not without leave", allowed: "{}", namespaces: undefined, want: [] },
    { name: "with from: All", allowed: "{from: All}", namespaces: undefined, want: ["sales/r"] },
    {
      name: "when its labels match",
      allowed: SELECTOR,
      namespaces: labels({ mail: "yes" }),
      want: ["sales/r"],
    },
    { name: "not with another value", allowed: SELECTOR, namespaces: labels({ mail: "no" }), want: [] },
    { name: "not without the label", allowed: SELECTOR, namespaces: labels({ tier: "live" }), want: [] },
    {
      name: "not when an expression fails",
      allowed: SELECTOR,
      namespaces: labels({ mail: "yes", tier: "test" }),
      want: [],
    },
    { name: "not when its labels are not known", allowed: SELECTOR, namespaces: new Map(), want: [] },
    {
      name: "with an empty selector",
      allowed: "{from: Selector, selector: {}}",
      namespaces: labels({}),
      want: ["sales/r"],
    },
  ])("$name", ({ allowed, namespaces, want }) => {
    const { rules, says } = compile([hub(allowed), RULE], { namespaces });
    expect(rules).toEqual(want);
    expect(says).toHaveLength(1 - want.length);
  });

  test.each([
    ["In", "[a, b]", { key: "a" }, { key: "c" }],
    ["NotIn", "[a, b]", { other: "a" }, { key: "a" }],
    ["Exists", "[]", { key: "" }, { other: "" }],
    ["DoesNotExist", "[]", { toString: "a" }, { key: "a" }],
  ])("by an expression with %s", (operator, values, yes, no) => {
    const allowed = `{from: Selector, selector: {matchExpressions: [{key: key, operator: ${operator}, values: ${values}}]}}`;
    expect(compile([hub(allowed), RULE], { namespaces: labels(yes as never) }).rules).toEqual(["sales/r"]);
    expect(compile([hub(allowed), RULE], { namespaces: labels(no as never) }).rules).toEqual([]);
  });

  test("only when it names the transport and its namespace", () => {
    const silent = "TransportRule silent@sales {actions: {deleteMessage: true}}";
    const bare = "TransportRule bare@sales {transportRefs: [{name: hub}], actions: {deleteMessage: true}}";
    const { rules, says } = compile([hub("{from: All}"), silent, bare]);
    expect(rules).toEqual([]);
    expect(says).toEqual([
      "TransportRule/sales/bare spec.transportRefs[0] TransportNotFound: there is no MailTransport sales/hub",
      "TransportRule/sales/silent metadata.namespace TransportNotFound: attaches to nothing: there is no MailTransport in namespace sales",
    ]);
  });
});

describe("who may not attach is told", () => {
  const prefix = "TransportRule/sales/r spec.transportRefs[0] NotAllowedByTransport: MailTransport mail/hub";
  test.each([
    {
      name: "to move or to ask for leave",
      allowed: "{}",
      namespaces: undefined,
      want: "takes objects of its own namespace only: move this one to mail, or allow namespace sales in the transport's spec.allowedNamespaces",
    },
    {
      name: "that its labels do not match",
      allowed: SELECTOR,
      namespaces: new Map([["sales", {}]]),
      want: "does not take objects of namespace sales: give it labels that match the transport's spec.allowedNamespaces.selector",
    },
    {
      name: "that its labels are not known",
      allowed: SELECTOR,
      namespaces: undefined,
      want: "takes namespaces by their labels, and those of sales are not known: add its Namespace to the manifests",
    },
  ])("$name", ({ allowed, namespaces, want }) => {
    expect(compile([hub(allowed), RULE], { namespaces }).says).toEqual([`${prefix} ${want}`]);
  });

  test("in a folder, where a Namespace among the manifests gives the labels", () => {
    const text = (label: string) =>
      [
        `apiVersion: v1\nkind: Namespace\nmetadata: {name: sales, labels: {mail: "${label}"}}\n`,
        `apiVersion: postroom.dev/v1alpha1\nkind: MailTransport\nmetadata: {name: hub, namespace: mail}\nspec: {hostname: mx.a.example, allowedNamespaces: ${SELECTOR}}\n`,
        "apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: r, namespace: sales}\nspec: {transportRefs: [{name: hub, namespace: mail}], actions: {deleteMessage: true}}\n",
      ].join("---\n");
    const faults = (label: string) => checkManifests([{ path: "t.yaml", text: text(label) }]).faults;
    expect(faults("yes")).toEqual([]);
    expect(faults("no").map(({ field }) => field)).toEqual(["spec.transportRefs[0]"]);
  });
});

describe("what keeps a foreign object in force:", () => {
  const before = compile([hub("{from: All}"), RULE]).snapshot;
  const object = "TransportRule/sales/r";

  test("its last good form, when it is broken", () => {
    const { rules } = compile([hub("{from: All}")], { previous: before, broken: [object] });
    expect(rules).toEqual(["sales/r"]);
  });

  test("the leave of its transport, when that is broken", () => {
    const { rules } = compile([RULE], { previous: before, broken: ["MailTransport/mail/hub"] });
    expect(rules).toEqual(["sales/r"]);
  });

  test("nothing, when the leave is gone", () => {
    const { rules, says } = compile([hub("{}")], { previous: before, broken: [object] });
    expect(rules).toEqual([]);
    expect(says[0]).toContain(`${object} metadata.namespace NotAllowedByTransport`);
  });

  test("that its labels cannot be read, when they cannot be known", () => {
    const namespaces = new Map([["sales", { mail: "yes" }]]);
    const previous = compile([hub(SELECTOR), RULE], { namespaces }).snapshot;
    expect(compile([hub(SELECTOR), RULE], { previous, incomplete: true }).rules).toEqual(["sales/r"]);
    expect(compile([hub(SELECTOR)], { previous, incomplete: true }).rules).toEqual(["sales/r"]);
    expect(compile([hub(SELECTOR), RULE], { previous }).rules).toEqual([]);
    expect(compile([hub(SELECTOR), RULE], { incomplete: true }).rules).toEqual([]);
  });
});

describe("between namespaces", () => {
  const refs = "transportRefs: [{name: hub, namespace: mail}]";
  const all = hub("{from: All}");

  test("the older object wins a conflict", () => {
    const { snapshot, says } = compile([
      all,
      "AcceptedDomain d@mail!2026-02-01T00:00:00Z {domains: [a.example, b.example]}",
      `AcceptedDomain d@sales!2026-01-01T00:00:00Z {${refs}, domains: [a.example]}`,
    ]);
    expect(snapshot?.acceptedDomains.map(({ name, domains }) => [name, ...domains])).toEqual([
      ["mail/d", "b.example"],
      ["sales/d", "a.example"],
    ]);
    expect(says).toEqual([
      "AcceptedDomain/mail/d spec.domains[0] Conflicted: a.example belongs to AcceptedDomain sales/d, which was there first; the rest stays in force",
    ]);
  });

  test("a Secret is the child's own, whatever its transport has under that name", () => {
    const { snapshot, says } = compile(
      [
        all,
        `ReceiveConnector in@sales {${refs}, bindings: [{port: 2525}], tls: {certificateRefs: [{name: tls}]}}`,
        `SendConnector out@sales {${refs}, addressSpaces: [{domain: a.example}], routing: {type: SmartHost, smartHosts: [{host: a.example}]}, auth: {secretRef: {name: login}}}`,
      ],
      { secrets: new Map([["mail/login", { username: "a", password: "b" }]]) },
    );
    expect(snapshot?.receiveConnectors[0]?.tls.certificates).toEqual(["sales/tls"]);
    expect(snapshot?.sendConnectors[0]?.auth?.secret).toBe("sales/login");
    expect(says.map((line) => line.split(": ").slice(0, 2).join(": "))).toEqual([
      "ReceiveConnector/sales/in spec.tls.certificateRefs[0].name SecretNotFound: there is no Secret sales/tls",
      "SendConnector/sales/out spec.auth.secretRef.name SecretNotFound: there is no Secret sales/login",
    ]);
  });

  test("a bare connector name is sought beside the rule, a full one anywhere on the transport", () => {
    const rule = (name: string, connector: string) =>
      `TransportRule ${name}@sales {${refs}, conditions: {receiveConnectorIs: [${connector.replace("out", "in")}]}, actions: {routeMessageOutboundConnector: ${connector}}}`;
    const { snapshot, says } = compile([
      all,
      "SendConnector out@mail {addressSpaces: [{domain: '*'}], routing: {type: MX}}",
      "ReceiveConnector in@mail {bindings: [{port: 25}]}",
      rule("bare", "out"),
      rule("full", "mail/out"),
    ]);
    expect(snapshot?.rules.map(({ name, actions }) => [name, actions.routeMessageOutboundConnector])).toEqual(
      [["sales/full", "mail/out"]],
    );
    expect(says.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual([
      "TransportRule/sales/bare  Invalid:",
      "TransportRule/sales/bare spec.actions.routeMessageOutboundConnector ConnectorNotFound:",
      "TransportRule/sales/bare spec.conditions.receiveConnectorIs[0] ConnectorNotFound:",
    ]);
  });
});
