/** Values that programs get wrong. */

/** No number at all, or none that a count could be. */
export const noCounts = ['', ' ', 'abc', '-1', '1.5', 'NaN', '-Infinity', '1e999', '1,5', '1_000', 'null', '٣', '1x'];
export const hugeCounts = [
  '1e9',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '1e15',
  '9007199254740991',
  '9007199254740993',
  '1e300',
];
export const noWords = [
  '',
  ' ',
  'constructor',
  '__proto__',
  'toString',
  'null',
  '-',
  '../../etc',
  'a b',
  'x'.repeat(5000),
  'e\u001b[31mvil\u001b]0;title\u0007',
  'line\nbreak',
  'ünï\u202ecode',
  '%s%n%d',
  '$(id)',
];

/** In place of any value of JSON or YAML. */
export const oddJson: readonly unknown[] = [
  null,
  true,
  '',
  'text',
  '\u001b[2J\u001b]0;owned\u0007',
  0,
  -1,
  0.5,
  1e9,
  2 ** 31,
  2 ** 53,
  1e308,
  [],
  [null],
  [[]],
  {},
  { __proto__: null, constructor: 1 },
  'x'.repeat(100_000),
  Array.from({ length: 100_000 }, (_, i) => i),
];

/** Bytes that are no file of ours, though people give them. */
export const otherFiles: readonly (readonly [what: string, bytes: Uint8Array])[] = (
  [
    ['an empty file', ''],
    ['one byte', '{'],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n',
    ],
    ['a page of HTML', '<!DOCTYPE html>\n<html><head><title>404</title></head><body>Not Found</body></html>\n'],
    ['a zip archive, as PyTorch writes', 'PK\u0003\u0004\u0000\u0000\b\b\u0000\u0000archive/data.pkl'],
    ['a pickle', '\u0080\u0002}q\u0000X\u0005\u0000\u0000\u0000modelq\u0001.'],
    ['zeros', '\u0000'.repeat(4096)],
    ['ones', '\u00ff'.repeat(4096)],
    ['NumPy data', '\u0093NUMPY\u0001\u0000v\u0000{"descr": "<f4"}'],
    ['a gzip header alone', '\u001f\u008b\b\u0000\u0000\u0000\u0000\u0000\u0000\u0003'],
    ['deep brackets', '['.repeat(200_000)],
    ['deep braces', '{"a":'.repeat(100_000)],
    ['a UTF-16 text', '\u00ff\u00fen\u0000a\u0000m\u0000e\u0000'],
  ] as const
).map(([what, text]) => [what, Uint8Array.from(text, (char) => char.charCodeAt(0))] as const);
