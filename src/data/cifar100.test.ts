import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cifar100Classes, loadCifar100, publishedCifar100, publishedCifar100Files } from './cifar100.ts';
import { fetchDataset } from './published.ts';

let folder: string;
const servers: Server[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-cifar100-'));
  vi.stubEnv('ABLATE_DATA_DIR', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
  for (const server of servers.splice(0)) server.close();
});

/** Records in the official format: a coarse label, a fine one, and an image of one value. */
const records = (rows: readonly (readonly [coarse: number, fine: number, value: number])[]) =>
  Buffer.concat(rows.map(([coarse, fine, value]) => Buffer.concat([Buffer.of(coarse, fine), Buffer.alloc(3072, value)])));
const small = { ...publishedCifar100, counts: { train: 2, test: 1 }, url: 'http://127.0.0.1:9/' };

function writeFiles(into: string): void {
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, 'train.bin'), records([[19, 99, 7], [3, 50, 8]])); // prettier-ignore
  writeFileSync(join(into, 'test.bin'), records([[0, 1, 9]]));
}

test('reads fine and coarse labels', async () => {
  expect([cifar100Classes.fine, cifar100Classes.coarse].map((names) => new Set(names).size)).toEqual([100, 20]);
  expect([cifar100Classes.fine[0], cifar100Classes.fine[99], cifar100Classes.coarse[14]]).toEqual(['apple', 'worm', 'people']);
  writeFiles(folder);
  const fine = await loadCifar100('fine', { dataDir: folder }, small);
  expect([[...fine.train.labels], [...fine.test.labels], fine.classes.length]).toEqual([[99, 50], [1], 100]);
  expect([fine.train.images[0], fine.train.images[3072], fine.shape]).toEqual([7, 8, [3, 32, 32]]);
  const coarse = await loadCifar100('coarse', { dataDir: folder }, small);
  expect([...coarse.train.labels]).toEqual([19, 3]);
  expect(coarse.fingerprint).not.toBe(fine.fingerprint);
  expect(fine).toMatchObject({ name: 'cifar100', synthetic: false });
  expect(publishedCifar100Files(small)).toMatchObject({ name: 'cifar100', title: 'CIFAR-100' });
});

test('what is missing, truncated or corrupt is named', async () => {
  const load = () => loadCifar100('fine', { dataDir: folder }, small);
  await expect(load()).rejects.toMatchObject({
    message: expect.stringContaining("does not hold train.bin and test.bin of CIFAR-100's binary version") as string,
    fix: expect.stringContaining('unpack ') as string,
  });
  writeFileSync(join(folder, 'train.bin'), records([[19, 99, 7], [3, 50, 8]])); // prettier-ignore
  await expect(load()).rejects.toThrow('does not hold train.bin and test.bin');
  expect(publishedCifar100Files(small).verify(folder)).toEqual([
    { name: 'train.bin', checksum: undefined, problem: undefined },
    { name: 'test.bin', checksum: undefined, problem: 'is missing' },
  ]);
  writeFiles(folder);
  writeFileSync(join(folder, 'test.bin'), Buffer.alloc(10));
  await expect(load()).rejects.toThrow('test.bin has 10 bytes, and must have 3074');
  writeFileSync(join(folder, 'test.bin'), records([[0, 100, 0]]));
  await expect(load()).rejects.toThrow('is corrupt: the fine label of record 0 is 100');
  writeFiles(folder);
  writeFileSync(join(folder, 'train.bin'), records([[19, 99, 7], [20, 50, 8]])); // prettier-ignore
  await expect(load()).rejects.toMatchObject({
    message: `${join(folder, 'train.bin')} is corrupt: the coarse label of record 1 is 20`,
    fix: 'replace the file, or remove it and let it be downloaded again',
  });
});

test('is downloaded, verified and kept', async () => {
  writeFiles(join(folder, 'cifar-100-binary'));
  await create({ cwd: folder, gzip: true, file: join(folder, 'archive') }, ['cifar-100-binary']);
  rmSync(join(folder, 'cifar-100-binary'), { recursive: true });
  const archive = readFileSync(join(folder, 'archive'));
  const server = createServer((_, response) => response.end(archive));
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  const dataUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const options = { cacheDir: join(folder, 'cache'), dataUrl };
  await expect(loadCifar100('fine', options, small)).rejects.toThrow('the published one is 03b5dce01913d631647c71ecec9e9cb8');
  const good = { ...small, md5: createHash('md5').update(archive).digest('hex') };
  const { fingerprint } = await loadCifar100('fine', options, good);
  expect((await loadCifar100('fine', { cacheDir: options.cacheDir, download: false }, good)).fingerprint).toBe(fingerprint);

  const dataset = publishedCifar100Files(good);
  const inCache = join(options.cacheDir, 'cifar-100-binary');
  expect(await fetchDataset(dataset, options)).toEqual({ folder: inCache, downloaded: false });
  writeFileSync(join(inCache, 'test.bin'), records([[20, 1, 9]]));
  expect(dataset.verify(inCache)).toEqual([
    { name: 'train.bin', checksum: undefined, problem: undefined },
    { name: 'test.bin', checksum: undefined, problem: 'is corrupt: the coarse label of record 0 is 20' },
  ]);
  expect(await fetchDataset(dataset, options)).toEqual({ folder: inCache, downloaded: true });
  expect(dataset.verify(inCache).every(({ problem }) => problem === undefined)).toBe(true);
});
