import { expect, test } from 'vitest';
import { crc32, crc32c } from './checksum.ts';

const digits = new TextEncoder().encode('123456789');

test('CRC-32 gives the check value of its catalogue entry', () => {
  expect(crc32(digits)).toBe(0xcbf43926);
  expect(crc32(new Uint8Array())).toBe(0);
});

test('CRC-32C gives the check values of its catalogue entry and of RFC 3720, B.4', () => {
  expect(crc32c(digits)).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
});
