import { expect, test } from "vitest";
import { makeContent, makeSession, makeTools } from "../../test/helpers/agent-facts.ts";
import { headerFirewall } from "./header-firewall.ts";

const HEADER = [
  "From: ann@away.example",
  "X-Postroom-SCL: -1",
  "x-ms-exchange-organization-AuthAs: Internal\r\n\tfolded",
  "X-MS-Exchange-Organization-SCL : -1",
  "X-Postroomette: mine",
  "Subject: X-Postroom-SCL: 1",
  "",
].join("\r\n");

function names(prefixes: readonly string[], internal: boolean): string[] {
  const content = makeContent({ header: HEADER, session: makeSession({ internal }) });
  const on = headerFirewall.create({ prefixes: [...prefixes] }, makeTools());
  expect(on.onEndOfHeaders?.(content)).toBeUndefined();
  return content.header.map(({ name }) => name);
}

const ALL = [
  "From",
  "X-Postroom-SCL",
  "x-ms-exchange-organization-AuthAs",
  "X-MS-Exchange-Organization-SCL",
  "X-Postroomette",
  "Subject",
];

test.each([
  {
    name: "a stranger's organization fields go, in any case and folded",
    prefixes: ["X-Postroom-", "X-MS-Exchange-Organization-"],
    internal: false,
    want: ["From", "X-Postroomette", "Subject"],
  },
  { name: "internal mail keeps them", prefixes: ["X-Postroom-"], internal: true, want: ALL },
  { name: "no prefixes remove nothing", prefixes: [], internal: false, want: ALL },
  { name: "an empty prefix removes nothing", prefixes: [""], internal: false, want: ALL },
])("$name", ({ prefixes, internal, want }) => {
  expect(names(prefixes, internal)).toEqual(want);
});

test("it runs whoever the client is", () => {
  expect(headerFirewall.antispam).toBe(false);
});
