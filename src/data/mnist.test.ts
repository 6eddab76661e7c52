import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DataError } from '../util/errors.ts';
import { fashionMnist, loadIdxDataset, mnist, publishedIdx, type IdxDataset } from './mnist.ts';
import { fetchDataset } from './published.ts';

let folder: string;
const servers: Server[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-mnist-'));
  vi.stubEnv('ABLATE_DATA_DIR', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
  for (const server of servers.splice(0)) server.close();
});

/** Files in the official format, of three and two images whose pixels are all of one value. */
function idx(shape: readonly number[], bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header.set([0, 0, 8, shape.length]);
  shape.forEach((extent, i) => header.writeUInt32BE(extent, 4 + 4 * i));
  return Buffer.concat([header, bytes]);
}
const pixels = (values: readonly number[]) =>
  Uint8Array.from({ length: 784 * values.length }, (_, i) => values[Math.floor(i / 784)]!);
const files: Record<string, Buffer> = {
  'train-images-idx3-ubyte': idx([3, 28, 28], pixels([7, 8, 9])),
  'train-labels-idx1-ubyte': idx([3], Uint8Array.of(4, 0, 9)),
  't10k-images-idx3-ubyte': idx([2, 28, 28], pixels([1, 2])),
  't10k-labels-idx1-ubyte': idx([2], Uint8Array.of(5, 6)),
};
const compressed = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, gzipSync(bytes)]));
const checksums = Object.fromEntries(
  Object.entries(compressed).map(([name, bytes]) => [name, createHash('md5').update(bytes).digest('hex')]),
);
const small: IdxDataset = { ...mnist, counts: { train: 3, test: 2 }, url: 'http://127.0.0.1:9/', checksums };

async function serve(contents: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const server = createServer((request, response) => {
    const found = contents[request.url!.slice('/mirror/'.length).replace('.gz', '')];
    if (found === undefined) response.writeHead(404).end();
    else response.end(found);
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mirror`;
}

test.each(['compressed', 'unpacked'])('reads the four files, %s', async (kind) => {
  for (const [name, bytes] of Object.entries(files)) {
    if (kind === 'compressed') writeFileSync(join(folder, `${name}.gz`), compressed[name]!);
    else writeFileSync(join(folder, name), bytes);
  }
  const { train, test: held, ...rest } = await loadIdxDataset(small, { dataDir: folder });
  expect(rest).toMatchObject({ name: 'mnist', shape: [1, 28, 28], classes: Array.from('0123456789'), synthetic: false });
  expect([[...train.labels], [...held.labels]]).toEqual([
    [4, 0, 9],
    [5, 6],
  ]);
  expect([...train.images].filter((_, i) => i % 784 === 783)).toEqual([7, 8, 9]);
});

test('is found in the folder of the environment or the cache; a folder that is given must hold it', async () => {
  const other = join(folder, 'data', 'mnist');
  mkdirSync(other, { recursive: true });
  for (const [name, bytes] of Object.entries(compressed)) writeFileSync(join(other, `${name}.gz`), bytes);
  vi.stubEnv('ABLATE_DATA_DIR', join(folder, 'data'));
  const { fingerprint } = await loadIdxDataset(small, { cacheDir: folder, download: false });
  vi.stubEnv('ABLATE_DATA_DIR', folder);
  expect((await loadIdxDataset(small, { cacheDir: join(folder, 'data'), download: false })).fingerprint).toBe(fingerprint);
  await expect(loadIdxDataset(small, { cacheDir: folder, download: false })).rejects.toThrow('MNIST is not on this machine');
  await expect(loadIdxDataset(small, { dataDir: folder })).rejects.toThrow(
    `--data-dir (=${folder}) does not hold the four files`,
  );
});

test('is downloaded once, verified and kept; what is not as published is refused', async () => {
  const damaged = { ...compressed, 't10k-labels-idx1-ubyte': gzipSync(idx([2], Uint8Array.of(5, 7))) };
  const refused = loadIdxDataset(small, { cacheDir: folder, dataUrl: await serve(damaged) });
  await expect(refused).rejects.toThrow(DataError);
  await expect(refused).rejects.toThrow(
    /t10k-labels-idx1-ubyte.gz of MNIST cannot be downloaded:\n {2}http:\/\/127\.0\.0\.1:9\/.*\n.*what the server sent has the MD5/,
  );
  const dataUrl = await serve(compressed);
  const { fingerprint } = await loadIdxDataset(small, { cacheDir: folder, dataUrl });
  expect((await loadIdxDataset(small, { cacheDir: folder, download: false })).fingerprint).toBe(fingerprint);
  await expect(loadIdxDataset(small, { cacheDir: join(folder, 'x'), dataUrl: await serve({}) })).rejects.toThrow('answered 404');
});

test('is fetched once, and verified file by file', async () => {
  const dataset = publishedIdx(small);
  const cacheDir = join(folder, 'cache');
  const dataUrl = await serve(compressed);
  expect(await fetchDataset(dataset, { cacheDir, dataUrl })).toEqual({ folder: join(cacheDir, 'mnist'), downloaded: true });
  const again = await fetchDataset(dataset, { cacheDir });
  expect(again).toEqual({ folder: join(cacheDir, 'mnist'), downloaded: false });
  const names = Object.keys(files);
  expect(dataset.verify(again.folder)).toEqual(
    ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'].map((name) => ({
      ...{ name: `${name}-ubyte.gz`, checksum: `md5:${checksums[`${name}-ubyte`]!}`, problem: undefined },
    })),
  );

  // Damaged, missing, and unpacked files: of the last there is no checksum.
  const damaged = join(cacheDir, 'mnist', `${names[0]!}.gz`);
  writeFileSync(damaged, gzipSync(idx([3, 28, 28], pixels([7, 8, 10]))));
  rmSync(join(cacheDir, 'mnist', `${names[1]!}.gz`));
  writeFileSync(join(cacheDir, 'mnist', names[1]!), files[names[1]!]!);
  rmSync(join(cacheDir, 'mnist', `${names[3]!}.gz`));
  const found = dataset.verify(join(cacheDir, 'mnist'));
  expect(found.map(({ problem }) => problem)).toEqual([
    expect.stringContaining('is corrupt: its MD5 is'),
    undefined,
    undefined,
    'is missing',
  ]);
  expect(found[1]).toMatchObject({ name: names[1], checksum: undefined });
  // What is damaged is replaced.
  expect(await fetchDataset(dataset, { cacheDir, dataUrl })).toMatchObject({ downloaded: true });
  expect(dataset.verify(join(cacheDir, 'mnist')).every(({ problem }) => problem === undefined)).toBe(true);
});

test('damaged files are named', async () => {
  const write = (name: string, bytes: Uint8Array) => writeFileSync(join(folder, name), bytes);
  for (const [name, bytes] of Object.entries(files)) write(name, bytes);
  const load = () => loadIdxDataset(small, { dataDir: folder });
  write('train-images-idx3-ubyte', files['train-images-idx3-ubyte']!.subarray(0, 100));
  await expect(load()).rejects.toThrow('train-images-idx3-ubyte has 100 bytes, and must have 2368');
  write(
    'train-images-idx3-ubyte',
    files['train-images-idx3-ubyte']!.map((byte, i) => (i === 3 ? 2 : byte)),
  );
  await expect(load()).rejects.toThrow('its header is another');
  write('train-images-idx3-ubyte', files['train-images-idx3-ubyte']!);
  write('train-labels-idx1-ubyte', idx([3], Uint8Array.of(0, 10, 0)));
  await expect(load()).rejects.toThrow('is corrupt: label 1 is 10');
  write('train-labels-idx1-ubyte', gzipSync(files['train-labels-idx1-ubyte']!, { level: 1 }).subarray(0, 20));
  await expect(load()).rejects.toThrow('is corrupt: its MD5 is');
});

test('both have ten classes and four files', () => {
  for (const { classes, checksums: published } of [mnist, fashionMnist]) {
    expect([new Set(classes).size, Object.keys(published)]).toEqual([10, Object.keys(files)]);
  }
});
