import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { beginSasl, type SaslStep } from "./sasl.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Runs an exchange to its end. */
function run(
  mechanism: string,
  initial: string | undefined,
  lines: readonly string[] = [],
): SaslStep | undefined {
  let step = beginSasl(mechanism, initial);
  for (const line of lines) {
    if (step?.kind !== "challenge") throw new Error("no challenge");
    step = step.next(line);
  }
  return step;
}

const ann = { kind: "credentials", user: "ann", password: "secret" };

describe("beginSasl()", () => {
  test.each([
    {
      name: "PLAIN with an initial response",
      mechanism: "PLAIN",
      initial: base64("\0ann\0secret"),
      lines: [],
    },
    {
      name: "PLAIN after a challenge",
      mechanism: "PLAIN",
      initial: undefined,
      lines: [base64("\0ann\0secret")],
    },
    { name: "PLAIN acting for itself", mechanism: "PLAIN", initial: base64("ann\0ann\0secret"), lines: [] },
    { name: "LOGIN", mechanism: "LOGIN", initial: undefined, lines: [base64("ann"), base64("secret")] },
    {
      name: "LOGIN with an initial response",
      mechanism: "LOGIN",
      initial: base64("ann"),
      lines: [base64("secret")],
    },
  ])("$name gives the credentials", ({ mechanism, initial, lines }) => {
    expect(run(mechanism, initial, lines)).toEqual(ann);
  });

  test.each([
    { name: "a cancelled PLAIN", mechanism: "PLAIN", initial: undefined, lines: ["*"], want: 501 },
    {
      name: "a LOGIN cancelled at the password",
      mechanism: "LOGIN",
      initial: base64("ann"),
      lines: ["*"],
      want: 501,
    },
    { name: "no base64", mechanism: "PLAIN", initial: "%%%%", lines: [], want: 501 },
    { name: "base64 of broken UTF-8", mechanism: "PLAIN", initial: "AP8A/w==", lines: [], want: 501 },
    { name: "PLAIN without its parts", mechanism: "PLAIN", initial: base64("ann"), lines: [], want: 501 },
    { name: "an empty PLAIN response", mechanism: "PLAIN", initial: "=", lines: [], want: 501 },
    {
      name: "PLAIN acting for another",
      mechanism: "PLAIN",
      initial: base64("bob\0ann\0secret"),
      lines: [],
      want: 535,
    },
    { name: "no user", mechanism: "PLAIN", initial: base64("\0\0secret"), lines: [], want: 535 },
    { name: "no password", mechanism: "PLAIN", initial: base64("\0ann\0"), lines: [], want: 535 },
    {
      name: "a line end in the user",
      mechanism: "LOGIN",
      initial: base64("a\nn"),
      lines: [base64("x")],
      want: 535,
    },
  ])("$name is refused", ({ mechanism, initial, lines, want }) => {
    expect(run(mechanism, initial, lines)).toMatchObject({ kind: "refused", reply: { code: want } });
  });

  test("challenges carry no enhanced status and the words of LOGIN", () => {
    expect(beginSasl("PLAIN", undefined)).toMatchObject({
      reply: { code: 334, status: undefined, text: "" },
    });
    expect(beginSasl("LOGIN", undefined)).toMatchObject({ reply: { text: base64("Username:") } });
    expect(beginSasl("LOGIN", base64("ann"))).toMatchObject({ reply: { text: base64("Password:") } });
  });

  test("another mechanism is unknown", () => {
    expect(beginSasl("CRAM-MD5", undefined)).toBeUndefined();
  });

  test("whatever comes, nothing is thrown", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("PLAIN", "LOGIN"),
        fc.string(),
        (mechanism, text) => void run(mechanism, text),
      ),
    );
  });
});
