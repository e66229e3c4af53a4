/** Text facts: what is known of texts: which words they hold, whether a pattern matches; each found out once. */
import type { Pattern } from "../../mail/pattern.ts";
import type { ScanResult, WordScan } from "./word-scan.ts";

/** Texts are composed (NFC). */
export interface TextFacts {
  scan(text: string): ScanResult;
  /** The matched text, or undefined. */
  match(pattern: Pattern, text: string): string | undefined;
}

export function createTextFacts(wordScan: WordScan): TextFacts {
  const scans = new Map<string, ScanResult>();
  const matches = new Map<Pattern, Map<string, string | undefined>>();
  return {
    scan(text) {
      const known = scans.get(text);
      if (known !== undefined) return known;
      const result = wordScan.scan(text);
      scans.set(text, result);
      return result;
    },
    match(pattern, text) {
      const known = matches.get(pattern) ?? new Map<string, string | undefined>();
      if (known.has(text)) return known.get(text);
      const evidence = pattern.test(text);
      matches.set(pattern, known.set(text, evidence));
      return evidence;
    },
  };
}
