/** Predicates on the message as a whole: size, kind, importance, spam confidence level, stamps. */
import { messageSize } from "../../mail/message.ts";
import { parseQuantity } from "../../snapshot/schema.ts";
import { complete, type FacetValues, NONE, UNKNOWN } from "./facet-values.ts";
import type { Conditions, Factories } from "./factory.ts";
import { type Facet, hasValue, type Measure, reaches } from "./predicate.ts";
import type { MessageView } from "./view.ts";

type MessageType = NonNullable<Conditions["messageTypeMatches"]>;
type Importance = NonNullable<Conditions["withImportance"]>;

export const messagePredicates = {
  messageSizeOver: (size) => reaches("messageSizeOver", wholeSize, parseQuantity(size) + 1),
  messageTypeMatches: (type) =>
    hasValue("messageTypeMatches", type === "Calendaring" ? calendaring : messageType, [type]),
  withImportance: (wanted) => hasValue("withImportance", importance, [wanted]),
  sclOver: (level) => reaches("sclOver", scl, level),
  stampIs: ({ name, values }) =>
    hasValue(
      "stampIs",
      stamp,
      values.map((value) => `${name}=${value}`),
    ),
} satisfies Partial<Factories>;

const wholeSize: Measure = {
  name: "messageSize",
  needsMime: false,
  measure: ({ header, message }) => ({ value: messageSize({ header, body: message.body }), complete: true }),
};

const scl: Measure = {
  name: "scl",
  needsMime: false,
  measure({ stamps }) {
    const level = Number.parseFloat(stamps.SCL ?? "");
    return { value: Number.isNaN(level) ? undefined : level, complete: true };
  },
};

const stamp: Facet = {
  name: "stamp",
  rank: 4,
  needsMime: false,
  values({ stamps }) {
    const values: string[] = [];
    for (const name in stamps) if (Object.hasOwn(stamps, name)) values.push(`${name}=${stamps[name]}`);
    return complete(values);
  },
};

/** Kinds that the header alone tells. */
const messageType: Facet = {
  name: "messageType",
  rank: 7,
  needsMime: false,
  values(view) {
    const types: MessageType[] = [];
    for (const [type, holds] of TYPE_TESTS) if (holds(view)) types.push(type);
    return complete(types);
  },
};

const TYPE_TESTS: readonly (readonly [MessageType, (view: MessageView) => boolean])[] = [
  ["OOF", isOutOfOffice],
  ["AutoForward", isAutoForwarded],
  ["Encrypted", isEncrypted],
  ["Signed", isSigned],
  ["ReadReceipt", isReadReceipt],
];

// RFC 3834 §5: auto-replied marks automatic answers; reports (RFC 3462) carry it too and are none.
function isOutOfOffice(view: MessageView): boolean {
  const replied = /^auto-replied\b/.test(lowerValue(view, "auto-submitted"));
  return (replied || lowerValue(view, "precedence") === "auto_reply") && !isReport(view);
}

const FORWARD_FIELDS = ["autoforwarded", "x-ms-exchange-organization-autoforwarded"];

// RFC 2156 §5.3.4 Autoforwarded, and the name that Exchange gives it.
function isAutoForwarded(view: MessageView): boolean {
  const stated = FORWARD_FIELDS.some((name) => lowerValue(view, name) === "true");
  return stated || /^auto-forwarded\b/.test(lowerValue(view, "auto-submitted"));
}

// RFC 1847 §2.2, RFC 8551 §3.3: an S/MIME type that is not signed-data nor certificates hides its content.
function isEncrypted(view: MessageView): boolean {
  const type = contentType(view);
  if (/^multipart\/encrypted\b/.test(type)) return true;
  return isPkcs7(type) && !/smime-type\s*=\s*"?(?:signed-data|certs-only|compressed-data)/.test(type);
}

// RFC 1847 §2.1, RFC 8551 §3.5.
function isSigned(view: MessageView): boolean {
  const type = contentType(view);
  return /^multipart\/signed\b/.test(type) || (isPkcs7(type) && /smime-type\s*=\s*"?signed-data/.test(type));
}

function isPkcs7(type: string): boolean {
  return /^application\/(?:x-)?pkcs7-mime\b/.test(type);
}

// RFC 8098 §3.
function isReadReceipt(view: MessageView): boolean {
  return isReport(view) && /report-type\s*=\s*"?disposition-notification/.test(contentType(view));
}

function isReport(view: MessageView): boolean {
  return /^multipart\/report\b/.test(contentType(view));
}

function contentType(view: MessageView): string {
  return lowerValue(view, "content-type");
}

function lowerValue(view: MessageView, name: string): string {
  return (view.headerTexts(name)[0] ?? "").toLowerCase();
}

/** RFC 5545: a calendar part may lie below the top, so that the header alone cannot rule it out. */
const calendaring: Facet = {
  name: "calendaring",
  rank: 7,
  needsMime: true,
  values(view) {
    const type = contentType(view);
    const declared =
      /^text\/calendar\b/.test(type) || /calendarmessage$/.test(lowerValue(view, "content-class"));
    const found = view.mime?.parts.some((part) => part.contentType === "text/calendar") ?? false;
    if (declared || found) return complete(["Calendaring"]);
    const mayHoldParts = /^(?:multipart|message)\//.test(type);
    return mayHoldParts && view.mime?.tooComplex !== false ? UNKNOWN : NONE;
  },
};

const importance: Facet = {
  name: "importance",
  rank: 7,
  needsMime: false,
  values: (view) => IMPORTANCES[importanceOf(view)],
};

const IMPORTANCES: Readonly<Record<Importance, FacetValues>> = {
  Low: complete(["Low"]),
  Normal: complete(["Normal"]),
  High: complete(["High"]),
};
/** By the value of Importance, and of Priority. */
const NAMED: ReadonlyMap<string, Importance> = new Map([
  ["low", "Low"],
  ["normal", "Normal"],
  ["high", "High"],
]);
const URGENCIES: ReadonlyMap<string, Importance> = new Map([
  ["urgent", "High"],
  ["non-urgent", "Low"],
]);

/** Importance (RFC 2156 §5.3.4) before X-Priority before Priority; none of them is Normal. */
function importanceOf(view: MessageView): Importance {
  const stated = NAMED.get(lowerValue(view, "importance"));
  if (stated !== undefined) return stated;
  const level = Number.parseInt(lowerValue(view, "x-priority"), 10);
  if (level >= 1 && level <= 5) return level < 3 ? "High" : level > 3 ? "Low" : "Normal";
  return URGENCIES.get(lowerValue(view, "priority")) ?? "Normal";
}
