/** The engine on WebGPU: any graphics card that Dawn or a browser reaches, through Vulkan, Metal or Direct3D 12. adapter.ts opens it in Node, page.ts in a page. */
import { engineName } from './array.ts';
import type { Gpu } from './gpu.ts';
import { DataError } from '../../util/errors.ts';
import type { Engine } from '../engine.ts';
import { openLanes, type Lane } from './lanes.ts';
import { compileInferencePlan, compileTrainingPlan, networksThatFit } from './plan.ts';
import { parseTuning, tuningText, type Tuning } from './tuning.ts';

/** An engine on a device that is open, which it gives back when it is disposed of. */
export function createWebgpuEngine(gpu: Gpu, tuning = gpu.tuning): Engine {
  const [alone] = openLanes(gpu, 1) as readonly [Lane];
  return {
    ...laneEngine(alone, tuning, () => gpu.dispose()),
    sideBySide: {
      most: (network, options) => networksThatFit(gpu, network, options, tuning),
      open: (count) => openLanes(gpu, count).map((lane) => laneEngine(lane, tuning, () => lane.end())),
    },
  };
}

function laneEngine(lane: Lane, tuning: Tuning, dispose: () => void): Engine {
  return {
    name: engineName,
    description: `WebGPU: ${lane.gpu.description}`,
    threads: 1,
    versions: { adapter: lane.gpu.description },
    tuning: tuningText(tuning),
    tunedAs(recorded) {
      const known = parseTuning(recorded, tuning);
      if (known !== undefined) return laneEngine(lane, known, dispose);
      throw new DataError(`tuning (="${recorded}") of a run's environment.json is none of the engine ${engineName}`, {
        fix: 'take the line out of the file: the run then goes on with the tiles that suit this card, and rounds otherwise',
      });
    },
    compileTraining: (network, options) => compileTrainingPlan(lane, network, options, tuning),
    compileInference: (network, options) => compileInferencePlan(lane, network, options, tuning),
    dispose,
  };
}
