import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { openGpu } from '../src/engine/webgpu/adapter.ts';
import type { Gpu } from '../src/engine/webgpu/gpu.ts';
import { AblateError } from '../src/util/errors.ts';

/** Chromium's software adapter, as Debian's package installs it. */
const softwareDriver = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Mesa's, which has float16 since 23.1: as Debian's packages install it, or where `.ci/run` has put a newer one. */
const mesaDrivers = ['/usr/share/vulkan/icd.d/lvp_icd.x86_64.json', '/usr/share/vulkan/icd.d/lvp_icd.json'];

/** Why tests of float16 are skipped where `loadHalfGpu` finds nothing. */
export const noHalf =
  'there is no adapter with shader-f16 (Mesa 23.1 or later computes in software: ABLATE_TEST_F16_DRIVER=<its lvp_icd.json>)';

/** Why tests of the engine are skipped where `loadGpu` finds nothing. */
export const noWebgpu = 'there is no adapter for WebGPU (npx ablate setup --gpu; apt-get install chromium libvulkan1)';

/**
 * A device for tests: Chromium's software adapter where it is installed, so that results do not depend on the machine; with ABLATE_TEST_GPU=1 whatever the
 * machine has. Undefined (and a line that says why) where there is none.
 */
export async function loadGpu(): Promise<Gpu | undefined> {
  if (process.env['ABLATE_TEST_GPU'] !== '1' && process.env['VK_ICD_FILENAMES'] === undefined && existsSync(softwareDriver)) {
    process.env['VK_ICD_FILENAMES'] = softwareDriver;
    process.env['XDG_RUNTIME_DIR'] ??= tmpdir();
  }
  try {
    return await openGpu();
  } catch (error) {
    if (!(error instanceof AblateError)) throw error;
    process.stderr.write(`The WebGPU engine is not tested: ${error.message}\n${error.fix ?? ''}\n`);
    return undefined;
  }
}

/**
 * A device with float16 for tests: the driver that ABLATE_TEST_F16_DRIVER names, or else Mesa's where it is installed and new enough. Undefined where there is none.
 * The process must not have opened another device before.
 */
export async function loadHalfGpu(): Promise<Gpu | undefined> {
  const driver = process.env['ABLATE_TEST_F16_DRIVER'] ?? mesaDrivers.find((path) => existsSync(path));
  if (process.env['ABLATE_TEST_GPU'] !== '1' && driver !== undefined) {
    process.env['VK_ICD_FILENAMES'] = driver;
    process.env['XDG_RUNTIME_DIR'] ??= tmpdir();
    // Translating kernels takes Mesa longer than running them: narrow vectors and no optimization halve it.
    process.env['LP_NATIVE_VECTOR_WIDTH'] ??= '128';
    process.env['GALLIVM_PERF'] ??= 'nopt';
  }
  const gpu = await loadGpu();
  if (gpu === undefined || gpu.device.features.has('shader-f16')) return gpu;
  gpu.dispose();
  return undefined;
}
