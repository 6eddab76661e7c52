import { afterEach, expect, test, vi } from 'vitest';
import { told, toldLater } from '../../test/told.ts';
import { fetchDataset, findWithin, folderOf, notHere, type PublishedDataset, type SourceOptions } from './published.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** A data set whose copies are in the folders named: `true` where they are as published. */
function letters(copies: Readonly<Record<string, boolean>>, asked: SourceOptions[] = []): PublishedDataset {
  const within = (base: string) => (base in copies ? base : undefined);
  return {
    name: 'letters',
    title: 'Letters',
    find(options = {}) {
      asked.push(options);
      return findWithin(within, options, { files: 'letters', fix: 'write some' });
    },
    within,
    verify: (folder) => [{ name: 'a', checksum: undefined, problem: copies[folder] === true ? undefined : 'is missing' }],
    download: () => Promise.resolve('downloaded'),
  };
}

test('a folder that is given is the only one looked into; else the environment, then the cache', () => {
  const all = letters({ given: true, environment: true, cache: true });
  vi.stubEnv('ABLATE_DATA_DIR', 'environment');
  expect(all.find({ dataDir: 'given', cacheDir: 'cache' })).toBe('given');
  expect(all.find({ cacheDir: 'cache' })).toBe('environment');
  expect(letters({ cache: true }).find({ cacheDir: 'cache' })).toBe('cache');
  expect(letters({}).find({ cacheDir: 'cache' })).toBeUndefined();
  vi.stubEnv('ABLATE_DATA_DIR', '');
  expect(all.find({ cacheDir: 'cache' })).toBe('cache');
  expect(told(() => all.find({ dataDir: 'other', cacheDir: 'cache' }))).toEqual({
    kind: 'DataError',
    message: '--data-dir (=other) does not hold letters',
    fix: 'write some',
  });
});

test('what is nowhere is downloaded, unless it may not be', async () => {
  vi.stubEnv('ABLATE_DATA_DIR', '');
  const options = { cacheDir: 'cache' };
  expect(await folderOf(letters({ cache: false }), { ...options, download: false })).toBe('cache');
  expect(await folderOf(letters({}), options)).toBe('downloaded');
  const expected = { kind: 'DataError', message: 'Letters is not on this machine', fix: 'ablate data fetch letters' };
  expect(await toldLater(folderOf(letters({}), { ...options, download: false }))).toEqual(expected);
  expect(
    told(() => {
      throw notHere(letters({}));
    }),
  ).toEqual(expected);
});

test('a copy as published is not fetched again, wherever it is; a damaged one is replaced by one in the cache', async () => {
  vi.stubEnv('ABLATE_DATA_DIR', 'environment');
  const asked: SourceOptions[] = [];
  const fetched = (copies: Readonly<Record<string, boolean>>) => fetchDataset(letters(copies, asked), { cacheDir: 'cache' });
  expect(await fetched({ environment: true, cache: true })).toEqual({ folder: 'environment', downloaded: false });
  expect(await fetched({ environment: false, cache: true })).toEqual({ folder: 'cache', downloaded: false });
  expect(await fetched({ environment: false, cache: false })).toEqual({ folder: 'downloaded', downloaded: true });
  expect(await fetched({})).toEqual({ folder: 'downloaded', downloaded: true });
  expect(asked).toEqual(new Array(4).fill({ cacheDir: 'cache' }));
});
