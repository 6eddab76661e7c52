/** The engine on WebGPU: any graphics card that Dawn reaches, through Vulkan, Metal or Direct3D 12. */
import { openGpu } from './adapter.ts';
import { engineName } from './array.ts';
import type { Gpu } from './gpu.ts';
import type { Engine } from '../engine.ts';
import { compileInferencePlan, compileTrainingPlan } from './plan.ts';

/** @throws AblateError where the package `webgpu` or an adapter is missing, with what to do */
export async function openWebgpuEngine(): Promise<Engine> {
  const { gpu, description } = await openGpu();
  return createWebgpuEngine(gpu, { adapter: description });
}

/** An engine on a device that is open, which it gives back when it is disposed of. */
export function createWebgpuEngine(gpu: Gpu, versions: Readonly<Record<string, string>>): Engine {
  return {
    name: engineName,
    description: `WebGPU: ${gpu.description}`,
    threads: 1,
    versions,
    compileTraining: (network, options) => compileTrainingPlan(gpu, network, options),
    compileInference: (network, options) => compileInferencePlan(gpu, network, options),
    dispose: () => gpu.dispose(),
  };
}
