import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const state = mkdtempSync(join(tmpdir(), "postroom-cli-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The real process; one that does not end by itself fails the test. */
function postroom(...args: string[]): Promise<Ended> {
  const command = [join(root, "bin/postroom.js"), ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, command, { cwd: root, timeout: 120_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err });
    });
    child.stdin?.end();
  });
}

const SAMPLES = ["--manifests", "samples/contoso"];
const MESSAGE = ["--from", "eve@outside.example", "--to", "ann@contoso.example"];

describe("wrong use exits 2 and says what to write", () => {
  test.each([
    { name: "no command", args: [], says: "Usage: postroom" },
    { name: "an unknown command", args: ["deliver"], says: "unknown command 'deliver'" },
    { name: "run without a folder", args: ["run"], says: "--manifests <dir>" },
    { name: "run with a port alone", args: ["run", ...SAMPLES, "--http", "x"], says: "write host:port" },
    {
      name: "run with a grace in words",
      args: ["run", ...SAMPLES, "--grace", "long"],
      says: "write seconds",
    },
    {
      name: "operator with a lease in words",
      args: ["operator", "--lease-duration", "long"],
      says: 'Cannot read --lease-duration "long": write seconds',
    },
    {
      name: "operator that would lose its lease before it notices",
      args: ["operator", "--lease-renew-deadline", "15"],
      says: "write a --lease-duration above --lease-renew-deadline",
    },
    { name: "check without a path", args: ["check"], says: "missing required argument 'path'" },
    {
      name: "explain of nothing",
      args: ["explain", ...MESSAGE],
      says: "write --manifests <dir>, or --context <name> for a cluster",
    },
    {
      name: "explain of a folder and a cluster",
      args: ["explain", ...SAMPLES, ...MESSAGE, "--context", "prod"],
      says: "Cannot explain both a folder and a cluster",
    },
    {
      name: "explain with a sender that is no address",
      args: ["explain", ...SAMPLES, "--from", "eve", "--to", "ann@contoso.example"],
      says: 'Cannot read --from "eve": write name@domain',
    },
    {
      name: "explain with a client that is no address",
      args: ["explain", ...SAMPLES, ...MESSAGE, "--client-ip", "host"],
      says: "write an IPv4 or IPv6 address",
    },
    {
      name: "explain with a port that is no number",
      args: ["explain", ...SAMPLES, ...MESSAGE, "--port", "smtp"],
      says: 'Cannot read --port "smtp"',
    },
    {
      name: "trace with a time in words",
      args: ["trace", "--since", "yesterday"],
      says: "an age such as 2h",
    },
    {
      name: "queue list with an unknown queue",
      args: ["queue", "list", "--queue", "Inbox"],
      says: "Submission",
    },
    {
      name: "queue retry that names no message",
      args: ["queue", "retry"],
      says: "--id, --queue or --next-hop",
    },
  ])("$name", async ({ args, says }) => {
    const { code, out, err } = await postroom(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(says);
    expect(err).toContain("--help");
  });
});

describe("what cannot be done exits 1 with one line", () => {
  test.each([
    {
      name: "run on a folder that is not there",
      args: ["run", "--manifests", "no/such", "--state", state],
      says: 'there is no folder "no/such"',
    },
    {
      name: "run on a folder without a MailTransport",
      args: ["run", "--manifests", "docs", "--state", state],
      says: "MailTransport",
    },
    { name: "check of a path that is not there", args: ["check", "no/such"], says: 'Cannot read "no/such"' },
    {
      name: "explain of a message that is not there",
      args: ["explain", ...SAMPLES, ...MESSAGE, "--message", "no.eml"],
      says: 'Cannot read --message "no.eml"',
    },
    {
      name: "trace where no transport ever ran",
      args: ["trace", "--state", "no/such"],
      says: "is --state the transport's state folder?",
    },
    {
      name: "queue list where no transport ever ran",
      args: ["queue", "list", "--state", "no/such"],
      says: "there is none",
    },
  ])("$name", async ({ args, says }) => {
    const { code, err } = await postroom(...args);
    expect({ code, lines: err.trimEnd().split("\n").length }).toEqual({ code: 1, lines: 1 });
    expect(err).toContain(says);
  });
});

describe("postroom", () => {
  test.each(["run", "check", "explain", "trace", "hash-password", "queue", "queue list", "queue show"])(
    "%s --help describes itself and every option",
    async (command) => {
      const { code, out } = await postroom(...command.split(" "), "--help");
      expect(code).toBe(0);
      expect(out).toContain(`Usage: postroom ${command}`);
      const options = out.split("\n").filter((line) => /^ {2}-/.test(line));
      expect(options.filter((line) => !/ {2}\S/.test(line.trimStart()) && line.length < 24)).toEqual([]);
    },
  );

  test("check finds no fault in the samples, and warns of nothing on standard error", async () => {
    const { code, out, err } = await postroom("check", "samples/contoso");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/6 files, 0 faults/);
  });

  test.each([
    {
      name: "an unknown recipient, by the recipient filter",
      from: "eve@outside.example",
      to: "nobody@contoso.example",
      says: "550 5.1.1 User unknown",
    },
    {
      name: "a stranger's relaying, by the connector",
      from: "eve@outside.example",
      to: "dora@outside.example",
      says: "550 5.7.1 Unable to relay",
    },
    {
      name: "a blocked sender, by the sender filter",
      from: "offers@spam.example",
      to: "ann@contoso.example",
      says: "offers@spam.example: 554 5.1.0",
    },
    {
      name: "a list for our users only",
      from: "eve@outside.example",
      to: "everyone@contoso.example",
      says: "5.7.133",
    },
  ])("explain names the refusal of $name", async ({ from, to, says }) => {
    const { code, out } = await postroom("explain", ...SAMPLES, "--from", from, "--to", to);
    expect(code).toBe(1);
    expect(out).toContain(says);
  });

  test("check and explain write JSON that can be read", async () => {
    const check = JSON.parse((await postroom("check", "samples/contoso", "-o", "json")).out);
    expect(check.faults).toEqual([]);
    const explain = JSON.parse((await postroom("explain", ...SAMPLES, ...MESSAGE, "-o", "json")).out);
    expect(explain.copies).toMatchObject([
      { nextHop: "default/mailboxes", recipients: "ann@contoso.example" },
    ]);
  });
});
