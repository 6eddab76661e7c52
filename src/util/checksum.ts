/** Cyclic redundancy checks of 32 bits, reflected, as PNG (CRC-32) and TFRecord (CRC-32C) want them. */

const crc32Table = makeTable(0xedb88320);
const crc32cTable = makeTable(0x82f63b78);

/** CRC-32 of ISO 3309 (PNG, zip). */
export function crc32(bytes: Uint8Array): number {
  return checksum(bytes, crc32Table);
}

/** CRC-32C of Castagnoli (RFC 3720, TFRecord). */
export function crc32c(bytes: Uint8Array): number {
  return checksum(bytes, crc32cTable);
}

function checksum(bytes: Uint8Array, table: Uint32Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Entry b is the check of the single byte b; `polynomial` has its bits reversed. */
function makeTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}
