import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { REASON } from "../crds/mod.ts";
import { createOperatorMetrics } from "./metrics.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../docs/operator.md"), "utf8");

test("the metrics are those that docs/operator.md lists, all of them and no other", async () => {
  const text = await createOperatorMetrics().registry.metrics();
  const served = [...text.matchAll(/^# TYPE (postroom_\S+)/gm)].map(([, name]) => name);
  const listed = [...PAGE.matchAll(/^\| `(postroom_\w+)`/gm)].map(([, name]) => name);
  expect(listed.toSorted()).toEqual(served.toSorted());
});

test("docs/operator.md says for every reason of a condition what to do", () => {
  const rows = [...PAGE.matchAll(/^\| (`[A-Z].*`) \|/gm)].flatMap(
    ([, cell = ""]) => cell.match(/\w+/g) ?? [],
  );
  expect(rows).toEqual(expect.arrayContaining(Object.values(REASON)));
});
