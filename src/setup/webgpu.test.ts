/** Where the package `webgpu` is put, by npm itself: from a registry on this machine, which has a package of that name and of a few bytes. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { create } from 'tar';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { packageRoot } from '../util/package.ts';
import { commandFor, installedWebgpu, installWebgpu, wantedWebgpu } from './webgpu.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ablate-setup-')));
const version = wantedWebgpu();
let registry: Server;
let address = '';

beforeAll(async () => {
  const source = join(folder, 'package');
  mkdirSync(source);
  writeFileSync(join(source, 'package.json'), JSON.stringify({ name: 'webgpu', version }));
  const tarball = join(folder, 'webgpu.tgz');
  await create({ file: tarball, cwd: folder, gzip: true }, ['package']);
  registry = createServer((request, response) => {
    if (request.url === '/webgpu.tgz') {
      response.end(readFileSync(tarball));
      return;
    }
    const described = { name: 'webgpu', version, dist: { tarball: `${address}/webgpu.tgz` } };
    response.end(JSON.stringify({ name: 'webgpu', 'dist-tags': { latest: version }, versions: { [version]: described } }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => registry.once('listening', resolve));
  address = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => {
  registry.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A folder with these files, empty but for their names' sake. */
function place(name: string, ...files: readonly string[]): string {
  const made = join(folder, name);
  for (const file of files) {
    mkdirSync(join(made, file, '..'), { recursive: true });
    writeFileSync(join(made, file), '{}');
  }
  return made;
}

test('npm installs it for nobody who does not ask for it, and the set-up an exact version', () => {
  const read = (file: string) => JSON.parse(readFileSync(join(packageRoot(), file), 'utf8')) as Record<string, object>;
  expect(Object.keys(read('package-lock.json')['packages']!)).not.toContain('node_modules/webgpu');
  expect(read('package.json')['peerDependenciesMeta']).toEqual({ webgpu: { optional: true } });
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('into a clone, into the project that has ablate, and beside it where it is installed for all', () => {
  const clone = place('clone', 'package.json');
  expect(commandFor(clone, '1.2.3')).toMatchObject({
    command: expect.arrayContaining(['npm', 'install', '--no-save', 'webgpu@1.2.3']) as string[],
    folder: clone,
  });
  const project = place('project', 'package.json', 'node_modules/ablate/package.json');
  const installed = commandFor(join(project, 'node_modules/ablate'), '1.2.3');
  expect(installed).toMatchObject({ command: ['npm', 'install', '--no-audit', '--no-fund', 'webgpu@1.2.3'], folder: project });
  const everywhere = place('usr/lib', 'node_modules/ablate/package.json');
  expect(commandFor(join(everywhere, 'node_modules/ablate')).command).toContain('--global');
  // pnpm's layout: what is in node_modules is a link to this.
  const strict = place(
    'strict',
    'package.json',
    'pnpm-lock.yaml',
    'node_modules/.pnpm/ablate@0.1.0/node_modules/ablate/package.json',
  );
  const linked = join(strict, 'node_modules/.pnpm/ablate@0.1.0/node_modules/ablate');
  expect(commandFor(linked, '1.2.3')).toMatchObject({ command: ['pnpm', 'add', 'webgpu@1.2.3'], folder: strict });
});

test('npm puts it where the program finds it; without npm, or without the package, an error says what to do', async () => {
  const root = place('installs', 'package.json');
  const { peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  ) as Record<string, object>;
  // As in a clone, where npm leaves optional peers out even if it is asked for them.
  writeFileSync(join(root, 'package.json'), JSON.stringify({ peerDependencies, peerDependenciesMeta }));
  const what = commandFor(root);
  const said: string[] = [];
  vi.stubEnv('npm_config_registry', address);
  vi.stubEnv('npm_config_cache', join(folder, 'npm-cache'));
  vi.stubEnv('npm_config_loglevel', 'silent');
  expect(installedWebgpu(root)).toBeUndefined();
  await installWebgpu(what, (line) => said.push(line), root);
  expect(said).toEqual([what.command.join(' ')]);
  expect(installedWebgpu(root)).toBe(version);
  expect(readdirSync(join(root, 'node_modules'))).toEqual(['webgpu']);

  const fails = installWebgpu({ ...what, command: [...what.command.slice(0, -1), 'webgpu@9.9.9'] }, () => undefined, root);
  await expect(fails).rejects.toThrow(/could not be installed; what npm said is above/);
  vi.stubEnv('PATH', folder);
  await expect(installWebgpu(what, () => undefined, root)).rejects.toMatchObject({
    message: 'npm, which installs the package webgpu, was not found',
    fix: 'install npm, then: ablate setup --gpu',
  });
});
