/**
 * MIME structure of a message (RFC 2045, 2046), read in one pass over the octets.
 *
 * In: header block and body chunks. Out: a summary that agents and rules judge by.
 * Limits hold: a message with more parts or deeper nesting is `tooComplex`, never a crash.
 *
 * @module
 */

/** One leaf part that is shown or attached. */
export interface MimePart {
  /** Declared type in lower case, "text/plain" when none is declared. */
  readonly contentType: string;
  /** Type by the first octets of the decoded content ("application/x-msdownload"), undefined when unknown. */
  readonly sniffedType: string | undefined;
  /** Decoded file name (RFC 2231, RFC 2047), undefined when there is none. */
  readonly fileName: string | undefined;
  /** True for Content-Disposition attachment, a named part, or a part that is neither text nor multipart. */
  readonly attachment: boolean;
  /** Octets after decoding the transfer encoding. */
  readonly size: number;
  readonly charset: string | undefined;
  /** Index path in the tree, "1.2"; names the part for attachment removal. */
  readonly path: string;
}

export interface MimeSummary {
  readonly parts: readonly MimePart[];
  /** Decoded text of text/plain and text/html parts (tags removed) that are no attachments; at most `maxText` chars. */
  readonly text: string;
  /** More parts or deeper than the limits. */
  readonly tooComplex: boolean;
  /** The top-level type, e.g. "multipart/signed". */
  readonly contentType: string;
}

export interface MimeLimits {
  readonly maxParts: number;
  readonly maxDepth: number;
  /** Characters of text kept. */
  readonly maxText: number;
}
