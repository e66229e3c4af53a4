import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { formatFault } from "../crds/mod.ts";
import { checkManifests } from "./check-manifests.ts";

const HEAD = "apiVersion: postroom.dev/v1alpha1\nkind: ";
const HUB = `${HEAD}MailTransport\nmetadata: {name: hub}\nspec: {hostname: mx.a.example}\n`;

function check(...texts: readonly string[]): { faults: string[]; warnings: string[] } {
  const { faults, warnings } = checkManifests(texts.map((text, at) => ({ path: `${at}.yaml`, text })));
  return { faults: faults.map(formatFault), warnings: warnings.map(formatFault) };
}

describe("checkManifests()", () => {
  test("the sample is without faults, and lacks only the certificate that is made at the first start", () => {
    const folder = join(import.meta.dirname, "../samples/contoso");
    const files = readdirSync(folder).map((name) => ({
      path: name,
      text: readFileSync(join(folder, name), "utf8"),
    }));
    const { faults, warnings } = checkManifests(files);
    expect(faults).toEqual([]);
    expect(new Set(warnings.map(({ reason }) => reason))).toEqual(
      new Set(["there is no Secret default/mx-tls: TLS is not offered with it"]),
    );
  });

  test("conflicts between files are faults at the line of the loser's field", () => {
    const domain = (name: string) =>
      `${HEAD}AcceptedDomain\nmetadata: {name: ${name}}\nspec:\n  domains:\n    - a.example\n`;
    expect(check(HUB, domain("a"), domain("b")).faults).toEqual([
      "2.yaml:6 spec.domains[0]: a.example belongs to AcceptedDomain default/a, which was there first; nothing is left, so it is not in force",
    ]);
  });

  test("a broken object is told once, by its own faults", () => {
    expect(check(HUB, `${HEAD}AcceptedDomain\nmetadata: {name: a}\nspec: {}\n`)).toEqual({
      faults: ["1.yaml:4 spec.domains: is missing"],
      warnings: [],
    });
  });

  test("what two transports say alike is said once", () => {
    const edge = `${HEAD}MailTransport\nmetadata: {name: edge}\nspec: {hostname: edge.a.example}\n`;
    const rule = `${HEAD}TransportRule\nmetadata: {name: r}\nspec:\n  actions:\n    routeMessageOutboundConnector: nowhere\n`;
    expect(check(HUB, edge, rule).faults).toContain(
      '2.yaml:6 spec.actions.routeMessageOutboundConnector: there is no SendConnector "nowhere" in force on this transport',
    );
    expect(check(HUB, edge, rule).faults).toEqual(
      check(HUB, rule).faults.map((line) => line.replace("1.yaml", "2.yaml")),
    );
  });

  test("rules without a transport get a word, no fault", () => {
    const rule = `${HEAD}TransportRule\nmetadata: {name: r}\nspec: {actions: {deleteMessage: true}}\n`;
    expect(check(rule)).toEqual({
      faults: [],
      warnings: [
        "0.yaml:1: there is no MailTransport among these manifests: what needs other objects was not checked",
      ],
    });
  });

  test("nothing at all is without faults", () => expect(check("")).toEqual({ faults: [], warnings: [] }));
});
