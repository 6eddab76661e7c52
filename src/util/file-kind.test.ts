import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { recognizeFile } from './file-kind.ts';

const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } });

test.each(['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const)('a real image: %s', async (format) => {
  const names = { png: 'PNG', jpeg: 'JPEG', webp: 'WebP', gif: 'GIF', tiff: 'TIFF', avif: 'AVIF' };
  const bytes = await picture.clone().toFormat(format).toBuffer();
  expect(recognizeFile(bytes)?.name).toMatch(new RegExp(`^an? ${names[format]} image$`));
});

test.each([
  ['version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n', 'a Git LFS pointer'],
  ['<!DOCTYPE html><html><body>404', 'an HTML page'],
  ['\n <html lang="en">', 'an HTML page'],
  ['<!-- saved -->\n<head>', 'an HTML page'],
  ['<svg xmlns="http://www.w3.org/2000/svg"/>', 'an SVG drawing'],
  ['<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x">\n<svg/>', 'an SVG drawing'],
  ['PK\x03\x04\0\0\0\0archive/data.pkl', 'a PyTorch file'],
  ['PK\x03\x04\0\0\0\0a.txt', 'a ZIP archive'],
  ['BM\x76\0\0\0\0\0\0\0\x36\0', 'a BMP image'],
  ['\0\0\0\x18ftypheic', 'a HEIC image'],
  ['%PDF-1.7', 'a PDF document'],
  ['\x80\x02}q', 'a Python pickle'],
  ['\x89HDF\r\n\x1a\n', 'an HDF5 file'],
  [`cifar-10-batches-bin/${'\0'.repeat(236)}ustar`, 'a tar archive'],
  ['\x1c\0\0\0TFL3', 'a TensorFlow Lite model'],
  ['BZh9', 'an archive'],
  ['\x40\0\0\0\0\0\0\0{"a":', 'a safetensors file'],
])('%j is %s', (start, name) => {
  expect(recognizeFile(Buffer.from(start, 'latin1'))?.name).toBe(name);
});

test('a gzip archive; a fix where the file stands for another; nothing for what is not known', () => {
  expect(recognizeFile(gzipSync('x'))).toMatchObject({ name: 'a gzip archive', fix: 'unpack it' });
  expect(recognizeFile(Buffer.from('version https://git-lfs.github.com/spec/v1'))?.fix).toContain('git lfs pull');
  expect(recognizeFile(Buffer.from('plain text'))).toBeUndefined();
  expect(recognizeFile(new Uint8Array())).toBeUndefined();
});
