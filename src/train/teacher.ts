/** The network whose outputs a training learns beside the labels: distillation (Hinton et al., 2015). */
import type { Dataset } from '../data/dataset.ts';
import type { DeviceArray, Engine, Precision } from '../engine/engine.ts';
import { checkpointWeights } from '../runs/checkpoint-weights.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { formatSize, sizeAsGiven } from '../util/image-size.ts';
import { requireFits, type Classifier } from './classifier.ts';
import { classifierFor, type SavedModel } from './saved-model.ts';
import { loadWeights, preferredWeights } from './weights.ts';
import { weightsChecksum } from './weights-checksum.ts';

export interface Teacher {
  /**
   * Its logits for a batch as the student sees it, augmentation included; valid until the next call.
   *
   * @param inputs `[N, C, H, W]`, N the batch size it was made for
   * @returns `[N, classes]`
   */
  logits(inputs: Float32Array): DeviceArray;
  dispose(): void;
}

export interface TeacherOptions {
  readonly saved: SavedModel;
  readonly engine: Engine;
  readonly dataset: Dataset;
  readonly student: Classifier;
  readonly batchSize: number;
  /** Of the student's training: the teacher computes in it too. */
  readonly precision: Precision;
}

/**
 * Compiles a teacher for the student's batches, with its moving averages where it has them.
 *
 * @throws ConfigurationError if it tells other classes apart or sees images prepared in another way; DataError if its weights do not fit
 */
export async function createTeacher({ saved, engine, dataset, student, batchSize, precision }: TeacherOptions): Promise<Teacher> {
  const { config, file, path } = saved;
  const classifier = classifierFor(saved, dataset);
  requireSameTask(classifier, student, dataset, `the teacher ${path}`);
  const plan = await engine.compileInference(classifier.network, { batchSize, precision });
  try {
    await loadWeights(plan.parameters, file, {
      kind: preferredWeights(file),
      model: config.model,
      source: `the teacher ${path}`,
    });
  } catch (error) {
    plan.dispose();
    throw error;
  }
  return {
    logits(inputs) {
      plan.bindInput(inputs);
      plan.forward();
      return plan.output;
    },
    dispose: () => plan.dispose(),
  };
}

/** Names a teacher's weights, those that it teaches with: SHA-256 over names and values. */
export function teacherChecksum({ file, path }: Pick<SavedModel, 'file' | 'path'>): string {
  return weightsChecksum(checkpointWeights(file, preferredWeights(file), path));
}

/** @throws DataError if the teacher's weights are no longer those that a run was started with (empty: it has not started) */
export function requireSameTeacher(saved: SavedModel, recorded: string): void {
  if (recorded === '' || teacherChecksum(saved) === recorded) return;
  throw new DataError(`the teacher ${saved.path} has other weights now than those that this training was started with`, {
    fix: 'Restore its weights, or start a new run',
  });
}

function requireSameTask(teacher: Classifier, student: Classifier, dataset: Dataset, what: string): void {
  requireFits(teacher, dataset, what);
  const { preprocessing: own } = teacher;
  const { inputSize, standardization } = student.preprocessing;
  const [ownSize, size] = [formatSize(own.inputSize), formatSize(inputSize)];
  if (ownSize !== size) {
    throw new ConfigurationError(`${what} was trained on images of ${ownSize}, and sees the student's of ${size}`, {
      fix: `--set inputSize=${sizeAsGiven(own.inputSize)}, or use another teacher`,
    });
  }
  if (JSON.stringify(own.standardization) !== JSON.stringify(standardization)) {
    throw new ConfigurationError(
      `${what} was trained with the standardization ${JSON.stringify(own.standardization)}, not ${JSON.stringify(standardization)}`,
      { fix: `--set 'standardization=${JSON.stringify(own.standardization)}', or use another teacher` },
    );
  }
}
