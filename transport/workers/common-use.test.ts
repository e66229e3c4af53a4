import { expect, test } from "vitest";
import { allocateUse, createCommonUse } from "./common-use.ts";

test("what each uses now adds up, and what one used before does not", () => {
  const memory = allocateUse(2);
  const [a, b] = [createCommonUse(memory, 0), createCommonUse(memory, 1)];
  expect(a.with({ submissionQueue: 3, diskOctets: 1e12 })).toEqual({ submissionQueue: 3, diskOctets: 1e12 });
  expect(b.with({ submissionQueue: 4, diskOctets: 5.5 })).toEqual({
    submissionQueue: 7,
    diskOctets: 1e12 + 6,
  });
  expect(a.with({ submissionQueue: 1, diskOctets: 0 })).toEqual({ submissionQueue: 5, diskOctets: 6 });
});
