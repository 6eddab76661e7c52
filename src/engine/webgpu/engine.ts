/** The engine on WebGPU: any graphics card that Dawn or a browser reaches, through Vulkan, Metal or Direct3D 12. adapter.ts opens it in Node, page.ts in a page. */
import { engineName } from './array.ts';
import type { Gpu } from './gpu.ts';
import { DataError } from '../../util/errors.ts';
import type { Engine } from '../engine.ts';
import { compileInferencePlan, compileTrainingPlan } from './plan.ts';
import { parseTuning, tuningText } from './tuning.ts';

/** An engine on a device that is open, which it gives back when it is disposed of. */
export function createWebgpuEngine(gpu: Gpu, tuning = gpu.tuning): Engine {
  return {
    name: engineName,
    description: `WebGPU: ${gpu.description}`,
    threads: 1,
    versions: { adapter: gpu.description },
    tuning: tuningText(tuning),
    tunedAs(recorded) {
      const known = parseTuning(recorded, tuning);
      if (known !== undefined) return createWebgpuEngine(gpu, known);
      throw new DataError(`tuning (="${recorded}") of a run's environment.json is none of the engine ${engineName}`, {
        fix: 'take the line out of the file: the run then goes on with the tiles that suit this card, and rounds otherwise',
      });
    },
    compileTraining: (network, options) => compileTrainingPlan(gpu, network, options, tuning),
    compileInference: (network, options) => compileInferencePlan(gpu, network, options, tuning),
    dispose: () => gpu.dispose(),
  };
}
