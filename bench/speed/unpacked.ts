/**
 * Programs of Debian packages that are not installed: downloaded by apt-get and unpacked into a temporary folder that
 * later runs find again. Nothing is installed, removed or started, so packages that conflict are there side by side.
 *
 *   const packages = unpacked("exim", ["exim4-daemon-light", "exim4-base"], "usr/sbin/exim4");
 *   await packages.obstacle();   // undefined: it is there and finds its libraries
 *   packages.folder
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../test/helpers/run.ts";

export interface Unpacked {
  readonly folder: string;
  /** Why it cannot be had. */
  obstacle(): Promise<string | undefined>;
  /** As Debian counts, of the first package. */
  version(): Promise<string>;
}

const TIMEOUT_MS = 120_000;

/** Where peers are kept between runs. */
export const PEERS_FOLDER = join(tmpdir(), "postroom-peers");

/** `binary` is a path in the folder. */
export function unpacked(name: string, packages: readonly [string, ...string[]], binary: string): Unpacked {
  const folder = join(PEERS_FOLDER, name);
  const whole = join(folder, "whole");
  return {
    folder,
    async obstacle() {
      if (process.getuid?.() !== 0) return "needs root";
      if (!existsSync(whole)) {
        mkdirSync(folder, { recursive: true });
        const { status, output } = await run("sh", ["-c", FETCH, "sh", folder, ...packages], {
          timeoutMs: TIMEOUT_MS,
        });
        if (status !== 0) return `cannot be downloaded: ${output.trim().split("\n").at(-1)}`;
        writeFileSync(whole, "");
      }
      const { output } = await run("ldd", [join(folder, binary)], { env: libraries(folder) });
      const lacks = [...output.matchAll(/^\s*(\S+) => not found/gm)].map(([, library]) => library);
      return lacks.length === 0 ? undefined : `lacks ${lacks.join(", ")}`;
    },
    async version() {
      const file = readdirSync(folder).find((one) => one.startsWith(`${packages[0]}_`)) ?? "";
      return (await run("dpkg-deb", ["-f", join(folder, file), "Version"])).output.trim();
    },
  };
}

function libraries(folder: string): Readonly<Record<string, string>> {
  const lib = join(folder, "usr/lib");
  const machines = existsSync(lib) ? readdirSync(lib).filter((name) => name.includes("-linux-")) : [];
  return { LD_LIBRARY_PATH: machines.map((name) => join(lib, name)).join(":") };
}

/** Package lists may be missing on a fresh machine. */
const FETCH = `
cd "$1" && shift || exit 1
command -v apt-get >/dev/null || { echo "no apt-get here"; exit 1; }
bounds="-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o APT::Sandbox::User=root"
apt-get $bounds download -q "$@" || { apt-get $bounds update -q && apt-get $bounds download -q "$@"; } || exit 1
for package in *.deb; do dpkg-deb -x "$package" . || exit 1; done
`;
