/** From trained weights to one ONNX file that any application can load. */
import { cifar10Classes } from '../data/cifar10.ts';
import type { Preprocessing } from '../data/preprocessing.ts';
import type { Engine, InferencePlan } from '../engine/engine.ts';
import { describeForInference } from '../nn/description.ts';
import { initialValues } from '../nn/parameter.ts';
import { countMultiplyAdds, countOperations, countParameters } from '../nn/network.ts';
import { createClassifier, type Classifier } from '../train/classifier.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { loadWeights, preferredWeights, tensorsOf, type WeightsKind } from '../train/weights.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { imageSize, inputSizeFor, sidesOf } from '../util/image-size.ts';
import { packageVersion } from '../util/package.ts';
import { agreementTolerance, differenceFromPlan } from './agreement.ts';
import { encodeFrozenMetadata, requireClassNames, type FrozenAccuracy, type FrozenMetadata } from './metadata.ts';
import { exportOnnx, requireExportable } from './onnx/export.ts';
import type { Weights } from './onnx/rule.ts';

export interface FreezeOptions {
  readonly saved: SavedModel;
  /** Default: the moving averages, where there are any. */
  readonly weights?: WeightsKind | undefined;
  /** Runs the network once, to check that the file computes the same. */
  readonly engine: Engine;
  /** Names of the classes, where the file of weights does not say. Default: those of CIFAR-10, if there are as many. */
  readonly classes?: readonly string[] | undefined;
  /** `<model>/<number>`. */
  readonly run?: string | undefined;
  /** As measured before, for the record. */
  readonly accuracy?: FrozenAccuracy | undefined;
}

export interface Frozen {
  readonly metadata: FrozenMetadata;
  readonly classifier: Classifier;
  /** All parameters of the network, in plain layout. */
  readonly weights: Weights;
  /** The file's bytes; with an accuracy, they say so in their metadata. */
  encode(accuracy: FrozenAccuracy | null): Uint8Array;
}

/** Side of the images of every data set that does not say otherwise. */
const usualImageSize = 32;

/** Images on which the file is compared with the network. */
const comparedImages = 4;

/**
 * Freezes a model, and compares what the result computes in ONNX Runtime with what the engine computes.
 *
 * @throws DataError if the weights do not fit the network; ConfigurationError if the classes are not known, or cannot be called so, and for custom layers;
 *   AblateError if the two differ by more than `agreementTolerance`
 */
export async function freeze(options: FreezeOptions): Promise<Frozen> {
  const { saved, engine } = options;
  const { config, file } = saved;
  const kind = options.weights ?? preferredWeights(file);
  const classifier = namedClassifier(saved, options.classes);
  const { network, preprocessing } = classifier;
  requireExportable(network);
  const metadata = metadataOf(classifier, config, {
    run: options.run ?? null,
    step: saved.step ?? null,
    weights: kind,
    accuracy: options.accuracy ?? null,
  });
  const plan = await engine.compileInference(network, { batchSize: comparedImages });
  try {
    await loadWeights(plan.parameters, file, { kind, model: config.model, source: saved.path });
    const weights = await tensorsOf(plan.parameters, plan.parameters.values, '');
    const encode = (accuracy: FrozenAccuracy | null) => encodeFrozen(classifier, weights, { ...metadata, accuracy });
    await requireAgreement(encode(null), plan, preprocessing);
    return { metadata, classifier, weights, encode };
  } finally {
    plan.dispose();
  }
}

/**
 * The file that a network becomes, with its first weights: for its time and what it takes, neither of which depends on their values.
 *
 * @throws ConfigurationError for custom layers
 */
export function untrainedFile(classifier: Classifier, config: TrainingConfig): Uint8Array {
  const { network } = classifier;
  requireExportable(network);
  const weights = new Map(
    network.parameters.map((spec) => [spec.name, { shape: spec.shape, data: initialValues(spec, config.seed) }]),
  );
  return encodeFrozen(
    classifier,
    weights,
    metadataOf(classifier, config, { run: null, step: 0, weights: 'raw', accuracy: null }),
  );
}

function metadataOf(
  { network, preprocessing, classes, imageShape }: Classifier,
  config: TrainingConfig,
  made: Pick<FrozenMetadata, 'run' | 'step' | 'weights' | 'accuracy'>,
): FrozenMetadata {
  return {
    model: config.model,
    classes: [...classes],
    imageSize: imageSize(imageShape[1], imageShape[2]),
    inputSize: preprocessing.inputSize,
    ...made,
    parameters: countParameters(network.parameters),
    operations: countOperations(network),
    multiplyAdds: countMultiplyAdds(network),
    quantization: null,
    network: { ...describeForInference(network) },
    ablateVersion: packageVersion(),
    config,
  };
}

function encodeFrozen({ network, preprocessing }: Classifier, weights: Weights, metadata: FrozenMetadata): Uint8Array {
  return exportOnnx({
    network,
    weights,
    preprocessing,
    version: metadata.ablateVersion,
    metadata: encodeFrozenMetadata(metadata),
  });
}

/**
 * What saved weights belong to, with the names of its classes.
 *
 * @param classes where the file does not say; default those of CIFAR-10 for weights of a network that was trained on it
 * @throws ConfigurationError if the classes are not known, cannot be called so, or are known already
 */
export function namedClassifier(
  { classifier, config, definition, path }: SavedModel,
  classes: readonly string[] | undefined,
): Classifier {
  if (classifier !== undefined) {
    if (classes === undefined) return classifier;
    throw new ConfigurationError(`classes are fixed by ${path}, which records them: ${classifier.classes.join(', ')}`, {
      fix: 'leave --classes out',
    });
  }
  if (classes !== undefined) requireClassNames(classes);
  const named = classes ?? (config.dataset === 'cifar10' ? cifar10Classes : undefined);
  if (named === undefined) {
    throw new ConfigurationError(`${path} does not say which classes its network tells apart`, {
      fix: 'add --classes with their names, separated by commas',
    });
  }
  return createClassifier(config, { shape: [3, ...imagesFor(config.inputSize)], classes: named }, definition);
}

/** The usual images, or as much larger as the network's input. */
function imagesFor(asked: TrainingConfig['inputSize']): readonly [height: number, width: number] {
  const [height, width] = sidesOf(inputSizeFor(asked, [usualImageSize, usualImageSize]));
  return [Math.max(usualImageSize, height), Math.max(usualImageSize, width)];
}

async function requireAgreement(bytes: Uint8Array, plan: InferencePlan, preprocessing: Preprocessing): Promise<void> {
  const difference = await differenceFromPlan(bytes, plan, preprocessing);
  if (difference <= agreementTolerance) return;
  throw new AblateError(
    `the frozen ${plan.network.name} computes other logits in ONNX Runtime than in the engine: they differ by ${difference.toExponential(1)} ` +
      `of the largest, and may by ${agreementTolerance.toExponential(0)}`,
    { fix: 'this is a defect of ablate: please report it with the weights' },
  );
}
