/** oneDNN from a wheel, which a server on this machine has: a small one, with something else for a library. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { smallLibrary, smallWheel, smallWheelSha256 } from '../../test/small-wheel.ts';
import { wheelsFor, type Wheel } from '../engine/onednn/cached-library.ts';
import { libraryNames } from '../engine/onednn/native.ts';
import { installFromWheel } from './wheel.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-wheel-'));
const server = createServer((request, response) => {
  response.statusCode = request.url === '/wheel.whl' ? 200 : 404;
  response.end(response.statusCode === 200 ? smallWheel : 'nothing');
});
let wheel: Wheel;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/wheel.whl`;
  const { entry } = smallLibrary;
  wheel = { name: 'small 1.0', url, sha256: smallWheelSha256, sizeBytes: smallWheel.length, entry, file: 'libdnnl.so.2' };
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('its library comes into the cache, verified; what is not the wheel leaves nothing there', async () => {
  const cache = join(folder, 'cache', 'onednn');
  const said: string[] = [];
  const install = (changes: Partial<Wheel> = {}) => installFromWheel({ ...wheel, ...changes }, (line) => said.push(line), cache);
  await expect(install({ sha256: '0'.repeat(64), sizeBytes: 7 })).rejects.toMatchObject({
    message: expect.stringMatching(
      /^what 127\.0\.0\.1:\d+ sent is not small 1\.0: its SHA-256 is another \(296 bytes instead of 7\)$/,
    ) as string,
    fix: expect.stringContaining(wheel.url) as string,
  });
  await expect(install({ url: wheel.url.replace('wheel.whl', 'gone') })).rejects.toThrow(
    /cannot be downloaded: the server answered 404/,
  );
  await expect(install({ url: 'http://127.0.0.1:1/' })).rejects.toThrow(/cannot be downloaded: fetch failed \(.+\)$/);
  expect(readdirSync(cache)).toEqual([]);
  expect(await install()).toBe(join(cache, 'libdnnl.so.2'));
  expect(readFileSync(join(cache, 'libdnnl.so.2'), 'utf8')).toBe(smallLibrary.text);
  expect(said.at(-1)).toMatch(/^downloading small 1\.0 \(296 B\) from 127\.0\.0\.1:\d+ for .*libdnnl\.so\.2$/);
  writeFileSync(join(folder, 'file'), '');
  await expect(installFromWheel(wheel, () => undefined, join(folder, 'file', 'onednn'))).rejects.toThrow(/cannot create/);
});

test('the library of the cache is tried after those of the system, on the processor that it is for', () => {
  const machine = { platform: 'linux', arch: 'x64', hasAvx512: true } as const;
  vi.stubEnv('XDG_CACHE_HOME', folder);
  const cached = join(folder, 'ablate', 'onednn');
  mkdirSync(cached, { recursive: true });
  expect(libraryNames(machine)).toEqual(['libdnnl.so.2', 'libdnnl.so.3']);
  for (const file of ['libdnnl.so.2', 'libdnnl.so.3', 'dnnl.dll']) writeFileSync(join(cached, file), '');
  expect(libraryNames(machine)).toEqual([
    'libdnnl.so.2',
    'libdnnl.so.3',
    join(cached, 'libdnnl.so.2'),
    join(cached, 'libdnnl.so.3'),
  ]);
  expect(libraryNames({ ...machine, hasAvx512: false }).at(-1)).toBe(join(cached, 'libdnnl.so.2'));
  expect(libraryNames({ ...machine, arch: 'arm64' })).toHaveLength(2);
  expect(libraryNames({ ...machine, platform: 'win32' })).toEqual(['dnnl.dll', join(cached, 'dnnl.dll')]);
});

test('the wheels are named by their addresses, and verified', () => {
  const wheels = (['linux', 'win32', 'darwin'] as const).flatMap((platform) =>
    wheelsFor({ platform, arch: 'x64', hasAvx512: true }),
  );
  expect(wheels.map(({ file }) => file)).toEqual(['libdnnl.so.2', 'libdnnl.so.3', 'dnnl.dll']);
  for (const { name, url, sha256, entry, file } of wheels) {
    const [package_, version] = name.replaceAll('-', '_').split(' ') as [string, string];
    expect(url).toMatch(new RegExp(`^https://files\\.pythonhosted\\.org/packages/[0-9a-f/]+/${package_}-${version}-.*\\.whl$`));
    expect(entry).toMatch(new RegExp(`^${package_}-${version}\\.data/.*/${file}$`));
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
});
