/** The engine on WebGPU: any graphics card that Dawn or a browser reaches, through Vulkan, Metal or Direct3D 12. adapter.ts opens it in Node, page.ts in a page. */
import { engineName } from './array.ts';
import type { Gpu } from './gpu.ts';
import type { Engine } from '../engine.ts';
import { compileInferencePlan, compileTrainingPlan } from './plan.ts';

/** An engine on a device that is open, which it gives back when it is disposed of. */
export function createWebgpuEngine(gpu: Gpu): Engine {
  return {
    name: engineName,
    description: `WebGPU: ${gpu.description}`,
    threads: 1,
    versions: { adapter: gpu.description },
    compileTraining: (network, options) => compileTrainingPlan(gpu, network, options),
    compileInference: (network, options) => compileInferencePlan(gpu, network, options),
    dispose: () => gpu.dispose(),
  };
}
