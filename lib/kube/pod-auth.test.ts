import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeClock, type FakeClock } from "../../test/helpers/fake-clock.ts";
import { type PodAuthOptions, podAuth } from "./pod-auth.ts";

let folder: string;
let clock: FakeClock;
let time = 1_000_000_000;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pod-auth-"));
  clock = createFakeClock();
  write("token", "one\n");
  write("ca.crt", "authority");
  write("namespace", "mail\n");
});

afterEach(() => rmSync(folder, { recursive: true }));

/** With a time of change of its own. */
function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  time += 60;
  utimesSync(join(folder, name), time, time);
}

function auth(options: Partial<PodAuthOptions> = {}) {
  const [tokenFile, caFile, namespaceFile] = ["token", "ca.crt", "namespace"].map((name) =>
    join(folder, name),
  );
  const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" };
  return podAuth({ clock, env, tokenFile, caFile, namespaceFile, ...options } as PodAuthOptions);
}

const token = async (of: ReturnType<typeof auth>) => (await of.credentials()).headers.authorization;

describe("podAuth()", () => {
  test("token, authority and namespace are those of the files", async () => {
    const pod = auth();
    expect([pod.namespace, pod.server]).toEqual(["mail", "https://10.0.0.1:443"]);
    expect(await pod.credentials()).toEqual({ ca: "authority", headers: { authorization: "Bearer one" } });
  });

  test("an IPv6 host stands in brackets", () => {
    const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
    expect(new URL(auth({ env }).server).host).toBe("[fd00::1]:6443");
  });

  test("outside a pod it says so", () => {
    expect(() => auth({ env: {} })).toThrow(/KUBERNETES_SERVICE_HOST.* is not set/);
  });

  test("a rotated token is seen after 10 seconds, not before", async () => {
    const pod = auth();
    await token(pod);
    write("token", "two");
    await clock.advance(9999);
    expect(await token(pod)).toBe("Bearer one");
    await clock.advance(1);
    expect(await token(pod)).toBe("Bearer two");
  });

  test("a refusal makes it be read at once", async () => {
    const pod = auth();
    await token(pod);
    write("token", "two");
    pod.refused?.();
    expect(await token(pod)).toBe("Bearer two");
  });

  test("an empty token is a fault, and the next look finds the new one", async () => {
    write("token", "");
    const pod = auth();
    await expect(pod.credentials()).rejects.toThrow("it is empty");
    write("token", "two");
    expect(await token(pod)).toBe("Bearer two");
  });

  test("a file that went is a fault", async () => {
    const pod = auth();
    rmSync(join(folder, "token"));
    await expect(pod.credentials()).rejects.toThrow("ENOENT");
  });
});
