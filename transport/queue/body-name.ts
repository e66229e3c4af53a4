/**
 * Names of bodies on disk: whose they are, how many octets, their CRC-32; for those in a segment also where.
 *
 * Names are made here. One that was not is never opened: rows may have been altered.
 *
 * @module
 */

/** Where a body lies, as its name says. */
export interface BodyPlace {
  readonly name: string;
  /** The segment it was written to; undefined: a file of its own from the start. */
  readonly segment: string | undefined;
  /** Where in its segment it begins; 0 in a file of its own. */
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const BODY = new RegExp(`^(${UUID})(?:\\.(\\d{1,15}))?\\.(\\d{1,15})\\.([0-9a-f]{8})$`);
const SEGMENT = new RegExp(`^(${UUID})\\.segment$`);

/** undefined: no such name is ever made. */
export function parseBodyName(name: string): BodyPlace | undefined {
  const match = BODY.exec(name);
  if (match === null) return undefined;
  const [, id, offset, size, checksum] = match;
  return {
    name,
    segment: offset === undefined ? undefined : id,
    offset: Number(offset ?? 0),
    size: Number(size),
    checksum: Number.parseInt(checksum ?? "", 16),
  };
}

export function bodyFileName(id: string, size: number, checksum: number): string {
  return `${id}.${size}.${hex(checksum)}`;
}

export function segmentBodyName(
  segment: string,
  place: Pick<BodyPlace, "offset" | "size" | "checksum">,
): string {
  return `${segment}.${place.offset}.${place.size}.${hex(place.checksum)}`;
}

export function segmentFileName(segment: string): string {
  return `${segment}.segment`;
}

/** The segment that a file in the folder is; undefined: it is none. */
export function parseSegmentFileName(file: string): string | undefined {
  return SEGMENT.exec(file)?.[1];
}

/** A file that is being written: no row names it yet. */
export function partFileName(name: string): string {
  return `${name}.part`;
}

function hex(checksum: number): string {
  return checksum.toString(16).padStart(8, "0");
}
