import { describe, expect, test } from "vitest";
import { parseAddress } from "../../mail/address.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import { domainsOf, receiveConnector } from "../../test/helpers/receive-connector.ts";
import { checkRecipient, checkSender, namedByLiteral } from "./permissions.ts";

const domains = domainsOf("contoso.example");
function session(changes: Partial<SmtpSession> = {}): SmtpSession {
  return {
    id: "s1",
    clientAddress: "198.51.100.1",
    clientPort: 1,
    localAddress: "192.0.2.1",
    localPort: 25,
    connector: "default/internet",
    helo: "x",
    extended: true,
    tls: undefined,
    user: undefined,
    internal: false,
    mayRelay: false,
    ...changes,
  };
}
const code = (answer: ReturnType<typeof checkSender>) =>
  answer && `${answer.reply.code} ${answer.reply.status}`;

describe("checkSender()", () => {
  const sendAs = [
    { user: "scanner", addresses: ["scans@contoso.example", "*@print.example"] },
    { user: "*", addresses: ["noreply@contoso.example"] },
    { user: "Robot@contoso.example", addresses: ["*"] },
    { user: "idn", addresses: ["*@bücher.example"] },
  ];
  const denied = "550 5.7.60";
  interface Row {
    name: string;
    user?: string;
    sender: string;
    connector?: Partial<ReceiveConnectorEntry>;
    want: string | undefined;
  }
  const rows: Row[] = [
    {
      name: "a user may send as the address it logs on with",
      user: "ann@contoso.example",
      sender: "ann@contoso.example",
      want: undefined,
    },
    {
      name: "case makes no other address",
      user: "Ann@Contoso.Example",
      sender: "aNN@contoso.example",
      want: undefined,
    },
    {
      name: "a user may not send as somebody else",
      user: "ann@contoso.example",
      sender: "bob@contoso.example",
      want: denied,
    },
    {
      name: "a user may not send as an address that only ends like its own",
      user: "ann@contoso.example",
      sender: "joann@contoso.example",
      want: denied,
    },
    {
      name: "a user name that is no address is no sender",
      user: "ann",
      sender: "ann@contoso.example",
      want: denied,
    },
    { name: "sendAs gives an address", user: "Scanner", sender: "scans@contoso.example", want: undefined },
    { name: "sendAs gives a domain", user: "scanner", sender: "floor3@print.example", want: undefined },
    {
      name: "a domain given is not its subdomains",
      user: "scanner",
      sender: "a@b.print.example",
      want: denied,
    },
    {
      name: "what is given to every user holds for each",
      user: "scanner",
      sender: "noreply@contoso.example",
      want: undefined,
    },
    {
      name: "what is given to one user holds for no other",
      user: "ann@contoso.example",
      sender: "scans@contoso.example",
      want: denied,
    },
    { name: "* is any sender", user: "robot@contoso.example", sender: "x@fabrikam.example", want: undefined },
    { name: "* is the null sender too", user: "robot@contoso.example", sender: "", want: undefined },
    { name: "a user may not use the null sender", user: "ann@contoso.example", sender: "", want: denied },
    {
      name: "a domain in Unicode holds as its A-label",
      user: "idn",
      sender: "a@xn--bcher-kva.example",
      want: undefined,
    },
    { name: "a stranger may use our domains by default", sender: "ann@contoso.example", want: undefined },
    {
      name: "a stranger may not use our domains when the connector says so",
      sender: "ann@contoso.example",
      connector: { acceptAuthoritativeDomainSender: false },
      want: denied,
    },
    {
      name: "a stranger may use a domain of its own then",
      sender: "x@fabrikam.example",
      connector: { acceptAuthoritativeDomainSender: false },
      want: undefined,
    },
    {
      name: "a stranger may use the null sender",
      sender: "",
      connector: { acceptAuthoritativeDomainSender: false },
      want: undefined,
    },
    {
      name: "an externally secured peer may use any sender",
      sender: "ann@contoso.example",
      connector: { acceptAuthoritativeDomainSender: false, authMechanisms: ["Tls", "ExternalAuthoritative"] },
      want: undefined,
    },
    {
      name: "a relay peer may use any sender, authenticated or not",
      user: "ann",
      sender: "x@fabrikam.example",
      connector: { permissionGroups: ["Relay"] },
      want: undefined,
    },
  ];
  test.each(rows)("$name", ({ user, sender, connector, want }) => {
    const entry = receiveConnector({ sendAs, ...connector });
    const address = sender === "" ? null : parseAddress(sender)!;
    expect(code(checkSender(session({ user }), address, { connector: entry, domains }))).toBe(want);
  });
});

describe("checkRecipient() and namedByLiteral()", () => {
  test.each([
    { name: "an accepted domain is accepted", to: "bob@contoso.example", want: undefined },
    { name: "another domain is not relayed to", to: "x@fabrikam.example", want: "550 5.7.1" },
    {
      name: "a session that may relay reaches any domain",
      to: "x@fabrikam.example",
      mayRelay: true,
      want: undefined,
    },
    { name: "nobody lives at our own address literal", to: "ann@[192.0.2.1]", want: "550 5.7.1" },
    {
      name: "nobody does for a session that may relay either",
      to: "ann@[192.0.2.1]",
      mayRelay: true,
      want: "550 5.7.1",
    },
    { name: "another address literal is no domain of ours", to: "ann@[192.0.2.2]", want: "550 5.7.1" },
    {
      name: "a session that may relay reaches another one",
      to: "a@[192.0.2.2]",
      mayRelay: true,
      want: undefined,
    },
  ])("$name", ({ to, mayRelay = false, want }) => {
    const localAddress = "192.0.2.1";
    const rules = { connector: receiveConnector(), domains };
    expect(code(checkRecipient(session({ mayRelay, localAddress }), parseAddress(to)!, rules))).toBe(want);
  });

  test.each([
    {
      name: "postmaster at the literal we were reached at is <postmaster>",
      to: "Postmaster@[192.0.2.1]",
      own: true,
    },
    { name: "anybody else there is not", to: "ann@[192.0.2.1]", own: false },
    { name: "another address literal is not ours", to: "postmaster@[192.0.2.2]", own: false },
    {
      name: "an IPv6 literal in another spelling is ours",
      to: "postmaster@[IPv6:2001:DB8:0::1]",
      localAddress: "2001:db8::1",
      own: true,
    },
    {
      name: "an IPv6 literal of another host is not",
      to: "postmaster@[IPv6:2001:db8::2]",
      localAddress: "2001:db8::1",
      own: false,
    },
    {
      name: "an IPv6 literal of the same number as our IPv4 address is not",
      to: "postmaster@[IPv6:::c000:201]",
      own: false,
    },
    { name: "a literal of another kind is not", to: "postmaster@[X400:192.0.2.1]", own: false },
  ])("$name", ({ to, localAddress = "192.0.2.1", own }) => {
    const address = parseAddress(to)!;
    expect(namedByLiteral(session({ localAddress }), address)).toEqual(
      own ? { ...address, domain: "" } : address,
    );
  });

  test.each([
    { name: "postmaster may come without a domain", localPart: "PostMaster", want: undefined },
    { name: "nobody else may, even from a session that may relay", localPart: "ann", want: "501 5.1.3" },
  ])("$name", ({ localPart, want }) => {
    const rules = { connector: receiveConnector(), domains };
    expect(code(checkRecipient(session({ mayRelay: true }), { localPart, domain: "" }, rules))).toBe(want);
  });
});
