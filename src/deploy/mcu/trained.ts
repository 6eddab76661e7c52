/** Trained networks for devices: from saved weights, or from a frozen file. */
import { checkpointWeights } from '../../runs/checkpoint-weights.ts';
import type { Tensor } from '../../runs/safetensors.ts';
import type { SavedModel } from '../../train/saved-model.ts';
import { requireShapes, type WeightsKind } from '../../train/weights.ts';
import { DataError } from '../../util/errors.ts';
import { namedClassifier } from '../freeze.ts';
import type { FrozenFile } from '../frozen-model.ts';
import { frozenClassifier } from '../metadata.ts';
import { foldBatchNorms, type FoldedNetwork } from '../onnx/fold.ts';
import { decodeModel } from '../onnx/schema.ts';
import type { TrainedClassifier } from './build.ts';

/**
 * @param classes names of the classes, where the file does not say
 * @throws DataError if the weights do not fit the network; ConfigurationError if the classes are not known
 */
export function trainedFromSaved(
  saved: SavedModel,
  kind: WeightsKind,
  classes: readonly string[] | undefined,
): TrainedClassifier {
  const classifier = namedClassifier(saved, classes);
  const weights = checkpointWeights(saved.file, kind, saved.path);
  requireShapes(classifier.network.parameters, weights, saved.path);
  return { classifier, folded: foldBatchNorms(classifier.network, weights) };
}

/**
 * @param source what to call the file in errors
 * @throws DataError for a file that is quantized already, or was changed by another program
 */
export function trainedFromFrozen({ bytes, metadata }: FrozenFile, source: string): TrainedClassifier {
  if (metadata.quantization !== null) {
    throw new DataError(`${source} is quantized already (${metadata.quantization.scheme}), for processors with ONNX Runtime`, {
      fix: 'give the float32 file or the run that it was made of',
    });
  }
  const classifier = frozenClassifier(metadata, source);
  const model = decodeModel(bytes);
  if (model === undefined) throw changed(source);
  const constants = new Map(
    model.graph.initializer.map((tensor): [string, Tensor] => [
      tensor.name,
      { shape: tensor.dims, data: floatsOf(tensor.rawData) },
    ]),
  );
  // Which normalizations are folded follows from the network; with what, does not matter here.
  const zeros = new Map(
    classifier.network.parameters.map(({ name, shape }): [string, Tensor] => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
    ]),
  );
  const { layers } = foldBatchNorms(classifier.network, zeros);
  const folded: FoldedNetwork = { layers, weights: constants };
  const parameters = layers.flatMap((layer) => layer.parameters);
  requireShapes(parameters, constants, source);
  return { classifier, folded };
}

function changed(source: string): DataError {
  return new DataError(`${source} is damaged, or was changed by another program after ablate wrote it`, {
    fix: 'freeze it again',
  });
}

/** Copied, because the bytes of a file are not aligned. */
function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
