import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { describe, expect, test } from "vitest";
import { createMetrics } from "../lib/metrics.ts";
import { createOperatorMetrics } from "../operator/metrics.ts";
import { chartFiles } from "./chart-docs.ts";

const ROOT = join(import.meta.dirname, "..");

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
}

function fileOf(path: string): string {
  return chartFiles().get(path) ?? readFileSync(join(ROOT, path), "utf8");
}

/** Path of each schema below, and itself. */
function* walk(schema: Schema, path: string): Generator<[string, Schema]> {
  yield [path, schema];
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* walk(field, `${path}.${name}`);
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* walk(schema.additionalProperties, `${path}{}`);
}

describe.each(["charts/postroom", "charts/postroom-transport"])("%s", (chart) => {
  const schemas = [...walk(JSON.parse(fileOf(`${chart}/values.schema.json`)), "")];

  test("the schema lets no unknown key through", () => {
    const open = schemas.filter(
      ([path, { properties, additionalProperties }]) =>
        path !== ".global" && properties !== undefined && additionalProperties !== false,
    );
    expect(open.map(([path]) => path)).toEqual([]);
  });

  test("each value is described", () => {
    const fields = schemas.filter(([path]) => /\.[^.[{]+$/.test(path));
    expect(fields.filter(([, { description = "" }]) => description === "").map(([path]) => path)).toEqual([]);
  });

  test("every key of the default values is one of the schema", () => {
    const known = Object.keys(schemas[0]?.[1].properties ?? {});
    expect(known).toEqual(
      expect.arrayContaining(Object.keys(yaml.load(fileOf(`${chart}/values.yaml`)) as object)),
    );
  });

  test("chart and application have the version of the package", () => {
    const { version } = JSON.parse(fileOf("package.json"));
    expect(yaml.load(fileOf(`${chart}/Chart.yaml`))).toMatchObject({ version, appVersion: version });
  });

  test("no template looks up, throws dice or reads the time", () => {
    const folder = join(ROOT, chart, "templates");
    const guilty = readdirSync(folder).filter((file) =>
      /\b(lookup|rand\w+|uuidv4|now|gen(CA|Cert|SignedCert|SelfSignedCert|PrivateKey)\w*)\b/.test(
        readFileSync(join(folder, file), "utf8").replace(/\{\{\/\*[\s\S]*?\*\/\}\}|^\s*#.*$/gm, ""),
      ),
    );
    expect(guilty).toEqual([]);
  });
});

describe("what is shown and alerted on", async () => {
  const registries = [createMetrics().registry, createOperatorMetrics().registry];
  const known = (await Promise.all(registries.map((one) => one.getMetricsAsJSON()))).flat();
  const series = new Set(
    known.flatMap(({ name, type }) => [
      name,
      ...(String(type) === "histogram" ? ["_bucket", "_sum", "_count"].map((end) => name + end) : []),
    ]),
  );
  const OTHERS = ["kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"];

  test.each(["charts/postroom/files/dashboard.json", "charts/postroom/templates/prometheusrule.yaml"])(
    "%s names metrics that there are",
    (file) => {
      const named = fileOf(file).match(/\b(postroom|process|nodejs|kubelet)_[a-z_]+/g) ?? [];
      expect(named.length).toBeGreaterThan(10);
      expect(named.filter((name) => !series.has(name) && !OTHERS.includes(name))).toEqual([]);
    },
  );

  test("the dashboard shows every metric of ours", () => {
    const shown = fileOf("charts/postroom/files/dashboard.json");
    const ours = known.map(({ name }) => name).filter((name) => name.startsWith("postroom_"));
    expect(ours.filter((name) => !shown.includes(name))).toEqual([]);
  });

  test("panels do not lie upon each other", () => {
    const { panels } = JSON.parse(fileOf("charts/postroom/files/dashboard.json"));
    const cells = panels.flatMap(
      ({ gridPos: { x, y, w, h } }: { gridPos: Record<"x" | "y" | "w" | "h", number> }) =>
        Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
  });
});
