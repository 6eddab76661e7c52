import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DataError } from '../util/errors.ts';
import type { DataProgress } from './dataset.ts';
import { downloadArchive, downloadFile, type Archive } from './download.ts';

let folder: string;
let cacheDir: string;
let packed: Buffer;
const servers: Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-download-'));
  cacheDir = join(folder, 'cache');
  mkdirSync(join(folder, 'letters'));
  for (const name of ['a.bin', 'b.bin', 'other.txt']) writeFileSync(join(folder, 'letters', name), name);
  await create({ cwd: folder, file: join(folder, 'letters.tar.gz'), gzip: true }, ['letters']);
  packed = readFileSync(join(folder, 'letters.tar.gz'));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const letters: Archive = {
  ...{ title: 'Letters', url: 'http://example.org/letters.tar.gz', folderName: 'letters', files: ['a.bin', 'b.bin'] },
  problemIn: (where) => {
    const path = join(where, 'b.bin');
    if (!existsSync(path)) throw new DataError('b.bin is missing');
    return readFileSync(path, 'utf8') === 'b.bin' ? undefined : 'b.bin is wrong';
  },
};

test('an archive arrives with its files alone, and its progress is told, with its size where the server says it', async () => {
  const told: DataProgress[] = [];
  const url = await serve((request, response) => {
    if (request.url === '/unknown') response.write(packed, () => response.end());
    else response.end(packed);
  });
  const get = (path: string) => downloadArchive(letters, { cacheDir, urls: [url + path], onProgress: (each) => told.push(each) });
  expect(await get('known')).toBe(join(cacheDir, 'letters'));
  expect(readdirSync(cacheDir)).toEqual(['letters']);
  expect(readdirSync(join(cacheDir, 'letters')).sort()).toEqual(['a.bin', 'b.bin']);
  const whole = { activity: 'downloading Letters', done: packed.length, total: packed.length, unit: 'bytes' };
  expect(told.at(-1)).toEqual(whole);
  await get('unknown');
  expect(told.at(-1)).toEqual({ ...whole, total: undefined });
});

test('what is in the cache stays where it is complete, which another process may be reading, and is replaced where not', async () => {
  const url = await serve((_, response) => response.end(packed));
  const target = join(cacheDir, 'letters');
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, 'b.bin'), 'b.bin');
  writeFileSync(join(target, 'mine'), '');
  await downloadArchive(letters, { cacheDir, urls: [url] });
  expect(readdirSync(target).sort()).toEqual(['b.bin', 'mine']);
  for (const damage of [() => writeFileSync(join(target, 'b.bin'), 'else'), () => rmSync(join(target, 'b.bin'))]) {
    damage();
    await downloadArchive(letters, { cacheDir, urls: [url] });
    expect(readdirSync(target).sort()).toEqual(['a.bin', 'b.bin']);
    expect(readFileSync(join(target, 'b.bin'), 'utf8')).toBe('b.bin');
  }
  expect(readdirSync(cacheDir)).toEqual(['letters']);
});

test('what is in the way and no folder of letters ends the download with its own error, and nothing is left behind', async () => {
  const url = await serve((_, response) => response.end(packed));
  const broken: Archive = {
    ...letters,
    problemIn: (where) => {
      if (!where.includes('.letters-')) throw new TypeError('out of order');
      return undefined;
    },
  };
  mkdirSync(join(cacheDir, 'letters', 'inner'), { recursive: true });
  await expect(downloadArchive(broken, { cacheDir, urls: [url] })).rejects.toThrow('out of order');
  expect(readdirSync(cacheDir)).toEqual(['letters']);
});

test('each address is tried in order; why each failed, what went wrong below it, and what to do are told', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/good') response.end(packed);
    else response.writeHead(503).end();
  });
  expect(await downloadArchive(letters, { cacheDir, urls: [`${url}bad`, `${url}good`] })).toBe(join(cacheDir, 'letters'));
  const refused = `http://127.0.0.1:9/`;
  await expect(downloadArchive(letters, { cacheDir, urls: [`${url}bad`, refused] })).rejects.toMatchObject({
    message: expect.stringMatching(
      new RegExp(
        `^Letters cannot be downloaded:\\n  ${url}bad: the server answered 503 Service Unavailable\\n  ${refused}: fetch failed \\(.+\\)$`,
      ),
    ) as string,
    fix: 'unpack letters.tar.gz yourself and give its folder with --data-dir, give a mirror with --data-url, or use --data synthetic',
  });
});

test('a file is compared with its MD5', async () => {
  const bytes = gzipSync('some text');
  const url = await serve((_, response) => response.end(bytes));
  const md5 = createHash('md5').update(bytes).digest('hex');
  expect(Buffer.from(await downloadFile({ title: 'Text', md5 }, { urls: [url] }))).toEqual(bytes);
  const wrong = '0'.repeat(32);
  await expect(downloadFile({ title: 'Text', md5: wrong }, { urls: [url] })).rejects.toMatchObject({
    message: `Text cannot be downloaded:\n  ${url}: what the server sent has the MD5 ${md5}, the published one is ${wrong}`,
    fix: 'give a folder with its files with --data-dir, or a mirror with --data-url',
  });
});

test('a server that sends enough all the time is waited for, however long it takes', async () => {
  const bytes = gzipSync(Buffer.alloc(40), { level: 0 });
  const url = await serve((_, response) => {
    let sent = 0;
    const timer = setInterval(() => {
      if (sent >= bytes.length) {
        clearInterval(timer);
        response.end();
      } else response.write(bytes.subarray(sent, (sent += 8)));
    }, 20);
  });
  const md5 = createHash('md5').update(bytes).digest('hex');
  // Each time it has sent more than that since the time before.
  const patience = { leastBytes: 1, withinMs: 60 };
  expect(Buffer.from(await downloadFile({ title: 'Text', md5 }, { urls: [url], patience }))).toEqual(bytes);
});
