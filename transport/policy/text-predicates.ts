/** Predicates on text: subject, body, header fields, charsets. */

import { fieldName } from "./aspects.ts";
import { complete } from "./facet-values.ts";
import type { Factories } from "./factory.ts";
import { composeText } from "./fold.ts";
import { type Facet, hasValue } from "./predicate.ts";
import { containsWords, matchesPatterns, type TextSource, type Texts } from "./text-source.ts";
import type { MessageView } from "./view.ts";

export const textPredicates = {
  subjectContainsWords: (words, context) => containsWords("subjectContainsWords", subject, words, context),
  subjectMatchesPatterns: (patterns, context) =>
    matchesPatterns("subjectMatchesPatterns", subject, patterns, context),
  subjectOrBodyContainsWords: (words, context) =>
    containsWords("subjectOrBodyContainsWords", subjectOrBody, words, context),
  subjectOrBodyMatchesPatterns: (patterns, context) =>
    matchesPatterns("subjectOrBodyMatchesPatterns", subjectOrBody, patterns, context),
  headerContainsWords: ({ header, words }, context) =>
    containsWords("headerContainsWords", headerField(header), words, context),
  headerMatchesPatterns: ({ header, patterns }, context) =>
    matchesPatterns("headerMatchesPatterns", headerField(header), patterns, context),
  headerExists: (names) =>
    hasValue(
      "headerExists",
      headerName,
      names.map((name) => name.toLowerCase()),
    ),
  contentCharacterSetContainsWords: (words, context) =>
    containsWords("contentCharacterSetContainsWords", charset, words, context),
} satisfies Partial<Factories>;

function headerField(name: string): TextSource {
  const lower = name.toLowerCase();
  return {
    name: `header:${lower}`,
    needsMime: false,
    field: lower,
    texts: (view) => ({ texts: view.headerTexts(lower), complete: true }),
  };
}

const subject = headerField("subject");

const subjectOrBody: TextSource = {
  name: "subjectOrBody",
  needsMime: true,
  texts(view): Texts {
    const { mime } = view;
    const subjects = view.headerTexts("subject");
    if (mime === undefined) return { texts: subjects, complete: false };
    return { texts: [...subjects, composeText(mime.text)], complete: !mime.tooComplex };
  },
};

const charset: TextSource = {
  name: "charset",
  needsMime: true,
  texts({ mime }: MessageView): Texts {
    if (mime === undefined) return { texts: [], complete: false };
    const parts = mime.parts.filter((part) => part.contentType.startsWith("text/") && !part.attachment);
    const charsets = new Set(parts.flatMap((part) => part.charset ?? []));
    return { texts: [...charsets], complete: !mime.tooComplex };
  },
};

const headerName: Facet = {
  name: "headerName",
  rank: 6,
  needsMime: false,
  values: (view) => complete(view.header.map((field) => fieldName(field.name).lower)),
  addedValues: (view) => view.addedFields.map((field) => fieldName(field.name).lower),
};
