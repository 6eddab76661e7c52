/** The file that `ablate eval --mistakes` writes: what was told wrongly, as a page with the pictures or as a table. */
import type { Dataset, SplitName } from '../data/dataset.ts';
import type { RecordedPredictions } from '../train/predictions.ts';
import { ConfigurationError } from '../util/errors.ts';
import { claimOutput } from './output-file.ts';
import { note } from './output.ts';

export interface MistakesFile {
  write(predictions: Pick<RecordedPredictions, 'count' | 'at'>, of: MistakesSource): Promise<void>;
}

export interface MistakesSource {
  /** What was evaluated, in words. */
  readonly title: string;
  readonly dataset: Dataset;
  readonly split: SplitName;
  /** Whether validation images were kept out of training. */
  readonly useVal: boolean;
}

/** @throws ConfigurationError if the name is of another kind of file; AblateError if it cannot be written, or exists and `force` is not given */
export function claimMistakesFile(file: string, source: string, force: boolean): MistakesFile {
  const kind = /\.(html|csv)$/.exec(file)?.[1];
  if (kind === undefined) throw new ConfigurationError(`mistakes (=${file}) must end in .html or .csv`);
  const output = claimOutput(file, { source, what: 'evaluate', force });
  return {
    async write(predictions, { title, dataset, split, useVal }) {
      const { mistakesCsv, mistakesPage } = await import('../report/pictures/mistakes.ts');
      const { splitOf } = await import('../data/image-set.ts');
      const { classes, shape } = dataset;
      const images = splitOf(dataset, split, useVal);
      const text =
        kind === 'csv' ? mistakesCsv({ predictions, classes }) : mistakesPage({ title, classes, predictions, images, shape });
      output.write(new TextEncoder().encode(text));
      note(`mistakes: ${file}`);
    },
  };
}
