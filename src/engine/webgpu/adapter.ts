/**
 * From the `webgpu` package (Dawn) to a device. The package is large and optional: it is loaded when it is asked for, and its absence is an error that says
 * what to do.
 */
import { AblateError, messageOf } from '../../util/errors.ts';
import { Gpu } from './gpu.ts';
import { gpuTuning, softwareTuning } from './tuning.ts';

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

/** An adapter, and whether it computes in software: then kernels run, but nothing is fast. */
export interface Found {
  readonly instance: Instance;
  readonly adapter: GPUAdapter;
  readonly description: string;
  readonly isSoftware: boolean;
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

/** Its name with that of its driver, and whether it computes in software. */
export function describeAdapter({ info }: GPUAdapter): Pick<Found, 'description' | 'isSoftware'> {
  const { vendor, architecture, device, description, isFallbackAdapter } = info;
  const name = [vendor, device === '' ? architecture : device, description].filter((part) => part !== '').join(' ');
  return {
    description: name,
    isSoftware: isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(name),
  };
}

/** A device with all that the adapter allows. */
export async function openGpu(): Promise<{ readonly gpu: Gpu; readonly description: string; readonly isSoftware: boolean }> {
  const { instance, adapter, description, isSoftware } = await findAdapter();
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures: adapter.features.has('timestamp-query') ? ['timestamp-query'] : [],
    requiredLimits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    },
  });
  const gpu = new Gpu({ owner: instance, device, description, tuning: isSoftware ? softwareTuning : gpuTuning });
  return { gpu, description, isSoftware };
}
