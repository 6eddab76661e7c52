import { inflateRawSync } from 'node:zlib';

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const localHeaderBytes = 30;
const stored = 0;
const deflated = 8;

/**
 * A file of a zip archive, as Python's wheels are (PKWARE's APPNOTE, without its newer additions: large archives, encryption). The archive is
 * trusted: its checksum is to be known beforehand.
 *
 * @throws Error if it is no archive, or has no such file
 */
export function readZipEntry(archive: Uint8Array, name: string): Uint8Array {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length);
  const end = bytes.lastIndexOf(Buffer.from(Uint32Array.of(endSignature).buffer));
  if (end < 0) throw new Error('it is no zip archive');
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  for (let entry = 0; entry < count && bytes.readUInt32LE(at) === entrySignature; entry++) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const afterName = at + 46 + nameBytes;
    if (bytes.toString('utf8', at + 46, afterName) === name) return contents(at);
    at = afterName + extraBytes + commentBytes;
  }
  throw new Error(`the archive has no ${name}`);

  function contents(entry: number): Uint8Array {
    const method = bytes.readUInt16LE(entry + 10);
    const header = bytes.readUInt32LE(entry + 42);
    const start = header + localHeaderBytes + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
    const packed = bytes.subarray(start, start + bytes.readUInt32LE(entry + 20));
    if (method === stored) return packed;
    if (method !== deflated) throw new Error(`${name} is packed by method ${method}, which is not known`);
    return inflateRawSync(packed);
  }
}
