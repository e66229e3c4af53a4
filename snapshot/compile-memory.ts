/**
 * CompileMemory: what one compilation of a transport leaves to the next. One for each transport.
 *
 * It never changes a result, only its cost: what is asked for with the same objects is answered with the same objects,
 * so an object that did not change gives the very same entry.
 *
 * @module
 */
import type {
  AcceptedDomain,
  MailTransport,
  ReceiveConnector,
  SendConnector,
  TransportRule,
} from "../crds/mod.ts";
import type { Compiled, Diagnostic } from "../lib/diagnostics.ts";
import { canonicalJson } from "./canonical-json.ts";
import { CertificateMemory } from "./certificates.ts";
import { type Candidate, SettleMemory } from "./conflicts.ts";
import type { AddressSpaces, RouteMemory } from "./domains.ts";
import { entriesByObject } from "./entries.ts";
import { PackMemory } from "./pack.ts";
import { Last, Recall } from "./recall.ts";
import type { KnownConnectors } from "./rules.ts";
import type {
  AcceptedDomainEntry,
  ReceiveConnectorEntry,
  RuleEntry,
  SendConnectorEntry,
  Snapshot,
  TransportEntry,
} from "./schema.ts";

export class CompileMemory {
  readonly pack = new PackMemory();
  readonly certificates = new CertificateMemory();
  readonly transports = new Recall<MailTransport, TransportEntry>();
  readonly receive = new Recall<ReceiveConnector, Candidate<ReceiveConnectorEntry>>();
  readonly send = new Recall<SendConnector, SendConnectorEntry>();
  readonly domains = new Recall<AcceptedDomain, Candidate<AcceptedDomainEntry>>();
  readonly rules = new Recall<TransportRule, Compiled<RuleEntry>>();
  readonly held = new Recall<object, Candidate<unknown>>();
  readonly ranges = new SettleMemory<ReceiveConnectorEntry>();
  readonly claims = new SettleMemory<AcceptedDomainEntry>();
  readonly connectors = new Last<KnownConnectors>();
  readonly spaces = new Last<AddressSpaces>();
  readonly recipients = new Last<readonly Diagnostic[]>();
  readonly routes: RouteMemory = new Recall();
  /** The last result, or what was in force before the first. */
  snapshot: Snapshot | undefined;

  /** `entry`, or the one of the last result when it says the same. */
  steady<Entry extends object>(object: string, entry: Entry): Entry {
    const before = this.snapshot === undefined ? undefined : entriesByObject(this.snapshot).get(object);
    // Equal text is equal content, so the types are equal too.
    return before !== undefined && canonicalJson(before) === canonicalJson(entry) ? (before as Entry) : entry;
  }
}
