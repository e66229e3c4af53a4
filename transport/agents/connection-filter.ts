/**
 * Connection filter: IP allow list, IP block list, DNS block lists (RFC 5782).
 *
 * A blocked client is refused at RCPT TO, so that postmaster and the bypassed recipients still get its mail.
 * DNS block lists are asked from MAIL FROM on, all together; one that cannot be asked counts as no match.
 *
 * @module
 */
import { addressKey } from "../../mail/address.ts";
import { type IpAddress, parseIp } from "../../mail/ip-range.ts";
import { type Reply, reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import { parseDuration } from "../../snapshot/schema.ts";
import { addressKeys, isPostmaster } from "./addresses.ts";
import type { Agent, AgentTools, SettingsOf, Verdict } from "./agent.ts";
import { createIpList } from "./ip-list.ts";

type Settings = SettingsOf<"connectionFilter">;
type Provider = Settings["ipBlockListProviders"][number];

const BLOCKED = reply(550, "5.7.1", "Recipient not authorized, your IP has been blocked");
const ON_BLOCK_LIST = "Recipient not authorized, your IP has been found on a block list";

export const connectionFilter: Agent<Settings> = {
  key: "connectionFilter",
  name: "Connection Filtering Agent",
  antispam: true,
  create(settings, tools) {
    const allowed = createIpList(settings.ipAllowList);
    const blocked = createIpList(settings.ipBlockList);
    const bypassed = addressKeys(settings.bypassedRecipients);
    const judged = new WeakMap<SmtpSession, Promise<Reply | undefined>>();
    /** The refusal of a client, found out once in a session. */
    const judge = (session: SmtpSession): Reply | undefined | Promise<Reply | undefined> => {
      if (blocked(session.clientAddress, tools.now())) return BLOCKED;
      if (settings.ipBlockListProviders.length === 0) return undefined;
      const address = parseIp(session.clientAddress);
      if (address === undefined) return undefined;
      const pending = judged.get(session) ?? askProviders(settings, address, tools);
      judged.set(session, pending);
      return pending;
    };
    return {
      exempts: (clientAddress) => allowed(clientAddress, tools.now()),
      onMail({ session }) {
        judge(session);
        return undefined;
      },
      onRcpt({ session }, { address }) {
        if (isPostmaster(address) || bypassed.has(addressKey(address))) return undefined;
        const refusal = judge(session);
        return refusal instanceof Promise ? refusal.then(toVerdict) : toVerdict(refusal);
      },
    };
  },
};

/** Name to look up: octets (IPv4) or nibbles (IPv6) reversed, below the list's domain (RFC 5782 §2.1, §2.4). */
export function blockListName({ family, value }: IpAddress, lookupDomain: string): string {
  const labels =
    family === 4
      ? [0n, 8n, 16n, 24n].map((shift) => String((value >> shift) & 255n))
      : [...value.toString(16).padStart(32, "0")].reverse();
  return `${labels.join(".")}.${lookupDomain}`;
}

/** True when an answer of the list means: listed. */
export function isMatch(answer: string, { anyMatch, ipAddressesMatch, bitmaskMatch }: Provider): boolean {
  const address = parseIp(answer);
  // RFC 5782 §2.1: answers lie in 127/8. Anything else comes from a parked or captured domain.
  if (address?.family !== 4 || address.value >> 24n !== 127n || isError(answer)) return false;
  if (anyMatch) return true;
  if (ipAddressesMatch.includes(answer)) return true;
  const mask = bitmaskMatch === undefined ? undefined : parseIp(bitmaskMatch);
  // The first octet is always 127 and says nothing: only the bits below it count.
  return mask !== undefined && (mask.value & address.value & 0xffffffn) !== 0n;
}

/** 127.255.255.x: "you may not ask" (query limit, open resolver), as the large lists answer; it lists nobody. */
function isError(answer: string): boolean {
  return answer.startsWith("127.255.255.");
}

async function askProviders(
  settings: Settings,
  address: IpAddress,
  tools: AgentTools,
): Promise<Reply | undefined> {
  const timeoutMs = parseDuration(settings.lookupTimeout);
  const answers = await Promise.all(
    settings.ipBlockListProviders.map((provider) => isListedBy(provider, address, { tools, timeoutMs })),
  );
  const at = answers.indexOf(true);
  const provider = settings.ipBlockListProviders[at];
  return provider && reply(550, "5.7.1", provider.rejectionResponse ?? ON_BLOCK_LIST);
}

/** Never rejects: a list that fails must not stop the mail. */
async function isListedBy(
  provider: Provider,
  address: IpAddress,
  { tools, timeoutMs }: { tools: AgentTools; timeoutMs: number },
): Promise<boolean> {
  const { lookupDomain } = provider;
  const stop = new AbortController();
  try {
    const timeout = tools.sleep(timeoutMs, stop.signal).then(() => {
      throw new Error(`No answer within ${timeoutMs} ms`);
    });
    const lookup = tools.resolver.addresses(blockListName(address, lookupDomain));
    const answers = await Promise.race([lookup, timeout]);
    const error = answers.find(isError);
    if (error !== undefined)
      tools.log.warn({ lookupDomain, answer: error }, "DNS block list refuses to answer");
    return answers.some((answer) => isMatch(answer, provider));
  } catch (cause) {
    tools.log.warn({ lookupDomain, cause: String(cause) }, "DNS block list not asked");
    return false;
  } finally {
    stop.abort();
  }
}

function toVerdict(refusal: Reply | undefined): Verdict {
  return refusal && { action: "reject", reply: refusal };
}
