import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { kubeConfigAuth } from "./kube-config.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kube-config-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString("base64");

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
}

function write({ cluster = {}, user = {}, context = {} }: Parts): string {
  const path = join(folder, "config");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "one",
    clusters: [{ name: "c", cluster: { server: "https://192.0.2.1:6443", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "one", context: { cluster: "c", user: "u", ...context } }],
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

async function credentials(parts: Parts) {
  const found = await (await kubeConfigAuth({ kubeconfigPath: write(parts) })).credentials();
  const given = Object.entries(found).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([key, value]) => [key, Buffer.isBuffer(value) ? value.toString() : value]),
  );
}

describe("kubeConfigAuth()", () => {
  test("server and namespace are those of the context", async () => {
    const auth = await kubeConfigAuth({ kubeconfigPath: write({ context: { namespace: "mail" } }) });
    expect([auth.server, auth.namespace]).toEqual(["https://192.0.2.1:6443", "mail"]);
  });

  test.each([
    {
      name: "a token",
      parts: { user: { token: "secret" }, cluster: { "certificate-authority-data": base64("ca") } },
      want: { ca: "ca", headers: { Authorization: "Bearer secret" } },
    },
    {
      name: "a client certificate",
      parts: { user: { "client-certificate-data": base64("cert"), "client-key-data": base64("key") } },
      want: { cert: "cert", key: "key", headers: {} },
    },
    {
      name: "a name and a password",
      parts: { user: { username: "ann", password: "pw" } },
      want: { headers: { authorization: `Basic ${base64("ann:pw")}` } },
    },
    {
      name: "a cluster whose certificate is not looked at and bears another name",
      parts: { cluster: { "insecure-skip-tls-verify": true, "tls-server-name": "api.example" } },
      want: { rejectUnauthorized: false, servername: "api.example", headers: {} },
    },
    {
      name: "no user at all",
      parts: { context: { user: "" }, cluster: { "certificate-authority-data": base64("ca") } },
      want: { ca: "ca", headers: {} },
    },
    {
      name: "plain http of a proxy",
      parts: { cluster: { server: "http://127.0.0.1:8001" } },
      want: { headers: {} },
    },
  ])("$name", async ({ parts, want }) => {
    expect(await credentials(parts)).toEqual(want);
  });

  test("an exec plugin is started once for many calls, and again after a refusal", async () => {
    const runs = join(folder, "runs");
    const credential = { kind: "ExecCredential", status: { token: "of-plugin" } };
    const script = `echo x >> ${runs}; echo '${JSON.stringify(credential)}'`;
    const user = {
      exec: { apiVersion: "client.authentication.k8s.io/v1", command: "sh", args: ["-c", script] },
    };
    const auth = await kubeConfigAuth({ kubeconfigPath: write({ user }) });
    const tokens = async () =>
      (await Promise.all([auth.credentials(), auth.credentials()])).map(({ headers }) => headers);
    expect(await tokens()).toEqual(Array(2).fill({ Authorization: "Bearer of-plugin" }));
    await tokens();
    expect(readFileSync(runs, "utf8")).toBe("x\n");
    auth.refused?.();
    await tokens();
    expect(readFileSync(runs, "utf8")).toBe("x\nx\n");
  });

  test("a plugin that fails is a fault", async () => {
    const user = { exec: { command: "sh", args: ["-c", "echo denied >&2; exit 1"] } };
    await expect(credentials({ user })).rejects.toThrow("denied");
  });

  test.each([
    { name: "an unknown context", options: { context: "two" }, parts: {}, want: 'it has no context "two"' },
    {
      name: "an unknown cluster",
      options: {},
      parts: { context: { cluster: "x" } },
      want: "names no cluster",
    },
    {
      name: "a proxy",
      options: {},
      parts: { cluster: { "proxy-url": "http://proxy:3128" } },
      want: "proxy-url is not supported",
    },
  ])("$name is refused", async ({ options, parts, want }) => {
    await expect(kubeConfigAuth({ kubeconfigPath: write(parts), ...options })).rejects.toThrow(want);
  });
});
