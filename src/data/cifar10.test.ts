import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create, Header } from 'tar';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { environmentVariable } from '../util/env.ts';
import { DataError, messageOf, type AblateError } from '../util/errors.ts';
import { cifar10Files } from './cifar10-files.ts';
import { downloadCifar10, findCifar10, loadCifar10, verifyCifar10 } from './cifar10.ts';
import type { DataProgress, Labels } from './dataset.ts';
import type { Patience } from './download.ts';
import { skippable } from '../../test/skippable.ts';

/** Tests on the real data run where $ABLATE_DATA_DIR says where it is, and are reported as skipped elsewhere. */
const realFolder = environmentVariable('ABLATE_DATA_DIR');
const whyNoData = realFolder === undefined ? 'ABLATE_DATA_DIR does not say where CIFAR-10 is' : undefined;
const withRealData = test.skipIf(whyNoData);

let folder: string;
const servers: Server[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-cifar10-'));
  vi.stubEnv('ABLATE_DATA_DIR', '');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
  for (const server of servers.splice(0)) server.close();
});

async function failure(promise: Promise<unknown>): Promise<AblateError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  return error as DataError;
}

test('names every file that is missing, truncated, too long, corrupt or altered, and the fix', async () => {
  const size = 30_730_000;
  writeFileSync(join(folder, 'data_batch_1.bin'), new Uint8Array(1000));
  writeFileSync(join(folder, 'data_batch_2.bin'), new Uint8Array(size + 1));
  const badLabel = new Uint8Array(size);
  badLabel[3073 * 5] = 10;
  writeFileSync(join(folder, 'data_batch_3.bin'), badLabel);
  writeFileSync(join(folder, 'data_batch_4.bin'), new Uint8Array(size));
  const error = await failure(loadCifar10({ dataDir: folder }));
  expect(error.message).toContain(folder);
  expect(error.message).toContain('data_batch_1.bin is truncated: 1000 of 30730000 bytes');
  expect(error.message).toContain('data_batch_2.bin is too long: 30730001 bytes, not 30730000');
  expect(error.message).toContain('data_batch_3.bin is corrupt: the label of record 5 (=10) must be below 10');
  expect(error.message).toContain(
    `data_batch_4.bin is corrupt: its sha256 is ${createHash('sha256').update(new Uint8Array(size)).digest('hex')}`,
  );
  expect(error.message).toContain('data_batch_5.bin is missing; test_batch.bin is missing');
  expect(error.fix).toContain('--data-dir');

  const verification = verifyCifar10(folder);
  expect(verification.map((file) => file.name)).toEqual(cifar10Files.map((file) => file.name));
  expect(verification[0]!.problem).toBe('is truncated: 1000 of 30730000 bytes');
});

test('a folder without the files is refused, not passed over', async () => {
  const missing = join(folder, 'nowhere');
  expect((await failure(loadCifar10({ dataDir: missing }))).message).toBe(`--data-dir (=${missing}) does not exist`);
  expect((await failure(loadCifar10({ dataDir: folder }))).message).toBe(`--data-dir (=${folder}) holds no file of CIFAR-10`);
  vi.stubEnv('ABLATE_DATA_DIR', folder);
  const error = await failure(loadCifar10());
  expect(error.message).toBe(`$ABLATE_DATA_DIR (=${folder}) holds no file of CIFAR-10`);
  expect(error.fix).toContain('data_batch_1.bin');
});

test('pointers, pages and archives under the names of the files are recognized; pipes are refused', async () => {
  const write = (number: number, contents: string | Uint8Array): void =>
    writeFileSync(join(folder, `data_batch_${number}.bin`), contents);
  write(1, 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 30730000\n');
  write(2, '<html><title>404</title>');
  write(3, gzipSync('x'));
  write(4, '');
  truncateSync(join(folder, 'data_batch_4.bin'), 8_000_000_000);
  const { message } = await failure(loadCifar10({ dataDir: folder }));
  expect(message).toContain('data_batch_1.bin is a Git LFS pointer (fetch the file that it stands for: git lfs pull);');
  expect(message).toContain('data_batch_2.bin is an HTML page (download it again');
  expect(message).toContain('data_batch_3.bin is a gzip archive (unpack it);');
  expect(message).toContain('data_batch_4.bin is too long: 8000000000 bytes, not 30730000;');
  rmSync(join(folder, 'data_batch_1.bin'));
  execFileSync('mkfifo', [join(folder, 'data_batch_1.bin')]);
  expect((await failure(loadCifar10({ dataDir: folder }))).message).toBe(
    `cannot read ${join(folder, 'data_batch_1.bin')}: it is a pipe, not a file`,
  );
});

test('an archive that is not unpacked is recognized', async () => {
  const archive = join(folder, 'cifar-10-binary.tar.gz');
  writeFileSync(archive, gzipSync('x'));
  expect((await failure(loadCifar10({ dataDir: archive }))).message).toBe(
    `--data-dir (=${archive}) is a file; an archive must be unpacked first`,
  );
  expect((await failure(loadCifar10({ dataDir: folder }))).message).toBe(
    `--data-dir (=${folder}) holds cifar-10-binary.tar.gz, which must be unpacked first`,
  );
});

test('the Python version of the data set is recognized', async () => {
  mkdirSync(join(folder, 'cifar-10-batches-py'));
  expect((await failure(loadCifar10({ dataDir: folder }))).message).toContain('the binary version is needed');
});

test('is found in --data-dir, then $ABLATE_DATA_DIR, then the cache; each may hold cifar-10-batches-bin/', () => {
  const places = ['given', 'environment', 'xdg'].map((name) => join(folder, name));
  const files = ['given', join('environment', 'cifar-10-batches-bin'), join('xdg', 'ablate', 'cifar-10-batches-bin')];
  for (const file of files) {
    mkdirSync(join(folder, file), { recursive: true });
    writeFileSync(join(folder, file, 'test_batch.bin'), '');
  }
  vi.stubEnv('XDG_CACHE_HOME', places[2]);
  expect(findCifar10()).toBe(join(folder, files[2]!));
  vi.stubEnv('ABLATE_DATA_DIR', places[1]);
  expect(findCifar10()).toBe(join(folder, files[1]!));
  expect(findCifar10({ dataDir: places[0]! })).toBe(places[0]);
  vi.stubEnv('ABLATE_DATA_DIR', '');
  expect(findCifar10({ cacheDir: join(folder, 'empty') })).toBeUndefined();
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a failed download says why for each address and leaves nothing behind', async () => {
  const source = join(folder, 'cifar-10-batches-bin');
  mkdirSync(source);
  writeFileSync(join(source, 'data_batch_1.bin'), 'short');
  await create({ cwd: folder, file: join(folder, 'wrong.tar.gz'), gzip: true }, ['cifar-10-batches-bin']);
  const archive = readFileSync(join(folder, 'wrong.tar.gz'));
  const base = await serve((request, response) => {
    if (request.url === '/missing') response.writeHead(404).end();
    else if (request.url === '/wrong') response.end(archive);
    else if (request.url === '/page') response.end('<html>');
    else
      response
        .writeHead(200, { 'content-length': String(archive.length) })
        .write(archive.subarray(0, 20), () => response.destroy());
  });
  const cacheDir = join(folder, 'cache');
  const urls = ['missing', 'wrong', 'page', 'cut'].map((path) => `${base}/${path}`);
  const error = await failure(downloadCifar10({ cacheDir, urls }));
  const lines = error.message.split('\n');
  expect(lines[1]).toBe(`  ${base}/missing: the server answered 404 Not Found`);
  expect(lines[2]).toBe(`  ${base}/wrong: data_batch_1.bin in the archive is truncated: 5 of 30730000 bytes`);
  expect(lines[3]).toContain(`  ${base}/page: `);
  expect(lines[4]).toContain(`  ${base}/cut: `);
  expect(error.fix).toContain('--data-url');
  expect(readdirSync(cacheDir)).toEqual([]);
});

test('what a server sends is told where it is no archive; a trickle, an excess and a bomb are given up', async () => {
  // The header of an entry of 4 GB, and its beginning.
  const header = Buffer.alloc(512);
  new Header({ path: 'cifar-10-batches-bin/data_batch_1.bin', mode: 0o644, size: 4_000_000_000, type: 'File' }).encode(header);
  const bomb = gzipSync(Buffer.concat([header, new Uint8Array(100_000)]));
  const open: ServerResponse[] = [];
  const base = await serve((request, response) => {
    open.push(response);
    if (request.url === '/page') response.end('<!DOCTYPE html><title>Sign in</title>');
    else if (request.url === '/text') response.end('hello');
    else if (request.url === '/large') response.writeHead(200, { 'content-length': '250000001' }).write('x');
    else if (request.url === '/bomb') {
      response.end(bomb);
    } else if (request.url === '/trickle') {
      // A gzip header whose file name never ends.
      response.write(Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0]));
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    }
  });
  const cacheDir = join(folder, 'cache');
  const reasons = async (paths: readonly string[], patience?: Patience): Promise<string[]> => {
    const urls = paths.map((path) => `${base}/${path}`);
    const error = await failure(downloadCifar10({ cacheDir, urls, ...(patience && { patience }) }));
    return error.message.split('\n').slice(1);
  };
  const lines = await reasons(['page', 'text', 'large', 'bomb']);
  expect(lines[0]).toBe(`  ${base}/page: what the server sent is an HTML page`);
  expect(lines[1]).toBe(`  ${base}/text: what the server sent is no gzip archive`);
  expect(lines[2]).toBe(`  ${base}/large: the archive has 250.0 MB, and at most 250.0 MB are taken: it is not CIFAR-10`);
  expect(lines[3]).toBe(`  ${base}/bomb: unpacked, the archive has 4.0 GB, and at most 250.0 MB are taken: it is not CIFAR-10`);
  const slow = await reasons(['trickle', 'silent'], { leastBytes: 500, withinMs: 400 });
  expect(slow[0]).toMatch(/\/trickle: the server is too slow or has stopped sending: \d+ B in 0\.4 s$/);
  expect(slow[1]).toMatch(/\/silent: the server is too slow or has stopped sending: 0 B in 0\.4 s$/);
  expect(readdirSync(cacheDir)).toEqual([]);
  for (const response of open) response.destroy();
});

test('a cache that cannot be made is reported as such', async () => {
  writeFileSync(join(folder, 'file'), '');
  const reason = await downloadCifar10({ cacheDir: join(folder, 'file', 'cache'), urls: ['http://127.0.0.1:9/'] }).catch(
    messageOf,
  );
  expect(reason).toContain(`cannot create ${join(folder, 'file', 'cache')}`);
});

/** The folder with the real files, whichever way $ABLATE_DATA_DIR is given. */
function realFiles(): string {
  return findCifar10({ dataDir: realFolder! })!;
}

withRealData(skippable('the real data: counts, class balance, first labels, fingerprint', whyNoData), async () => {
  const dataset = await loadCifar10({ dataDir: realFolder! });
  expect(dataset).toMatchObject({ name: 'cifar10', synthetic: false, shape: [3, 32, 32] });
  for (const [set, count] of [
    [dataset.train, 50_000],
    [dataset.test, 10_000],
  ] as const) {
    expect(set.count).toBe(count);
    expect(set.images.length).toBe(count * 3072);
    expect(set.images.buffer).toBeInstanceOf(SharedArrayBuffer);
    const perClass = Array.from({ length: 10 }, (_, label) => set.labels.filter((each) => each === label).length);
    expect(perClass).toEqual(Array(10).fill(count / 10));
  }
  const named = (labels: Labels): string[] => [...labels.subarray(0, 5)].map((label) => dataset.classes[label]!);
  expect(named(dataset.train.labels)).toEqual(['frog', 'truck', 'truck', 'deer', 'automobile']);
  expect(named(dataset.test.labels)).toEqual(['cat', 'ship', 'ship', 'airplane', 'frog']);
  // The published mean of the training images, per channel.
  const means = [0, 1, 2].map((channel) => channelMean(dataset.train.images, channel) / 255);
  [0.4914, 0.4822, 0.4465].forEach((mean, channel) => expect(means[channel]).toBeCloseTo(mean, 4));
  expect(dataset.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  const verification = verifyCifar10(realFiles());
  expect(verification.every((file) => file.problem === undefined)).toBe(true);
});

function channelMean(images: Uint8Array, channel: number): number {
  let sum = 0;
  for (let start = channel * 1024; start < images.length; start += 3072) {
    for (let i = start; i < start + 1024; i++) sum += images[i]!;
  }
  return sum / (images.length / 3);
}

withRealData(skippable('real files in the wrong place, or with one changed pixel, are found out', whyNoData), () => {
  for (const { name } of cifar10Files) symlinkSync(join(realFiles(), name), join(folder, name));
  rmSync(join(folder, 'data_batch_2.bin'));
  copyFileSync(join(realFiles(), 'data_batch_3.bin'), join(folder, 'data_batch_2.bin'));
  rmSync(join(folder, 'test_batch.bin'));
  const changed = readFileSync(join(realFiles(), 'test_batch.bin'));
  changed[12_345_678]! ^= 1;
  writeFileSync(join(folder, 'test_batch.bin'), changed);
  const problems = verifyCifar10(folder).filter((file) => file.problem !== undefined);
  expect(problems.map((file) => file.name)).toEqual(['data_batch_2.bin', 'test_batch.bin']);
  expect(problems[0]!.problem).toBe('has the contents of data_batch_3.bin');
  expect(problems[1]!.problem).toContain('is corrupt: its sha256 is');
});

withRealData(
  skippable('downloads, verifies and unpacks the archive, from the second address if the first fails', whyNoData),
  async () => {
    const archive = join(folder, 'archive.tar.gz');
    mkdirSync(join(folder, 'source'));
    symlinkSync(realFiles(), join(folder, 'source', 'cifar-10-batches-bin'));
    const names = cifar10Files.map((file) => `cifar-10-batches-bin/${file.name}`);
    await create({ cwd: join(folder, 'source'), file: archive, gzip: { level: 0 }, follow: true }, names);
    const base = await serve((request, response) => {
      if (request.url === '/archive.tar.gz') createReadStream(archive).pipe(response);
      else response.writeHead(500).end();
    });
    const cacheDir = join(folder, 'cache');
    const reports: DataProgress[] = [];
    const urls = [`${base}/broken`, `${base}/archive.tar.gz`];
    const target = await downloadCifar10({ cacheDir, urls, onProgress: (progress) => reports.push(progress) });
    expect(target).toBe(join(cacheDir, 'cifar-10-batches-bin'));
    expect(readdirSync(cacheDir)).toEqual(['cifar-10-batches-bin']);
    expect(readdirSync(target).sort()).toEqual(cifar10Files.map((file) => file.name));
    expect(reports.at(-1)!.done).toBeGreaterThan(100_000_000);
    expect(existsSync(join(target, 'test_batch.bin'))).toBe(true);
    expect((await loadCifar10({ cacheDir })).test.count).toBe(10_000);
  },
);

test('where nothing may be downloaded, that it is not here is told at once', async () => {
  vi.stubEnv('ABLATE_DATA_DIR', '');
  try {
    await expect(loadCifar10({ cacheDir: join(folder, 'empty'), download: false })).rejects.toThrow(
      'CIFAR-10 is not on this machine',
    );
  } finally {
    vi.unstubAllEnvs();
  }
});
