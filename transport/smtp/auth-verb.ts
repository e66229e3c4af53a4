/** AUTH (RFC 4954): offered or not, the exchange, the limit of failed logons. auth.ts knows the passwords. */
import { ask, type Dialogue, type Outcome, refusalOf, type Step, setUser } from "./dialogue.ts";
import { hasAuth, mayAuthenticate } from "./ehlo.ts";
import {
  AUTH_NEEDS_TLS,
  AUTHENTICATED,
  BAD_ARGUMENTS,
  BAD_SEQUENCE,
  EHLO_FIRST,
  NO_AUTH_NOW,
  NOT_IMPLEMENTED,
  TOO_MANY_LOGONS,
  UNKNOWN_MECHANISM,
  WRONG_CREDENTIALS,
} from "./replies.ts";
import { beginSasl, type SaslStep } from "./sasl.ts";

export function auth(dialogue: Dialogue, args: string): Step {
  const { session, connector, transaction } = dialogue;
  if (!session.extended) return { reply: EHLO_FIRST };
  if (!hasAuth(connector)) return { reply: NOT_IMPLEMENTED };
  // RFC 4954 §4: once a session, and never inside a transaction.
  if (session.user !== undefined || transaction !== undefined) return { reply: BAD_SEQUENCE };
  if (!mayAuthenticate(connector, session.tls !== undefined)) return { reply: AUTH_NEEDS_TLS };
  if (dialogue.logonFailures >= connector.maxLogonFailures) return { reply: TOO_MANY_LOGONS };
  const [mechanism = "", initial, ...more] = args.split(/[ \t]+/);
  if (mechanism === "" || more.length > 0) return { reply: BAD_ARGUMENTS };
  const step = beginSasl(mechanism.toUpperCase(), initial);
  return step === undefined ? { reply: UNKNOWN_MECHANISM } : takeStep(dialogue, step);
}

/** Goes on with an exchange: the next challenge, or the end of it. */
export function takeStep(dialogue: Dialogue, step: SaslStep): Step {
  if (step.kind === "challenge") {
    dialogue.reading = { kind: "sasl", next: step.next };
    return { reply: step.reply };
  }
  dialogue.reading = { kind: "command" };
  if (step.kind === "credentials") return logOn(dialogue, step);
  if (step.reply === WRONG_CREDENTIALS) dialogue.logonFailures++;
  return { reply: step.reply };
}

async function logOn(
  dialogue: Dialogue,
  { user, password }: { user: string; password: string },
): Promise<Outcome> {
  const { services } = dialogue;
  try {
    if (!(await services.authenticate(user, password))) {
      dialogue.logonFailures++;
      return { reply: WRONG_CREDENTIALS };
    }
  } catch (error) {
    services.fault(error, "AUTH");
    return { reply: NO_AUTH_NOW };
  }
  setUser(dialogue, user);
  const answer = await ask(dialogue, "AUTH", () => services.handler.onAuth(user));
  const refusal = refusalOf(answer);
  if (refusal !== undefined) setUser(dialogue, undefined);
  return refusal ?? { reply: AUTHENTICATED, delayMs: answer?.delayMs };
}
