/** What a file is by its first bytes, for the message about one that is not what it should be. Files are never read by this guess. */

export interface FileKind {
  /** With its article: `a GIF image`. */
  readonly name: string;
  /** What to do where the file stands for another. */
  readonly fix?: string;
}

interface Signature extends FileKind {
  /** Of the file's start, as Latin-1 text. */
  readonly pattern: RegExp;
}

const anotherDownload = 'download it again: what a server sent is a page, not the file';

/* eslint-disable no-control-regex -- signatures are made of control characters */
/** The first that fits counts. */
const signatures: readonly Signature[] = [
  { pattern: /^\x89PNG\r\n\x1a\n/, name: 'a PNG image' },
  { pattern: /^\xff\xd8\xff/, name: 'a JPEG image' },
  { pattern: /^RIFF[^]{4}WEBP/, name: 'a WebP image' },
  { pattern: /^GIF8[79]a/, name: 'a GIF image' },
  { pattern: /^BM[^]{4}\0{4}/, name: 'a BMP image' },
  { pattern: /^(II\*\0|MM\0\*|II\+\0|MM\0\+)/, name: 'a TIFF image' },
  { pattern: /^[^]{4}ftypavi[fs]/, name: 'an AVIF image' },
  { pattern: /^[^]{4}ftyp(hei|hev|mif|msf)/, name: 'a HEIC image' },
  { pattern: /^(\xff\x0a|\0{3}\x0cJXL )/, name: 'a JPEG XL image' },
  { pattern: /^%PDF-/, name: 'a PDF document' },
  { pattern: /^version https:\/\/git-lfs/, name: 'a Git LFS pointer', fix: 'fetch the file that it stands for: git lfs pull' },
  {
    pattern: /^(\xef\xbb\xbf)?\s*(<!--[^]*?-->\s*)?<(!doctype html|html|head|body)/i,
    name: 'an HTML page',
    fix: anotherDownload,
  },
  { pattern: /^(\xef\xbb\xbf)?\s*(<[?!][^>]*>\s*)*<svg/i, name: 'an SVG drawing' },
  { pattern: /^PK\x03\x04[^]*\/data\.pkl/, name: 'a PyTorch file' },
  { pattern: /^PK\x03\x04/, name: 'a ZIP archive', fix: 'unpack it' },
  { pattern: /^\x1f\x8b/, name: 'a gzip archive', fix: 'unpack it' },
  { pattern: /^[^]{257}ustar/, name: 'a tar archive', fix: 'unpack it' },
  { pattern: /^(BZh|\xfd7zXZ\0|7z\xbc\xaf\x27\x1c|\x28\xb5\x2f\xfd)/, name: 'an archive', fix: 'unpack it' },
  { pattern: /^\x89HDF\r\n\x1a\n/, name: 'an HDF5 file' },
  { pattern: /^\x80[\x02-\x05]/, name: 'a Python pickle' },
  { pattern: /^[^]{4}TFL3/, name: 'a TensorFlow Lite model' },
  { pattern: /^[^]{4}\0{4}\{/, name: 'a safetensors file' },
];
/* eslint-enable no-control-regex */

/** Of the start of a file, that are looked at. */
export const recognizedBytes = 1024;

/**
 * What a file is, if its start tells.
 *
 * @param bytes the file, or its start
 */
export function recognizeFile(bytes: Uint8Array): FileKind | undefined {
  const start = Buffer.from(bytes.subarray(0, recognizedBytes)).toString('latin1');
  return signatures.find(({ pattern }) => pattern.test(start));
}
