import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPassword, hashPassword, parseCredentials } from "./auth.ts";

async function check(text: string, user: string, password: string) {
  return checkPassword(parseCredentials(text).credentials, user, password);
}

describe("checkPassword()", () => {
  test.each([
    { name: "a plain password that is right", user: "ann@contoso.example", password: "s3cret", want: true },
    { name: "a user name in other case", user: "ANN@Contoso.example", password: "s3cret", want: true },
    { name: "a plain password that is wrong", user: "ann@contoso.example", password: "s3cre", want: false },
    { name: "a password in other case", user: "ann@contoso.example", password: "S3cret", want: false },
    { name: "a password with colons and spaces, kept as it is", user: "bob", password: " a:b ", want: true },
    { name: "a user that is not there", user: "eve", password: "s3cret", want: false },
    { name: "no user and no password", user: "", password: "", want: false },
    { name: "a name that every object has", user: "__proto__", password: "", want: false },
    { name: "a comment is no user", user: "# old", password: "x", want: false },
  ])("$name: $want", async ({ user, password, want }) => {
    const text = "# users\n\nann@contoso.example:s3cret\r\nbob: a:b \n# old:x\n";
    expect(await check(text, user, password)).toBe(want);
  });

  test("what hashPassword() makes is accepted for its password and no other", async () => {
    const text = `ann:${await hashPassword("pässwörd")}\nbob:plain\n`;
    expect(await check(text, "ann", "pässwörd")).toBe(true);
    expect(await check(text, "ann", "passwörd")).toBe(false);
    expect(await check(text, "ann", "")).toBe(false);
    expect(await check(text, "bob", "plain")).toBe(true);
    expect(await check(text, "bob", "pässwörd")).toBe(false);
    expect(await check(text, "eve", "pässwörd")).toBe(false);
  });

  test("a hash is never a password", async () => {
    const hash = await hashPassword("x");
    expect(await check(`ann:${hash}`, "ann", hash)).toBe(false);
  });

  test("two hashes of one password differ", async () => {
    expect(await hashPassword("x")).not.toBe(await hashPassword("x"));
  });

  test("an unknown user, a plain one and a hashed one take the same time", async () => {
    const { credentials } = parseCredentials(`ann:${await hashPassword("x")}\nbob:plain\n`);
    const cost = async (user: string) => {
      const times: number[] = [];
      for (let i = 0; i < 7; i++) {
        const from = performance.now();
        await checkPassword(credentials, user, "wrong");
        times.push(performance.now() - from);
      }
      return Math.min(...times);
    };
    const [hashed, plain, unknown] = [await cost("ann"), await cost("bob"), await cost("eve")];
    // Without the same hash for all, the ratio would be about a thousand; a busy machine makes it two or three.
    for (const other of [plain, unknown]) {
      expect(other / hashed).toBeGreaterThan(0.1);
      expect(other / hashed).toBeLessThan(10);
    }
  });

  test("a flood of checks is refused beyond what may wait, and those that wait are answered", async () => {
    const { credentials } = parseCredentials("ann:$scrypt$N=1024,r=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==");
    const answers = await Promise.allSettled(
      Array.from({ length: 1000 }, () => checkPassword(credentials, "ann", "wrong")),
    );
    const refused = answers.filter(({ status }) => status === "rejected").length;
    expect(refused).toBeGreaterThan(0);
    expect(answers.filter((answer) => answer.status === "fulfilled" && !answer.value).length).toBe(
      1000 - refused,
    );
    expect(await checkPassword(credentials, "ann", "wrong")).toBe(false);
  });
});

describe("parseCredentials()", () => {
  const good = "AAAAAAAAAAAAAAAAAAAAAA==";
  test.each([
    { name: "a line without a colon", line: "ann" },
    { name: "a line without a name", line: ":x" },
    { name: "a line without a password", line: "ann:" },
    { name: "a second line for a user", line: "FIRST:x" },
    {
      name: "a hash of another scheme",
      line: "ann:$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
    },
    { name: "a mistyped hash", line: `ann:$scrypt$N=16384;r=8;p=1$AAAA$${good}` },
    { name: "a cost that is no power of two", line: `ann:$scrypt$N=16383,r=8,p=1$AAAA$${good}` },
    { name: "a cost that is nothing", line: `ann:$scrypt$N=2,r=8,p=1$AAAA$${good}` },
    { name: "a cost that takes the machine", line: `ann:$scrypt$N=16777216,r=8,p=1$AAAA$${good}` },
    { name: "a hash that is too short", line: "ann:$scrypt$N=16384,r=8,p=1$AAAA$AAAA" },
  ])("$name is named by its number, never quoted, and not in force", ({ line }) => {
    const { credentials, faults } = parseCredentials(`first:pw\n# comment\n${line}\nlast:pw`);
    expect(faults.map(({ line: number }) => number)).toEqual([3]);
    expect(faults[0]?.message).not.toContain(line.slice(line.indexOf(":") + 1) || "\0");
    expect([...credentials.users.keys()]).toEqual(["first", "last"]);
  });

  test("any text is read without a throw, and no fault quotes it", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { faults } = parseCredentials(text);
        expect(faults.length).toBeLessThanOrEqual(text.split("\n").length);
      }),
    );
  });
});
