/** What the frozen files of a run reach and take, quantized in one way or another: `quantized/<scheme>-<digest>.json` in the run's folder. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { recordedEvaluationSchema } from '../train/recorded-evaluation.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { recordAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { quantizationSchema, type StudyQuantization } from './quantization.ts';

const schema = z.object({
  quantization: quantizationSchema,
  /** Of the file, not compressed. */
  bytes: z.int(),
  /** Of the file itself, on all images of the split. */
  evaluation: recordedEvaluationSchema.readonly(),
});

export type FileResult = Readonly<z.output<typeof schema>>;

/** Throws AblateError if it cannot be written. */
export function writeFileResult(run: { readonly path: string }, result: FileResult): void {
  makeFolder(folderOf(run));
  writeFileAtomic(pathOf(run, result.quantization), `${JSON.stringify(result)}\n`);
}

/** Undefined if the file was not measured yet, or the record is damaged. */
export function readFileResult(run: { readonly path: string }, quantization: StudyQuantization): FileResult | undefined {
  return recordAt(pathOf(run, quantization), schema);
}

function folderOf({ path }: { readonly path: string }): string {
  return join(path, 'quantized');
}

function pathOf(run: { readonly path: string }, quantization: StudyQuantization): string {
  const digest = createHash('sha256').update(JSON.stringify(quantization)).digest('hex').slice(0, 12);
  return join(folderOf(run), `${quantization.scheme}-${digest}.json`);
}
