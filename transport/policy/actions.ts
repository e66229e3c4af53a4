/** Actions: one small function each: from a working copy to the next. Their order here is the order they are done in. */
import { type Address, addressKey, parseAddress } from "../../mail/address.ts";
import { encodeHeaderText } from "../../mail/encoded-word.ts";
import { type HeaderField, makeField, removeFields, setField } from "../../mail/header.ts";
import { HtmlText } from "../../mail/html-text.ts";
import type { Recipient } from "../../mail/message.ts";
import { addAddressTo, prependSubject } from "../../mail/subject.ts";
import type { RuleEntry } from "../../snapshot/schema.ts";
import { type Receiving, type WorkingCopy, type WorkingRecipient, withEdit } from "./copy.ts";
import type { ContentEdit } from "./mod.ts";

type Actions = RuleEntry["actions"];
type ActionName = keyof Actions;

/** `receiving`: everybody who gets the message already; an address is not added twice. */
export type Action = (copy: WorkingCopy, receiving: Receiving) => WorkingCopy;

export interface CompiledActions {
  readonly names: readonly string[];
  readonly logEventText: string | undefined;
  /** The copies that come of one: it, and where its fate is not delivery, one for those whom the rule added. */
  run(copy: WorkingCopy, receiving: Receiving): WorkingCopy[];
}

type ActionFactories = {
  readonly [Name in ActionName]-?: (value: NonNullable<Actions[Name]>) => Action | undefined;
};

// The type makes the compiler name an action of the schema that nobody built.
const FACTORIES: ActionFactories = {
  removeHeader: (names) => (copy) => names.reduce(removeHeader, copy),
  setHeader: (fields) => {
    const setters = fields.map(setHeader);
    return (copy) => {
      let edited = copy;
      for (const set of setters) edited = set(edited);
      return edited;
    };
  },
  prependSubject: (text) => (copy) =>
    editHeader(copy, { kind: "prependSubject", text }, prependSubject(copy.header, text)),
  applyHtmlDisclaimer: disclaimer,
  redirectMessageTo: (texts) => redirectTo(readAddresses(texts)),
  addToRecipients: (texts) => addRecipients(readAddresses(texts), "To"),
  copyTo: (texts) => addRecipients(readAddresses(texts), "Cc"),
  blindCopyTo: (texts) => addRecipients(readAddresses(texts), undefined),
  routeMessageOutboundConnector: (connectorOverride) => (copy) => ({ ...copy, connectorOverride }),
  routeMessageOutboundRequireTls: (wanted) =>
    wanted ? (copy) => ({ ...copy, requireTls: true }) : undefined,
  setPriority: (priority) => (copy) => ({ ...copy, priority }),
  setScl: (level) => (copy) => setScl(copy, String(level)),
  logEventText: () => (copy) => copy,
  // The schema allows one fate a rule.
  deleteMessage: (wanted) => (wanted ? (copy) => ({ ...copy, fate: { kind: "delete" } }) : undefined),
  quarantine: (wanted) => (wanted ? (copy) => ({ ...copy, fate: { kind: "quarantine" } }) : undefined),
  rejectMessage:
    ({ enhancedStatusCode, reasonText }) =>
    (copy) => ({ ...copy, fate: { kind: "reject", status: enhancedStatusCode, text: reasonText } }),
};

const NAMES = Object.keys(FACTORIES) as ActionName[];

export function compileActions({ actions, stopRuleProcessing }: RuleEntry): CompiledActions {
  const names = NAMES.filter((name) => actions[name] !== undefined);
  const compiled = names.flatMap((name) => {
    const run = compileAction(name, actions);
    return run === undefined ? [] : [{ name, run }];
  });
  const stop = stopRuleProcessing ? ["stopRuleProcessing"] : [];
  return {
    names: [...compiled.map(({ name }) => name), ...stop],
    logEventText: actions.logEventText,
    run(copy, receiving) {
      let acted = copy;
      for (const { run } of compiled) acted = run(acted, receiving);
      const done = stopRuleProcessing ? { ...acted, stopped: true } : acted;
      return done.fate.kind === "deliver" ? [done] : separateAdded(done, copy);
    },
  };
}

function compileAction<Name extends ActionName>(name: Name, actions: Actions): Action | undefined {
  const value = actions[name];
  // FACTORIES[name] takes the value of that very name, which the compiler cannot see through an indexed access.
  const factory = FACTORIES[name] as (given: NonNullable<Actions[Name]>) => Action | undefined;
  return value === undefined ? undefined : factory(value as NonNullable<Actions[Name]>);
}

/** "Reject, and a blind copy to the auditor": the auditor whom the same rule adds gets the message all the same. */
function separateAdded(acted: WorkingCopy, before: WorkingCopy): WorkingCopy[] {
  const known = new Set(before.recipients);
  const isNew = (one: WorkingRecipient) => one.added && !known.has(one);
  const added = acted.recipients.filter(isNew);
  const judged = { ...acted, recipients: acted.recipients.filter((one) => !isNew(one)) };
  if (added.length === 0) return [judged];
  return [judged, { ...acted, recipients: added, fate: { kind: "deliver" } }];
}

function removeHeader(copy: WorkingCopy, name: string): WorkingCopy {
  if (!hasField(copy.header, name.toLowerCase())) return copy;
  return editHeader(copy, { kind: "removeHeader", name }, removeFields(copy.header, name));
}

/** `wanted` is in lower case. */
function hasField(header: readonly HeaderField[], wanted: string): boolean {
  for (const field of header) {
    if (field.name.length === wanted.length && field.name.toLowerCase() === wanted) return true;
  }
  return false;
}

/** The edit is the same object each time; the field is made when the rule first runs. */
function setHeader({ name, value }: { name: string; value: string }): (copy: WorkingCopy) => WorkingCopy {
  const edit: ContentEdit = { kind: "setHeader", name, value };
  const wanted = name.toLowerCase();
  let field: HeaderField | undefined;
  return (copy) => {
    const { header } = copy;
    field ??= makeField(name, encodeHeaderText(value));
    return withEdit(copy, edit, hasField(header, wanted) ? setField(header, field) : header.concat(field));
  };
}

/** No edit when the header stays as it is: the text or address stands there already. */
function editHeader(copy: WorkingCopy, edit: ContentEdit, header: readonly HeaderField[]): WorkingCopy {
  const isSame =
    header.length === copy.header.length && header.every((field, index) => field === copy.header[index]);
  return isSame ? copy : withEdit(copy, edit, header);
}

function disclaimer(value: NonNullable<Actions["applyHtmlDisclaimer"]>): Action {
  const { html, location, fallbackAction, text = textOf(html) } = value;
  const edit: ContentEdit = { kind: "disclaimer", text, html, location, fallbackAction };
  return (copy) => withEdit(copy, edit);
}

function textOf(html: string): string {
  const reader = new HtmlText();
  return (reader.write(html) + reader.end()).trim();
}

function setScl(copy: WorkingCopy, level: string): WorkingCopy {
  return copy.stamps.SCL === level ? copy : { ...copy, stamps: { ...copy.stamps, SCL: level } };
}

/** Replaces the recipients. A target that is among them stays as it is, with what the sender asked for it. */
function redirectTo(targets: readonly Address[]): Action | undefined {
  if (targets.length === 0) return undefined;
  return (copy) => {
    const byKey = new Map(copy.recipients.map((one) => [addressKey(one.recipient.address), one]));
    const replaces = copy.recipients.flatMap((one) => {
      if (one.added) return [];
      return one.replaces.length > 0 ? one.replaces : [one.recipient];
    });
    const recipients = targets.map(
      (address): WorkingRecipient =>
        byKey.get(addressKey(address)) ?? {
          recipient: redirected(address, replaces),
          added: replaces.length === 0,
          replaces,
        },
    );
    return { ...copy, recipients };
  };
}

/** RFC 3461 §5.2.4: ORCPT names the recipient the sender wrote to; one for many would be untrue. */
function redirected(address: Address, replaces: readonly Recipient[]): Recipient {
  const [only, ...others] = replaces;
  const orcpt = others.length === 0 ? only?.orcpt : undefined;
  return { address, original: address, notify: undefined, orcpt };
}

function addRecipients(targets: readonly Address[], field: "To" | "Cc" | undefined): Action {
  return (copy, receiving) => {
    const named =
      field === undefined ? copy : targets.reduce((state, one) => nameIn(state, field, one), copy);
    const here = new Set(copy.recipients.map(({ recipient }) => addressKey(recipient.address)));
    const fresh = targets.filter((address) => {
      const key = addressKey(address);
      return !receiving.has(key) && !here.has(key);
    });
    const added = fresh.map((address) => ({
      recipient: { address, original: address, notify: undefined },
      added: true,
      replaces: [],
    }));
    return { ...named, recipients: [...named.recipients, ...added] };
  };
}

function nameIn(copy: WorkingCopy, field: "To" | "Cc", address: Address): WorkingCopy {
  return editHeader(copy, { kind: "addAddress", field, address }, addAddressTo(copy.header, field, address));
}

/** Addresses as rules write them, each once. One that is none was refused when the object was checked. */
function readAddresses(texts: readonly string[]): Address[] {
  const addresses = texts.flatMap((text) => parseAddress(text.trim()) ?? []);
  return [...new Map(addresses.map((address) => [addressKey(address), address])).values()];
}
