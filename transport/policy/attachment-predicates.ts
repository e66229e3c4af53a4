/** Predicates on attachments: name, extension, type, program, size. */
import type { MimePart } from "../../mail/mime.ts";
import { isExecutableType } from "../../mail/sniff.ts";
import { parseQuantity } from "../../snapshot/schema.ts";
import { complete, FacetValues, NONE, UNKNOWN } from "./facet-values.ts";
import type { Factories } from "./factory.ts";
import { composeText } from "./fold.ts";
import { type Facet, hasValue, type Measure, reaches } from "./predicate.ts";
import { matchesPatterns, type TextSource } from "./text-source.ts";
import type { MessageView } from "./view.ts";

export const attachmentPredicates = {
  attachmentNameMatchesPatterns: (patterns, context) =>
    matchesPatterns("attachmentNameMatchesPatterns", attachmentName, patterns, context),
  attachmentExtensionMatchesWords: (words) =>
    hasValue(
      "attachmentExtensionMatchesWords",
      attachmentExtension,
      words.map((word) => word.trim().replace(/^\./, "").toLowerCase()),
    ),
  attachmentTypeIs: (types) =>
    hasValue(
      "attachmentTypeIs",
      attachmentType,
      types.map((type) => type.trim().toLowerCase()),
    ),
  attachmentHasExecutableContent: (wanted) =>
    hasValue("attachmentHasExecutableContent", executable, [String(wanted)]),
  attachmentSizeOver: (size) => reaches("attachmentSizeOver", attachmentSize, parseQuantity(size) + 1),
  hasAttachment: (wanted) => hasValue("hasAttachment", hasAttachment, [String(wanted)]),
} satisfies Partial<Factories>;

const TRUE = complete(["true"]);
const FALSE = complete(["false"]);
const NO_PARTS: readonly MimePart[] = [];

function attachments({ mime }: MessageView): readonly MimePart[] {
  if (mime === undefined || mime.parts.length === 0) return NO_PARTS;
  return mime.parts.filter((part) => part.attachment);
}

/** A facet of attachments: values of all of them; more may follow when the content is unknown or too complex. */
function attachmentFacet(name: string, rank: number, valuesOf: (part: MimePart) => readonly string[]): Facet {
  return {
    name,
    rank,
    needsMime: true,
    values(view) {
      const parts = attachments(view);
      const isKnown = view.mime?.tooComplex === false;
      if (parts.length === 0) return isKnown ? NONE : UNKNOWN;
      return new FacetValues(parts.flatMap(valuesOf), isKnown);
    },
  };
}

/** "true" when an attachment holds; "false" only when it is known that none does. */
function attachmentFlag(name: string, holds: (part: MimePart) => boolean): Facet {
  return {
    name,
    rank: 8,
    needsMime: true,
    values(view) {
      if (attachments(view).some(holds)) return TRUE;
      return view.mime?.tooComplex === false ? FALSE : UNKNOWN;
    },
  };
}

const attachmentName: TextSource = {
  name: "attachmentName",
  needsMime: true,
  texts: (view) => ({
    texts: attachments(view).flatMap(({ fileName }) => (fileName === undefined ? [] : composeText(fileName))),
    complete: view.mime?.tooComplex === false,
  }),
};

/** "a.tar.gz" has the extensions "gz" and "tar.gz". Windows drops dots and spaces at the end of a name; so do we. */
const attachmentExtension = attachmentFacet("attachmentExtension", 6, ({ fileName }) => {
  const labels = (fileName ?? "")
    .replace(/[. ]+$/, "")
    .toLowerCase()
    .split(".");
  return [-1, -2].filter((from) => labels.length > -from).map((from) => labels.slice(from).join("."));
});

const attachmentType = attachmentFacet("attachmentType", 6, ({ contentType, sniffedType }) =>
  [contentType, sniffedType ?? contentType].flatMap((type) => [type, `${type.split("/", 1)[0]}/*`]),
);

const executable = attachmentFlag(
  "attachmentHasExecutableContent",
  ({ sniffedType }) => sniffedType !== undefined && isExecutableType(sniffedType),
);

const hasAttachment = attachmentFlag("hasAttachment", () => true);

const attachmentSize: Measure = {
  name: "attachmentSize",
  needsMime: true,
  measure: (view) => ({
    value: attachments(view).reduce((largest, part) => Math.max(largest, part.size), -1),
    complete: view.mime?.tooComplex === false,
  }),
};
