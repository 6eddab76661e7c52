/** From trained weights to one ONNX file that any application can load. */
import { cifar10Classes } from '../data/cifar10.ts';
import type { Preprocessing } from '../data/preprocessing.ts';
import type { Engine, InferencePlan } from '../engine/engine.ts';
import { buildModel } from '../models/registry.ts';
import { countMultiplyAdds, countOperations, countParameters } from '../nn/network.ts';
import { preprocessingOf } from '../train/preprocessing.ts';
import type { SavedModel } from '../train/saved-model.ts';
import { loadWeights, tensorsOf, type WeightsKind } from '../train/weights.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { packageVersion } from '../util/package.ts';
import { agreementTolerance, differenceFromPlan } from './agreement.ts';
import { encodeFrozenMetadata, requireClassNames, type FrozenAccuracy, type FrozenMetadata } from './metadata.ts';
import { exportOnnx } from './onnx/export.ts';
import type { Weights } from './onnx/rule.ts';

export interface FreezeOptions {
  readonly saved: SavedModel;
  readonly weights: WeightsKind;
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
 * @throws DataError if the weights do not fit the network; ConfigurationError if the classes are not known, or cannot be called so; AblateError
 *   if the two differ by more than `agreementTolerance`
 */
export async function freeze(options: FreezeOptions): Promise<Frozen> {
  const { saved, weights: kind, engine } = options;
  const { config, file } = saved;
  const classes = classesOf(options);
  const imageSize = imageSizeOf(saved);
  const preprocessing = preprocessingOf(config, [3, imageSize, imageSize]);
  const { inputSize } = preprocessing;
  const input = [3, inputSize, inputSize] as const;
  const network = buildModel(config.model, { settings: config.modelSettings, input, classes: classes.length });
  const metadata: FrozenMetadata = {
    model: config.model,
    classes: [...classes],
    imageSize,
    inputSize,
    run: options.run ?? null,
    step: saved.step ?? null,
    weights: kind,
    accuracy: options.accuracy ?? null,
    parameters: countParameters(network.parameters),
    operations: countOperations(network),
    multiplyAdds: countMultiplyAdds(network),
    quantization: null,
    ablateVersion: packageVersion(),
    config,
  };
  const plan = engine.compileInference(network, { batchSize: comparedImages });
  try {
    loadWeights(plan.parameters, file, { kind, model: config.model, source: saved.path });
    const weights = tensorsOf(plan.parameters, plan.parameters.values, '');
    const encode = (accuracy: FrozenAccuracy | null) => encodeFrozen(plan, weights, preprocessing, { ...metadata, accuracy });
    await requireAgreement(encode(null), plan, preprocessing);
    return { metadata, weights, encode };
  } finally {
    plan.dispose();
  }
}

function encodeFrozen(plan: InferencePlan, weights: Weights, preprocessing: Preprocessing, metadata: FrozenMetadata): Uint8Array {
  const { network } = plan;
  return exportOnnx({
    network,
    weights,
    preprocessing,
    version: metadata.ablateVersion,
    metadata: encodeFrozenMetadata(metadata),
  });
}

function classesOf({ saved, classes }: FreezeOptions): readonly string[] {
  if (saved.classes !== undefined) {
    if (classes === undefined) return saved.classes;
    throw new ConfigurationError(`classes are fixed by ${saved.path}, which records them: ${saved.classes.join(', ')}`, {
      fix: 'leave --classes out',
    });
  }
  if (classes !== undefined) {
    requireClassNames(classes);
    return classes;
  }
  if (saved.config.dataset === 'cifar10') return cifar10Classes;
  throw new ConfigurationError(`${saved.path} does not say which classes its network tells apart`, {
    fix: 'add --classes with their names, separated by commas',
  });
}

function imageSizeOf({ imageShape, config }: SavedModel): number {
  if (imageShape !== undefined) return imageShape[1];
  return config.inputSize === 'full' ? usualImageSize : Math.max(usualImageSize, config.inputSize);
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
