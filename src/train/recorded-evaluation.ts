/** evaluation.json: the latest evaluation of a run in full, classes and confusions included, which metrics.jsonl has no room for. */
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { recordAt } from '../util/json-file.ts';
import { evaluationSchema } from './tally.ts';
import { weightsKinds } from './weights.ts';

/** What a record must be that is read: people edit files. */
export const recordedEvaluationSchema = evaluationSchema
  .extend({
    /** Steps taken. */
    step: z.int(),
    weights: z.enum(weightsKinds),
    /** Of the images: which they were is known without a checkpoint. */
    datasetFingerprint: z.string(),
  })
  .refine(({ perClass: { length }, confusion }) => [confusion, ...confusion].every((list) => list.length === length));

export type RecordedEvaluation = Readonly<z.output<typeof recordedEvaluationSchema>>;

/** Replaces the evaluation of a run. Throws AblateError if it cannot be written. */
export function writeEvaluation(run: { readonly path: string }, evaluation: RecordedEvaluation): void {
  writeFileAtomic(join(run.path, 'evaluation.json'), `${JSON.stringify(evaluation)}\n`, { durable: false });
}

/** The latest evaluation of a run; undefined if there is none yet, or it is damaged. */
export function readEvaluation(run: { readonly path: string }): RecordedEvaluation | undefined {
  return recordAt(join(run.path, 'evaluation.json'), recordedEvaluationSchema);
}
