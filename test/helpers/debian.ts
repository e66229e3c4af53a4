/**
 * Programs from Debian that interop tests need.
 *
 *   const ready = await needs("postfix", "swaks");
 *   describe.skipIf(!ready)("Postfix", () => ...);
 *
 * Missing ones are installed if this process is root, apt-get is there, and CI=true or POSTROOM_INSTALL=1: CI starts
 * on a fresh machine, a developer's own is left alone unless asked. Nothing is ever removed (a conflicting mail
 * server stays), and no service starts. Whatever stays missing is one line `SKIPPED: interop with X: reason`, and false.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

interface Program {
  readonly packages: readonly string[];
  /** A shell command that succeeds when the program is there and usable. */
  readonly probe: string;
  /** Starts processes of other users. */
  readonly root?: boolean;
}

const PROGRAMS = {
  postfix: {
    packages: ["postfix"],
    probe: "command -v postfix && command -v smtp-source && test -x /usr/lib/postfix/sbin/smtpd",
    root: true,
  },
  // 2.4 has another configuration language.
  dovecot: {
    packages: ["dovecot-core", "dovecot-lmtpd"],
    probe: "dovecot --version | grep '^2[.]3[.]' && test -x /usr/lib/dovecot/lmtp",
    root: true,
  },
  swaks: {
    packages: ["swaks", "libnet-ssleay-perl"],
    probe: "command -v swaks && perl -MNet::SSLeay -e 1",
  },
  openssl: { packages: ["openssl"], probe: "command -v openssl" },
  promtool: { packages: ["prometheus"], probe: "command -v promtool" },
  // As old as that of Argo CD.
  lua: { packages: ["lua5.1"], probe: "command -v lua5.1" },
  // The programs of a node of Kubernetes that Debian has (test/cluster).
  containerd: { packages: ["containerd", "runc"], probe: "command -v ctr && command -v runc", root: true },
  cni: { packages: ["containernetworking-plugins"], probe: "test -x /usr/lib/cni/ptp" },
  network: {
    packages: ["nftables", "conntrack", "iproute2"],
    probe: "command -v nft && command -v conntrack && command -v ip",
  },
  kubectl: { packages: ["kubernetes-client"], probe: "command -v kubectl" },
  buildah: { packages: ["buildah"], probe: "command -v buildah", root: true },
  haproxy: { packages: ["haproxy"], probe: "command -v haproxy" },
} satisfies Readonly<Record<string, Program>>;

export type ProgramName = keyof typeof PROGRAMS;

const INSTALL_TIMEOUT_MS = 600_000;

/** True when all of them are there, after an installation if need be. */
export async function needs(...names: readonly ProgramName[]): Promise<boolean> {
  const reason = await obstacle(names);
  // The line end before it: a test runner's colours would otherwise stand at its beginning.
  if (reason !== undefined) console.log(`\nSKIPPED: interop with ${names.join(", ")}: ${reason}`);
  return reason === undefined;
}

/** Why they cannot be had; undefined: they are there. */
export async function obstacle(names: readonly ProgramName[]): Promise<string | undefined> {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && names.some((name) => "root" in PROGRAMS[name])) return "needs root";
  const missing = await missingOf(names);
  if (missing.length === 0) return undefined;
  const lack = `no usable ${missing.join(", ")}`;
  const mayInstall = process.env.CI === "true" || process.env.POSTROOM_INSTALL === "1";
  if (!mayInstall) return `${lack}; as root, POSTROOM_INSTALL=1 installs from Debian`;
  if (!isRoot) return `${lack}, and only root can install`;
  const fault = await install(missing.flatMap((name) => PROGRAMS[name].packages));
  const still = await missingOf(missing);
  return still.length === 0 ? undefined : `no usable ${still.join(", ")} after apt-get: ${fault}`;
}

async function missingOf(names: readonly ProgramName[]): Promise<ProgramName[]> {
  const found = await Promise.all(names.map((name) => run("sh", ["-c", PROGRAMS[name].probe])));
  return names.filter((_, n) => found[n]?.status !== 0);
}

/** Test files run side by side, so one installs and the others wait. Returns the last line that apt-get said. */
async function install(packages: readonly string[]): Promise<string> {
  const lock = join(tmpdir(), "postroom-apt.lock");
  const { output } = await run("flock", ["-w", "300", lock, "sh", "-c", INSTALL, "sh", ...packages], {
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  return output.trim().split("\n").at(-1) ?? "";
}

/** Package lists may be missing on a fresh machine. policy-rc.d 101 keeps the new servers from starting. */
const INSTALL = `
command -v apt-get >/dev/null || { echo "no apt-get here"; exit 1; }
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy
fi
bounds="-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o DPkg::Lock::Timeout=120"
add() { timeout 150 apt-get $bounds install -y -q --no-install-recommends --no-remove "$@"; }
add "$@" || { timeout 60 apt-get $bounds update -q && add "$@"; }
`;
