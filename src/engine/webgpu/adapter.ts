/**
 * From the `webgpu` package (Dawn) to a device. The package is large and optional: it is loaded when it is asked for, and its absence is an error that says
 * what to do.
 */
import { AblateError, messageOf } from '../../util/errors.ts';
import type { Engine } from '../engine.ts';
import { timeProduct } from './ceilings.ts';
import { describeAdapter, openDevice, type AdapterDescription } from './device.ts';
import { createWebgpuEngine } from './engine.ts';
import type { Gpu } from './gpu.ts';
import { gpuChoices, measureTuning } from './measure-tuning.ts';
import { keptTuning } from './tuning-cache.ts';
import { createRestingWait } from './resting-wait.ts';
import { gpuTuning } from './tuning.ts';

/** Rounded to 65 microseconds, as pages see it, the device's clock would tell nothing of a kernel. */
const options = ['disable-dawn-features=timestamp_quantization'];

/** A variable, so that compiler and bundlers do not look for a package that may be absent. */
const packageName = 'webgpu';
const packageFix = 'ablate setup --gpu';
export const driverFix =
  'install the Vulkan loader (Debian, Ubuntu: apt-get install libvulkan1) and the driver of your graphics card; docs/gpu.md has the rest';

/** What `create` makes: it must be kept as long as anything that came from it is used, or the process crashes at a garbage collection. */
export interface Instance {
  requestAdapter(options?: GPURequestAdapterOptions): Promise<GPUAdapter | null>;
}

interface WebgpuPackage {
  create(options: readonly string[]): Instance;
}

/** @throws AblateError where the package is not installed or does not load */
export async function loadPackage(): Promise<WebgpuPackage> {
  try {
    return (await import(packageName)) as WebgpuPackage;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const what = missing ? 'is not installed' : `does not load here: ${messageOf(error)}`;
    throw new AblateError(`the package webgpu, through which the engine webgpu reaches graphics cards, ${what}`, {
      fix: missing
        ? packageFix
        : 'it has binaries for Linux and Windows (x64 and arm64) and macOS; where it should load, install it again: ablate setup --gpu',
      cause: error,
    });
  }
}

export interface Found extends AdapterDescription {
  readonly instance: Instance;
  readonly adapter: GPUAdapter;
}

/** @throws AblateError where there is no package or no adapter */
export async function findAdapter(): Promise<Found> {
  const { create } = await loadPackage();
  const instance = create(options);
  const adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new AblateError('there is no adapter for WebGPU: no graphics card whose driver has Vulkan, Metal or Direct3D 12', {
      fix: driverFix,
    });
  }
  return { instance, adapter, ...describeAdapter(adapter) };
}

/**
 * A device with the tiles that suit it: those of cards are measured at their first use.
 *
 * @throws AblateError where there is no package or no adapter
 */
export async function openGpu(): Promise<Gpu> {
  const { instance, adapter, description, isSoftware } = await findAdapter();
  const gpu = await openDevice(instance, adapter, createRestingWait());
  if (isSoftware) return gpu;
  const options = { adapter: description, base: gpuTuning, choices: gpuChoices };
  gpu.tuning = await keptTuning(options, () =>
    measureTuning(gpuTuning, gpuChoices, (tile, splits, size) => timeProduct(gpu, tile, splits, size, 4)),
  );
  return gpu;
}

/** @throws AblateError where the package `webgpu` or an adapter is missing, with what to do */
export async function openWebgpuEngine(): Promise<Engine> {
  return createWebgpuEngine(await openGpu());
}
