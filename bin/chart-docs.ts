/** Renders values.yaml, values.schema.json and README.md of the charts from the schemas of their values. Pure. */
import * as yaml from "js-yaml";
import { z } from "zod";
import { KINDS } from "../crds/mod.ts";
import { type StructuralSchema, structuralSchema } from "../crds/structural-schema.ts";
import { dashboard } from "./chart-dashboard.ts";
import { ChartValues } from "./chart-values.ts";
import { fieldTable } from "./crd-docs.ts";
import { SPEC_OF, TransportChartValues } from "./transport-chart-values.ts";

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [keyword: string]: unknown;
}

interface Chart {
  readonly folder: string;
  readonly values: z.ZodObject;
  readonly intro: string;
}

const GENERATED = "by `npm run gen`: do not edit.";

const CHARTS: readonly Chart[] = [
  {
    folder: "charts/postroom",
    values: ChartValues,
    intro: `# Postroom: the operator

Mail transport for Kubernetes. This chart installs the custom resource definitions and the operator; transports,
connectors, domains and rules are your own objects, or those of the chart [postroom-transport](../postroom-transport).

\`\`\`sh
helm install postroom charts/postroom --namespace postroom-system --create-namespace \\
  --set image.repository=REGISTRY/postroom
\`\`\`

[docs/install.md](../../docs/install.md) says the rest: upgrade, uninstall, sizing, certificates, client addresses.`,
  },
  {
    folder: "charts/postroom-transport",
    values: TransportChartValues,
    intro: `# Postroom: a transport

One MailTransport with its connectors, domains and rules, from values. Install the chart [postroom](../postroom) first:
Helm looks up every kind of a release before it creates anything, so a first release cannot hold definitions in its
templates and objects of them as well. Objects of one's own, by \`kubectl apply\` or Git, do as well.

\`\`\`sh
helm install hub charts/postroom-transport --namespace mail --create-namespace \\
  --set transport.spec.hostname=mx.contoso.example \\
  --set acceptedDomains.contoso.domains='{contoso.example}' \\
  --set sendConnectors.mailboxes.addressSpaces[0].domain=contoso.example \\
  --set sendConnectors.mailboxes.routing.type=SmartHost \\
  --set sendConnectors.mailboxes.routing.smartHosts[0].host=mailbox.contoso.example
\`\`\`

Specs are those of [docs/crds.md](../../docs/crds.md), with the same checks. Each object attaches to this release's
MailTransport unless its spec names transportRefs. Uninstalling deletes the MailTransport: its mail drains first, its
volumes stay.`,
  },
];

/** Path below the root -> content. */
export function chartFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["charts/postroom/files/dashboard.json", `${JSON.stringify(dashboard(), undefined, 1)}\n`],
    ...CHARTS.flatMap(({ folder, values, intro }): [string, string][] => {
      const schema = z.toJSONSchema(values, { io: "input" }) as Schema;
      const readme = `${intro}\n\n## Values\nGenerated ${GENERATED}\n\n${fieldTable(values)}\n`;
      return [
        [`${folder}/values.yaml`, `# Generated ${GENERATED}\n${renderValues(schema, "").join("\n")}\n`],
        [`${folder}/values.schema.json`, `${JSON.stringify(valuesSchema(schema), undefined, 1)}\n`],
        [`${folder}/README.md`, readme],
      ];
    }),
  ]);
}

/** One key after the other, each under its description; what has no default is in the README only. */
function renderValues({ properties = {} }: Schema, indent: string): string[] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const lines = field.properties
      ? [`${indent}${name}:`, ...renderValues(field, `${indent}  `)]
      : renderLeaf(name, field.default, indent);
    return lines.length === 0 ? [] : [`${indent}# ${field.description}`, ...lines];
  });
}

function renderLeaf(name: string, value: unknown, indent: string): string[] {
  if (value === undefined) return [];
  const text = yaml.dump(
    { [name]: value },
    { flowLevel: Array.isArray(value) ? 1 : 4, quoteStyle: "double" },
  );
  return text
    .trimEnd()
    .split("\n")
    .map((line) => indent + line);
}

/** What Helm checks values by. Objects of the kinds have the schema of their definition, and no further field. */
function valuesSchema(schema: Schema): Schema {
  return { $schema: "http://json-schema.org/draft-07/schema#", ...plain(schema, "") };
}

const SHOWN = new Set(["$schema", "default", "propertyNames", SPEC_OF]);

function plain(schema: Schema, name: string): Schema {
  const kind = KINDS.find((one) => one.kind === schema[SPEC_OF]);
  const { description } = schema;
  if (kind !== undefined)
    return { ...closed(structuralSchema(kind.spec)), ...(description && { description }) };
  const kept = Object.entries(schema).filter(([keyword]) => !SHOWN.has(keyword));
  return {
    ...Object.fromEntries(kept.map(([keyword, value]) => [keyword, within(keyword, value, name)])),
    // Helm hands its own keys to every chart.
    ...(name === "" && {
      properties: {
        ...mapOf(schema.properties ?? {}),
        global: { type: "object", description: "Helm's own." },
      },
    }),
  };
}

function within(keyword: string, value: unknown, name: string): unknown {
  if (keyword === "properties") return mapOf(value as Record<string, Schema>);
  if (
    (keyword === "items" || keyword === "additionalProperties") &&
    typeof value === "object" &&
    value !== null
  )
    return plain(value as Schema, `${name}[]`);
  return value;
}

function mapOf(properties: Readonly<Record<string, Schema>>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, plain(field, name)]));
}

/** CEL stays with the API server. */
function closed(schema: StructuralSchema): Schema {
  const { properties, items, additionalProperties, default: _, ...rest } = schema;
  const kept = Object.entries(rest).filter(([keyword]) => !keyword.startsWith("x-kubernetes"));
  return {
    ...Object.fromEntries(kept),
    ...(items && { items: closed(items) }),
    ...(additionalProperties && { additionalProperties: closed(additionalProperties) }),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, field]) => [name, closed(field)]),
      ),
      additionalProperties: false,
    }),
  };
}
