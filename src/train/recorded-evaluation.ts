/** evaluation.json: the latest evaluation of a run in full, classes and confusions included, which metrics.jsonl has no room for. */
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.ts';
import type { Evaluation } from './tally.ts';
import type { WeightsKind } from './weights.ts';
import { jsonObjectAt } from '../util/json-file.ts';

export interface RecordedEvaluation extends Evaluation {
  /** Steps taken. */
  readonly step: number;
  readonly weights: WeightsKind;
  /** Of the images: which they were is known without a checkpoint. */
  readonly datasetFingerprint: string;
}

/** Replaces the evaluation of a run. Throws AblateError if it cannot be written. */
export function writeEvaluation(run: { readonly path: string }, evaluation: RecordedEvaluation): void {
  writeFileAtomic(join(run.path, 'evaluation.json'), `${JSON.stringify(evaluation)}\n`, { durable: false });
}

/** The latest evaluation of a run; undefined if there is none yet, or it is damaged. */
export function readEvaluation(run: { readonly path: string }): RecordedEvaluation | undefined {
  return jsonObjectAt(join(run.path, 'evaluation.json')) as RecordedEvaluation | undefined;
}
