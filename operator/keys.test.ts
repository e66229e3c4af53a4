import { describe, expect, test } from "vitest";
import { keysNumber, keysSecretName, keysText, makeKeysSecret, readKeysSecret } from "./keys.ts";
import { ownerReference } from "./labels.ts";

const SECRETS = new Map([
  ["mail/mx-tls", { "tls.crt": "CERT", "tls.key": "KEY" }],
  ["mail/users", { users: "ann:hunter2" }],
]);
const PLACE = {
  namespace: "mail",
  transport: "hub",
  number: 7,
  owner: ownerReference({ name: "hub", uid: "u1" }),
};

describe("keys", () => {
  test("what is written is read back, with the digest that the head names", () => {
    const { object, ref } = makeKeysSecret(keysText(SECRETS), PLACE);
    const read = readKeysSecret(object);
    expect(read?.ref).toEqual(ref);
    expect(read?.secrets).toEqual(SECRETS);
  });

  test("the text does not depend on the order of the Secrets", () => {
    expect(keysText(new Map([...SECRETS].reverse()))).toBe(keysText(SECRETS));
  });

  test("the same keys have another digest in another Secret: a password cannot be guessed from it", () => {
    const text = keysText(SECRETS);
    expect(makeKeysSecret(text, PLACE).ref.digest).not.toBe(makeKeysSecret(text, PLACE).ref.digest);
  });

  test("a Secret that was changed is told by its digest", () => {
    const { object, ref } = makeKeysSecret(keysText(SECRETS), PLACE);
    const data = { ...(object.data as object), "keys.json": Buffer.from("{}").toString("base64") };
    expect(readKeysSecret({ ...object, data })?.ref.digest).not.toBe(ref.digest);
  });

  test.each([
    { name: "has no data", data: undefined },
    { name: "has no salt", data: { "keys.json": "e30=" } },
    { name: "has no keys", data: { salt: "AAAA" } },
    { name: "holds no JSON", data: { "keys.json": "eA==", salt: "AAAA" } },
  ])("a Secret that $name is none of ours", ({ data }) => {
    expect(readKeysSecret({ metadata: { name: "hub-keys-1" }, data })).toBeUndefined();
  });

  test.each([
    { name: "hub-keys-7", number: 7 },
    { name: "hub-keys-12", number: 12 },
    { name: "hub-keys-", number: 0 },
    { name: "other", number: 0 },
  ])("the number of $name is $number", ({ name, number }) => {
    expect(keysNumber(name)).toBe(number);
  });

  test("the name of a Secret tells its transport and number", () => {
    expect(keysSecretName("hub", 7)).toBe("hub-keys-7");
  });
});
