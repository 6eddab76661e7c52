/** From a trained network and images to calibrate on to the plan of a device. */
import type { ImageSet } from '../../data/dataset.ts';
import type { Classifier } from '../../train/classifier.ts';
import { calibrate } from '../integers/calibrate.ts';
import type { RangeMethod } from '../integers/ranges.ts';
import type { FoldedNetwork } from '../onnx/fold.ts';
import { deviceGraph } from './device-graph.ts';
import { floatModel, type FloatModel } from './float-model.ts';
import { integerPlan } from './integers.ts';
import type { Plan } from './plan.ts';
import { groupsToCalibrate, sharedScales, withFineSums } from './scales.ts';

/** A classifier with what training left: its layers, batch normalizations folded where that can be, and their weights. */
export interface TrainedClassifier {
  readonly classifier: Classifier;
  readonly folded: FoldedNetwork;
}

export interface Calibration {
  /** Training images. */
  readonly images: ImageSet;
  /** `[C, H, W]` of them. */
  readonly shape: readonly [number, number, number];
  readonly range: RangeMethod;
  /** Images that were looked at; each counts once for each time. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuiltPlan {
  readonly plan: Plan;
  /** The network in float32 that it was made of. */
  readonly float: FloatModel;
}

/**
 * The same network and images give the same plan.
 *
 * @throws DataError for what integers on a device cannot compute; the reason of the signal, if that stopped it
 */
export async function buildPlan(trained: TrainedClassifier, { range, ...calibration }: Calibration): Promise<BuiltPlan> {
  const { network, preprocessing } = trained.classifier;
  const { graph, image } = deviceGraph(network, trained.folded, preprocessing.standardization);
  const float = floatModel({ graph, image });
  const shared = sharedScales({ graph, image });
  const groups = groupsToCalibrate(graph, shared, float.tensors);
  const calibrated = await calibrate({ model: float.model, groups, ...calibration, method: range });
  const scales = new Map(
    [...calibrated].map(([tensor, { scale, zeroPoint }]) => [tensor, { scale, zeroPoint: zeroPoint - 128 }]),
  );
  return { plan: integerPlan(graph, withFineSums(graph, shared, scales)), float };
}
