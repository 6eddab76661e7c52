/** What evaluations on validation images decide: which weights were the best, and when to stop because nothing gets better. */
import { ConfigurationError } from '../util/errors.ts';
import type { TrainingConfig } from './config-schema.ts';

/** An evaluation of validation images. */
export interface Validated {
  readonly step: number;
  /** In [0, 1]. */
  readonly accuracy: number;
}

export interface ValidationWatch {
  /** Takes an evaluation into account. Returns whether it is better than all before. */
  add(evaluation: Validated): boolean;
  /** The first of the highest accuracy; undefined before any. */
  best(): Validated | undefined;
  /** Whether as many evaluations in a row as patience allows were no better than one before. */
  isOver(): boolean;
}

/**
 * @param patience evaluations without an improvement after which it is over, a positive integer; undefined: never
 * @param earlier the evaluations before, in their order
 */
export function watchValidation(patience: number | undefined, earlier: readonly Validated[] = []): ValidationWatch {
  let best: Validated | undefined;
  let since = 0;
  const add = (evaluation: Validated): boolean => {
    const better = best === undefined || evaluation.accuracy > best.accuracy;
    if (better) best = { step: evaluation.step, accuracy: evaluation.accuracy };
    since = better ? 0 : since + 1;
    return better;
  };
  for (const evaluation of earlier) add(evaluation);
  return { add, best: () => best, isOver: () => patience !== undefined && since >= patience };
}

/** @throws ConfigurationError for limits that are none, and for patience without evaluations of validation images */
export function requireLimits(
  { patience, maxSeconds }: { readonly patience?: number | undefined; readonly maxSeconds?: number | undefined },
  { val, evalEvery }: Pick<TrainingConfig, 'val' | 'evalEvery'>,
): void {
  if (maxSeconds !== undefined && !(maxSeconds > 0)) {
    throw new ConfigurationError(`maxSeconds (=${maxSeconds}) must be a number above 0`);
  }
  if (patience === undefined) return;
  if (!Number.isSafeInteger(patience) || patience < 1) {
    throw new ConfigurationError(`patience (=${patience}) must be a positive integer: a number of evaluations`);
  }
  if (!val) {
    throw new ConfigurationError('patience needs validation images: when to stop must not be chosen on the test images', {
      fix: 'add --val, which keeps some training images out for it',
    });
  }
  if (evalEvery === 0) {
    throw new ConfigurationError('evalEvery (=0) must be above 0 with patience, which counts evaluations', {
      key: 'evalEvery',
      fix: 'set --eval-every to a number of steps',
    });
  }
}
