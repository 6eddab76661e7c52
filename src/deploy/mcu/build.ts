/** From a trained network and images to calibrate on to the plan of a device. */
import type { ImageSet } from '../../data/dataset.ts';
import type { Classifier } from '../../train/classifier.ts';
import { calibrate } from '../integers/calibrate.ts';
import type { RangeMethod } from '../integers/ranges.ts';
import type { FoldedNetwork } from '../onnx/fold.ts';
import { floatModel, type FloatModel } from './float-model.ts';
import { foldInput, type ImageGraph } from './input.ts';
import { integerPlan } from './integers.ts';
import { lowerNetwork } from './lower.ts';
import type { Plan } from './plan.ts';
import { groupsToCalibrate, separateFixed, sharedScales, withFineSums } from './scales.ts';
import { simplify } from './simplify.ts';

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
}

/**
 * The network over bytes, in real numbers, as small as it gets.
 *
 * @throws DataError for what integers on a device cannot compute
 */
export function deviceGraph({ classifier: { network, preprocessing }, folded }: TrainedClassifier): ImageGraph {
  const graph = simplify(lowerNetwork(network, folded));
  return separateFixed(foldInput(graph, preprocessing.standardization));
}

export interface BuiltPlan {
  readonly plan: Plan;
  /** The network in float32 that it was made of. */
  readonly float: FloatModel;
}

/**
 * The same network and images give the same plan.
 *
 * @throws DataError for what integers on a device cannot compute
 */
export async function buildPlan(trained: TrainedClassifier, { images, shape, range }: Calibration): Promise<BuiltPlan> {
  const { graph, image } = deviceGraph(trained);
  const float = floatModel({ graph, image });
  const shared = sharedScales({ graph, image });
  const groups = groupsToCalibrate(graph, shared, float.tensors);
  const calibrated = await calibrate({ model: float.model, groups, images, shape, method: range });
  const scales = new Map(
    [...calibrated].map(([tensor, { scale, zeroPoint }]) => [tensor, { scale, zeroPoint: zeroPoint - 128 }]),
  );
  return { plan: integerPlan(graph, withFineSums(graph, shared, scales)), float };
}
