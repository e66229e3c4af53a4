/**
 * SASL PLAIN (RFC 4616) and LOGIN: the exchange of an AUTH command (RFC 4954), to a user and a password.
 *
 * Pure. Whether the password is right is auth.ts's business.
 *
 * @module
 */
import { type Reply, reply } from "../../mail/reply.ts";
import { AUTH_CANCELLED, BAD_BASE64, WRONG_CREDENTIALS } from "./replies.ts";

export type SaslStep =
  | { readonly kind: "challenge"; readonly reply: Reply; readonly next: (line: string) => SaslStep }
  | { readonly kind: "credentials"; readonly user: string; readonly password: string }
  | { readonly kind: "refused"; readonly reply: Reply };

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** First step of a mechanism; undefined: unknown mechanism. `initial` is the initial response, if one was sent. */
export function beginSasl(mechanism: string, initial: string | undefined): SaslStep | undefined {
  // RFC 4954 §4: "=" is an initial response of no octets.
  const response = initial === "=" ? "" : initial;
  if (mechanism === "PLAIN") return response === undefined ? challenge("", plain) : plain(response);
  if (mechanism !== "LOGIN") return undefined;
  return response === undefined ? challenge("VXNlcm5hbWU6", loginUser) : loginUser(response);
}

function challenge(text: string, next: (line: string) => SaslStep): SaslStep {
  const step = (line: string) => (line === "*" ? refuse(AUTH_CANCELLED) : next(line));
  return { kind: "challenge", reply: reply(334, undefined, text), next: step };
}

// RFC 4616 §2: [authzid] NUL authcid NUL passwd.
function plain(response: string): SaslStep {
  const text = decodeBase64(response);
  if (text === undefined) return refuse(BAD_BASE64);
  const [authorization, user, password, ...more] = text.split("\0");
  if (password === undefined || more.length > 0) return refuse(BAD_BASE64);
  // Acting for somebody else is not offered.
  if (authorization !== "" && authorization !== user) return refuse(WRONG_CREDENTIALS);
  return credentials(user, password);
}

function loginUser(response: string): SaslStep {
  const user = decodeBase64(response);
  if (user === undefined) return refuse(BAD_BASE64);
  return challenge("UGFzc3dvcmQ6", (line) => {
    const password = decodeBase64(line);
    return password === undefined ? refuse(BAD_BASE64) : credentials(user, password);
  });
}

function credentials(user: string | undefined, password: string): SaslStep {
  const isUsable = user !== undefined && user !== "" && !/[\x00-\x1f\x7f]/.test(user);
  return isUsable && password !== "" ? { kind: "credentials", user, password } : refuse(WRONG_CREDENTIALS);
}

function refuse(refusal: Reply): SaslStep {
  return { kind: "refused", reply: refusal };
}

function decodeBase64(text: string): string | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return utf8.decode(Buffer.from(text, "base64"));
  } catch {
    return undefined;
  }
}
