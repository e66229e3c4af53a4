/** The worked examples of docs/rules.md are manifests, and do what the page says. */
import { readFileSync } from "node:fs";
import * as yaml from "js-yaml";
import { describe, expect, test } from "vitest";
import { checkPattern } from "../../mail/pattern.ts";
import { domains, type MailOptions, mail, part, rule } from "../../test/helpers/rules.ts";
import { compileRules } from "./mod.ts";

const page = readFileSync(new URL("../../docs/rules.md", import.meta.url), "utf8");
const manifests = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
  ([, text = ""]) => yaml.load(text) as { metadata: { name: string }; spec: Record<string, unknown> },
);
const entries = manifests.map(({ metadata, spec }) => {
  const { transportRefs: _, enabled: __, ...own } = spec;
  return rule({ name: metadata.name, ...own });
});

const inside = { internal: true, user: "ann" };
const eve = "eve@fabrikam.example";
const ann = "ann@contoso.example";
const fromAnn: MailOptions = { sender: ann, origin: inside, to: [eve, ann] };

describe("docs/rules.md", () => {
  test("holds eight examples", () => {
    expect(entries.map((entry) => entry.name)).toEqual([
      "no-programs",
      "external-tag",
      "disclaimer",
      "card-numbers",
      "partner-tls",
      "legal-hold",
      "bulk-is-slow",
      "quarantine-spam",
    ]);
  });

  test.each([
    { name: "no-programs", mail: { mime: { parts: [part({ fileName: "a.EXE" })] } }, want: "matched" },
    {
      name: "no-programs",
      mail: { mime: { parts: [part({ sniffedType: "application/x-elf" })] } },
      want: "matched",
    },
    { name: "no-programs", mail: { mime: { parts: [part({ fileName: "a.pdf" })] } }, want: undefined },
    {
      name: "no-programs",
      mail: { sender: "a@trusted.example", mime: { parts: [part({ fileName: "a.exe" })] } },
      want: "excepted",
    },
    { name: "external-tag", mail: {}, want: "matched" },
    { name: "external-tag", mail: fromAnn, want: undefined },
    { name: "disclaimer", mail: fromAnn, want: "matched" },
    { name: "disclaimer", mail: {}, want: undefined },
    { name: "card-numbers", mail: { ...fromAnn, mime: { text: "1234-5678 9012 3456" } }, want: "matched" },
    { name: "card-numbers", mail: { ...fromAnn, mime: { text: "12345678901234567" } }, want: undefined },
    {
      name: "card-numbers",
      mail: {
        sender: "billing@contoso.example",
        to: ["a@bank.example"],
        mime: { text: "1234-5678-9012-3456" },
      },
      want: "excepted",
    },
    {
      name: "partner-tls",
      mail: { to: [eve], header: "X-Sensitivity: Company-Confidential\n" },
      want: "matched",
    },
    { name: "partner-tls", mail: { to: [eve] }, want: undefined },
    { name: "legal-hold", mail: { sender: eve }, want: "matched" },
    { name: "legal-hold", mail: fromAnn, want: "matched" },
    { name: "legal-hold", mail: { sender: ann }, want: undefined },
    { name: "bulk-is-slow", mail: { header: "List-Id: x\n" }, want: "matched" },
    { name: "bulk-is-slow", mail: { header: "List-Id: x\nImportance: high\n" }, want: "excepted" },
    { name: "quarantine-spam", mail: { stamps: { SCL: "8" } }, want: "matched" },
    { name: "quarantine-spam", mail: { stamps: { BlockedSender: "true" } }, want: undefined },
    {
      name: "quarantine-spam",
      mail: { stamps: { BlockedSender: "true" }, header: "Subject: your payment\n" },
      want: "matched",
    },
    {
      name: "quarantine-spam",
      mail: { stamps: { SCL: "8" }, origin: { clientAddress: "192.0.2.41" } },
      want: "excepted",
    },
  ])("$name: $want", ({ name, mail: options, want }) => {
    const entry = entries.filter((one) => one.name === name);
    expect(compileRules(entry, { domains }).apply(mail(options)).trace[0]?.outcome).toBe(want);
  });

  test("only the copy for outside recipients carries the disclaimer", () => {
    const entry = entries.filter((one) => one.name === "disclaimer");
    const { copies } = compileRules(entry, { domains }).apply(mail(fromAnn));
    expect(copies.map(({ edits, recipients }) => [recipients[0]?.address.localPart, edits.length])).toEqual([
      ["eve", 1],
      ["ann", 0],
    ]);
  });

  test("the page tells the truth about patterns", () => {
    expect(checkPattern("a(?=b)")).toMatch(/look-around/);
    expect(checkPattern("(a)\\1")).toMatch(/back-reference/);
  });
});
