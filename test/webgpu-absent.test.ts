/** What the engine on WebGPU says where there is nothing to compute with: in processes of their own, which see other machines than this one. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { compiledFolder } from './compile-sources.ts';
import { skippable } from './skippable.ts';

/** What opening the engine throws. */
function refusal(env: Readonly<Record<string, string>>, ...flags: readonly string[]): unknown {
  const registry = pathToFileURL(join(compiledFolder, 'engine/registry.js')).href;
  const program = `const { openEngine } = await import(${JSON.stringify(registry)});
    await openEngine({ engine: 'webgpu' }).catch(({ name, message, fix, exitCode }) => process.stdout.write(JSON.stringify({ name, message, fix, exitCode })));`;
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '--eval', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect(stdout, stderr).not.toBe('');
  return JSON.parse(stdout);
}

/** A module that finds everything but the package. */
const hidesPackage = `import { register } from 'node:module';
register('data:text/javascript,' + encodeURIComponent(\`export async function resolve(name, context, next) {
  if (name !== 'webgpu') return await next(name, context);
  throw Object.assign(new Error('hidden'), { code: 'ERR_MODULE_NOT_FOUND' });
}\`));`;

test('that its package is missing, and the command that installs it', () => {
  expect(refusal({}, '--import', `data:text/javascript,${encodeURIComponent(hidesPackage)}`)).toEqual({
    name: 'AblateError',
    message: 'the package webgpu, through which the engine webgpu reaches graphics cards, is not installed',
    fix: 'ablate setup --gpu',
    exitCode: 1,
  });
});

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('webgpu');
    return true;
  } catch {
    return false;
  }
}

const whyNot =
  process.platform !== 'linux'
    ? 'drivers are hidden by a variable of Vulkan'
    : isInstalled()
      ? undefined
      : 'the package webgpu is not installed';

test.skipIf(whyNot)(skippable('that there is no graphics card, and what a driver needs', whyNot), () => {
  const nowhere = '/nowhere.json';
  expect(refusal({ VK_ICD_FILENAMES: nowhere, VK_DRIVER_FILES: nowhere })).toMatchObject({
    message: 'there is no adapter for WebGPU: no graphics card whose driver has Vulkan, Metal or Direct3D 12',
    fix: expect.stringContaining('apt-get install libvulkan1') as string,
    exitCode: 1,
  });
});
