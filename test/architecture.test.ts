/** Holds the house: who may import whom, what is pure, one door a room, no cycles, files of readable size. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..");

interface Room {
  /** Folders (or files) of the project this room may import. A room of transport never names another one. */
  readonly may: readonly string[];
  /** Pure rooms import no I/O at all, packages only from `packages`. */
  readonly pure?: boolean;
  readonly packages?: readonly string[];
}

/** node:zlib: compression of a text in memory is a function of it. */
const PURE_NODE = ["node:url", "node:crypto", "node:buffer", "node:zlib"];
const ROOMS: Readonly<Record<string, Room>> = {
  lib: { may: [], packages: ["pino", "prom-client", "pkijs", "asn1js", "ipaddr.js"] },
  "lib/kube": { may: ["lib"], packages: ["@kubernetes/client-node"] },
  mail: { may: ["lib/diagnostics.ts"], pure: true, packages: ["ipaddr.js", "re2js"] },
  crds: { may: ["lib/diagnostics.ts", "mail"], pure: true, packages: ["zod", "js-yaml"] },
  snapshot: { may: ["lib/diagnostics.ts", "mail", "crds"], pure: true, packages: ["zod"] },
  "transport/smtp": { may: ["lib", "mail", "snapshot"], packages: ["smtp-server"] },
  "transport/agents": { may: ["lib", "mail", "snapshot"] },
  "transport/queue": { may: ["lib", "mail", "snapshot"], packages: ["zod"] },
  "transport/delivery": { may: ["lib", "mail", "snapshot"], packages: ["nodemailer"] },
  "transport/workers": { may: ["lib", "mail", "snapshot"] },
  "transport/categorizer": { may: ["lib/diagnostics.ts", "mail", "snapshot"], pure: true },
  "transport/policy": { may: ["lib/diagnostics.ts", "mail", "snapshot"], pure: true },
  transport: { may: ["lib", "mail", "crds", "snapshot", "transport/*/mod.ts"] },
  operator: { may: ["lib", "mail", "crds", "snapshot"], packages: ["prom-client"] },
  cli: {
    may: [
      "operator/main.ts",
      "lib",
      "mail",
      "crds",
      "snapshot",
      "transport/main.ts",
      "transport/explain.ts",
      "transport/*/mod.ts",
    ],
    packages: ["commander"],
  },
};
/** Files that must stay pure although their room is not. */
const PURE_FILES = [
  "transport/smtp/connector.ts",
  "transport/smtp/permissions.ts",
  "transport/queue/schedule.ts",
  "transport/queue/back-pressure.ts",
  "transport/delivery/outcome.ts",
  "transport/delivery/tls-policy.ts",
  "transport/delivery/concurrency.ts",
  "transport/settle.ts",
  "transport/submission.ts",
  "operator/desired.ts",
  "operator/rollout.ts",
  "operator/drain.ts",
  "operator/status.ts",
  "operator/access.ts",
  "operator/admission.ts",
  "operator/network.ts",
  "operator/rollout-canary.ts",
  "operator/rollout-head.ts",
  "operator/rollout-state.ts",
  "operator/status-condition.ts",
  "operator/status-diagnostics.ts",
  "operator/status-transport.ts",
  "operator/storage.ts",
  "operator/workload.ts",
];
const MAX_CODE_LINES = 250;

const files = Object.keys(ROOMS)
  .filter((room) => !room.includes("/"))
  .flatMap((room) => walk(join(ROOT, room)))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => relative(ROOT, file));

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function roomOf(file: string): string {
  const inner = file.split("/").slice(0, 2).join("/");
  return ROOMS[inner] ? inner : (file.split("/")[0] ?? "");
}

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const source = readFileSync(join(ROOT, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const pattern =
    /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|import\(["']([^"']+)["']\)/gm;
  return [...source.matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? match[3] ?? "",
    typeOnly: match[1] !== undefined,
  }));
}

function target(file: string, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(file), specifier));
}

function allowed(room: string, to: string): boolean {
  if (roomOf(to) === room) return true;
  return (ROOMS[room]?.may ?? []).some((entry) => {
    if (entry === "transport/*/mod.ts") return /^transport\/[^/]+\/mod\.ts$/.test(to);
    return to === entry || to.startsWith(`${entry}/`);
  });
}

/** The faults of one file, each one sentence. */
function faultsOf(file: string, imports: readonly Import[]): string[] {
  return imports.flatMap((one) => {
    const fault = faultOf(file, one);
    return fault === undefined ? [] : [`${file} ${fault}`];
  });
}

function faultOf(file: string, { specifier, typeOnly }: Import): string | undefined {
  const room = roomOf(file);
  if (specifier.startsWith(".")) {
    const to = target(file, specifier);
    return allowed(room, to) ? undefined : `may not import ${to}`;
  }
  if (specifier.startsWith("node:")) {
    const pure = ROOMS[room]?.pure === true || PURE_FILES.includes(file);
    return pure && !typeOnly && !PURE_NODE.includes(specifier)
      ? `is pure and may not import ${specifier}`
      : undefined;
  }
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  return (ROOMS[room]?.packages ?? []).includes(name) ? undefined : `may not import the package ${name}`;
}

describe("architecture", () => {
  test("there are files to judge", () => {
    expect(files.length).toBeGreaterThan(50);
  });

  test("imports follow the table", () => {
    expect(files.flatMap((file) => faultsOf(file, importsOf(file)))).toEqual([]);
  });

  test.each([
    { name: "a room of transport importing another", file: "transport/smtp/x.ts", to: "../queue/mod.ts" },
    { name: "I/O in a pure room", file: "mail/x.ts", to: "node:fs" },
    { name: "I/O in a pure file", file: "transport/settle.ts", to: "node:fs" },
    { name: "going behind a door", file: "transport/main.ts", to: "./queue/bodies.ts" },
    { name: "a package that the room does not own", file: "transport/queue/x.ts", to: "nodemailer" },
    { name: "the snapshot reading the transport", file: "snapshot/x.ts", to: "../transport/main.ts" },
  ])("the table catches $name", ({ file, to }) => {
    expect(faultsOf(file, [{ specifier: to, typeOnly: false }])).toHaveLength(1);
  });

  test("no value import runs in a circle", () => {
    const edges = new Map(
      files.map((file) => [
        file,
        importsOf(file)
          .filter(({ specifier, typeOnly }) => specifier.startsWith(".") && !typeOnly)
          .map(({ specifier }) => target(file, specifier)),
      ]),
    );
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): string[] => {
      if (path.includes(file)) return [[...path.slice(path.indexOf(file)), file].join(" -> ")];
      if (done.has(file)) return [];
      const found = (edges.get(file) ?? []).flatMap((next) => visit(next, [...path, file]));
      done.add(file);
      return found;
    };
    expect(files.flatMap((file) => visit(file, []))).toEqual([]);
  });

  test("client-node is loaded by one file, which transport never reaches", () => {
    const values = (file: string) => importsOf(file).filter(({ typeOnly }) => !typeOnly);
    const loads = (file: string) =>
      values(file).some(({ specifier }) => specifier === "@kubernetes/client-node");
    expect(files.filter(loads)).toEqual(["lib/kube/kube-config.ts"]);
    const reached = new Set(files.filter((file) => file.startsWith("transport/")));
    for (const file of reached) {
      for (const { specifier } of values(file))
        if (specifier.startsWith(".")) reached.add(target(file, specifier));
    }
    expect(reached.has("lib/kube/kube-config.ts")).toBe(false);
  });

  test(`no file has more than ${MAX_CODE_LINES} code lines`, () => {
    const long = files.filter((file) => codeLines(readFileSync(join(ROOT, file), "utf8")) > MAX_CODE_LINES);
    expect(long).toEqual([]);
  });

  test("time and chance are read in their own files only", () => {
    const allowedFiles = ["lib/clock.ts"];
    const guilty = files.filter(
      (file) =>
        !allowedFiles.includes(file) &&
        /\bDate\.now\(\)|new Date\(\)/.test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(guilty).toEqual([]);
  });
});

function codeLines(source: string): number {
  return source.split("\n").filter((line) => !/^\s*(\/\/|\*|\/\*|$)/.test(line)).length;
}
