/** evaluation.json of a run that was evaluated on one image, for tests of what reads it. */
import type { RecordedEvaluation } from '../src/train/recorded-evaluation.ts';
import { createTally } from '../src/train/tally.ts';

export function recordedEvaluation(changes: Partial<RecordedEvaluation> = {}): RecordedEvaluation {
  const tally = createTally(['a', 'b']);
  tally.add(1, Float32Array.of(0, 1));
  return { ...tally.evaluation('test'), imagesPerSecond: 5, step: 90, weights: 'raw', datasetFingerprint: 'f', ...changes };
}
