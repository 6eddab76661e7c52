/**
 * JPEG files with faults that change no pixel: cameras and old programs write them, and the decoder, which must be strict about damaged
 * image data, would refuse them too. They are mended before it sees the file.
 */

const marker = { start: 0xd8, end: 0xd9, scan: 0xda, app0: 0xe0, baseline: 0xc0, extended: 0xc1 };

/**
 * The file without the faults in what surrounds its image data: bytes between two segments that belong to none, an unknown version of
 * JFIF, and scan parameters that baseline JPEG does not have (T.81, B.2.3, where they are constants). The file itself if it has none of
 * these, or its segments cannot be followed; then the decoder says what is wrong.
 */
export function mendJpeg(file: Uint8Array): Uint8Array {
  const bytes = Buffer.from(file);
  const kept: Uint8Array[] = [bytes.subarray(0, 2)];
  let isSequential = false;
  let at = 2;
  while (at < bytes.length) {
    const segment = nextSegment(bytes, at);
    if (segment === undefined) return file;
    const { kind, start, contents, end } = segment;
    if (kind === marker.app0) setKnownVersion(bytes.subarray(contents, end));
    if (kind === marker.baseline || kind === marker.extended) isSequential = true;
    if (kind === marker.scan && isSequential) bytes.set([0, 63, 0], end - 3);
    at = kind === marker.scan ? endOfScan(bytes, end) : end;
    kept.push(bytes.subarray(start, at));
  }
  return Buffer.concat(kept);
}

interface Segment {
  readonly kind: number;
  /** Of its marker. */
  readonly start: number;
  /** Where its contents are, behind marker and length. */
  readonly contents: number;
  /** Of that which ends the picture: the end of the file, as what follows is nobody's concern. */
  readonly end: number;
}

/** The first segment at `from` or behind it; undefined if none follows that is whole. */
function nextSegment(bytes: Buffer, from: number): Segment | undefined {
  for (let start = bytes.indexOf(0xff, from); start !== -1; start = bytes.indexOf(0xff, start + 1)) {
    const kind = bytes[start + 1]!;
    // Not a marker: a stuffed byte, or the first of several bytes that fill.
    if (kind === 0 || kind === 0xff) continue;
    if (kind === marker.end) return { kind, start, contents: bytes.length, end: bytes.length };
    const contents = start + 4;
    if (kind === marker.start || contents > bytes.length) return undefined;
    const end = start + 2 + bytes.readUInt16BE(start + 2);
    return end < contents || end > bytes.length ? undefined : { kind, start, contents, end };
  }
  return undefined;
}

/** Where the image data that begin at `from` end: at the next marker that is not one of theirs (restarts, stuffed and filling bytes). */
function endOfScan(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at !== -1; at = bytes.indexOf(0xff, at + 1)) {
    const next = bytes[at + 1]!;
    const isOfScan = next === 0 || next === 0xff || (next >= 0xd0 && next <= 0xd7);
    if (!isOfScan) return at;
  }
  return bytes.length;
}

/** JFIF has the major versions 1 and 2; another changes nothing in how it is read. */
function setKnownVersion(contents: Buffer): void {
  const isJfif = contents.length >= 7 && contents.toString('latin1', 0, 5) === 'JFIF\0';
  if (isJfif && contents[5] !== 1 && contents[5] !== 2) contents.set([1, 2], 5);
}
