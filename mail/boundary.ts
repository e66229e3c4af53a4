/** Boundaries of multiparts made here (RFC 2046 §5.1.1). */

/** A boundary that no part holds, whoever wrote the parts. */
export function freeBoundary(name: string, parts: readonly Uint8Array[]): string {
  const base = name.replace(/[^A-Za-z0-9-]/g, "").slice(0, 60);
  for (let attempt = 0; ; attempt++) {
    const boundary = `${base}-${attempt}`;
    if (
      !parts.some((part) => Buffer.from(part.buffer, part.byteOffset, part.length).includes(`--${boundary}`))
    ) {
      return boundary;
    }
  }
}
