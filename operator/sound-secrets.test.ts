import { describe, expect, test } from "vitest";
import { CertificateMemory, type Secrets } from "../snapshot/mod.ts";
import { testCertificate } from "../test/helpers/certificate.ts";
import { soundSecrets } from "./sound-secrets.ts";

const [first, second] = await Promise.all([testCertificate("mx.example"), testCertificate("mx.example")]);
const good = { "tls.crt": first.cert, "tls.key": first.key };
const mixed = { "tls.crt": first.cert, "tls.key": second.key };
const garbage = { "tls.crt": "garbage", "tls.key": "garbage" };
const users = { users: "ann:x" };

function judge(found: Secrets, held: Secrets | undefined): Secrets {
  const connectors = {
    receiveConnectors: [{ tls: { certificates: ["mail/mx"] }, credentials: "mail/users" }],
    sendConnectors: [{ tls: { clientCertificate: undefined } }],
  };
  const keys = held && { ref: { secret: "hub-keys-1", digest: "" }, text: "", secrets: held };
  // Only these fields are looked at.
  return soundSecrets(found, connectors as never, { keys, certificates: new CertificateMemory() });
}

describe("soundSecrets()", () => {
  test.each([
    { name: "a good certificate is taken", found: good, held: undefined, want: good },
    { name: "a good certificate replaces the one before", found: good, held: mixed, want: good },
    { name: "garbage leaves the last good one", found: garbage, held: good, want: good },
    { name: "a key of another certificate leaves the last good one", found: mixed, held: good, want: good },
    { name: "a Secret that is gone leaves the last good one", found: undefined, held: good, want: good },
    { name: "garbage with nothing before it is left out", found: garbage, held: undefined, want: undefined },
  ])("$name", ({ found, held, want }) => {
    const secrets = new Map(found && [["mail/mx", found]]);
    expect(judge(secrets, held && new Map([["mail/mx", held]])).get("mail/mx")).toEqual(want);
  });

  test("users who are gone are gone: passwords have no last good form", () => {
    expect(judge(new Map(), new Map([["mail/users", users]])).has("mail/users")).toBe(false);
  });
});
