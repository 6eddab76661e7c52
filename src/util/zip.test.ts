import { expect, test } from 'vitest';
import { smallLibrary, smallWheel } from '../../test/small-wheel.ts';
import { readZipEntry } from './zip.ts';

test('files of an archive that Python has made, as they are and packed; another is an error', () => {
  const text = (name: string) => Buffer.from(readZipEntry(smallWheel, name)).toString();
  expect(text('a.data/note.txt')).toBe('stored as it is');
  expect(text(smallLibrary.entry)).toBe(smallLibrary.text);
  expect(() => text('a.data/lib')).toThrow('the archive has no a.data/lib');
  expect(() => readZipEntry(new Uint8Array(100), 'a')).toThrow('it is no zip archive');
});
