/** From an adapter to a device, in Node and in browsers. */
import { Gpu } from './gpu.ts';
import type { Wait } from './resting-wait.ts';
import { gpuTuning, softwareTuning } from './tuning.ts';

export interface AdapterDescription {
  /** For people: `nvidia NVIDIA H100`. */
  readonly description: string;
  /** Whether it computes in software: then kernels run, but nothing is fast. */
  readonly isSoftware: boolean;
  readonly hasFloat16: boolean;
}

export function describeAdapter({ info, features }: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description, isFallbackAdapter } = info;
  const name = [vendor, device === '' ? architecture : device, description].filter((part) => part !== '').join(' ');
  const isSoftware = isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(name);
  // Browsers may tell no more than that there is one.
  return { description: name === '' ? 'an adapter without a name' : name, isSoftware, hasFloat16: features.has('shader-f16') };
}

/**
 * A device with all that the adapter allows.
 *
 * @param owner what the adapter came from, kept as long as the device
 * @param wait how what it does is waited for
 */
export async function openDevice(owner: unknown, adapter: GPUAdapter, wait?: Wait): Promise<Gpu> {
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures: (['timestamp-query', 'shader-f16'] as const).filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    },
  });
  const { description, isSoftware } = describeAdapter(adapter);
  return new Gpu({ owner, device, description, tuning: isSoftware ? softwareTuning : gpuTuning, ...(wait && { wait }) });
}
