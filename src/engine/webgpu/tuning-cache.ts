/** What was measured of a card is kept for the user, so that it is measured once and the card computes in the same way from then on. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as z from 'zod';
import { writeFileAtomic } from '../../util/atomic-file.ts';
import { AblateError } from '../../util/errors.ts';
import { recordAt } from '../../util/json-file.ts';
import { makeFolder } from '../../util/make-folder.ts';
import { userCacheFolder } from '../../util/user-cache.ts';
import { productText } from './kernels/product.ts';
import type { TuningChoices } from './measure-tuning.ts';
import { parseTuning, tuningText, type Tuning } from './tuning.ts';

const schema = z.object({
  /** The card and its driver, as both name themselves. */
  adapter: z.string(),
  /** Of the texts of the kernels that were measured. */
  kernels: z.string(),
  tuning: z.string(),
});

export interface TuningCacheOptions {
  readonly adapter: string;
  readonly base: Tuning;
  readonly choices: TuningChoices;
  /** Default `userCacheFolder()`. */
  readonly folder?: string | undefined;
}

/**
 * The tuning that is kept for this adapter and these kernels; else the measured one, which is kept from then on. A file that is damaged, or of another card, driver or
 * version of the kernels, is measured anew and overwritten; where nothing can be kept, every process measures.
 */
export async function keptTuning(options: TuningCacheOptions, measure: () => Promise<Tuning>): Promise<Tuning> {
  const { adapter, base, choices, folder = userCacheFolder() } = options;
  const kernels = checksumOf(choices);
  const name = createHash('sha256').update(adapter).digest('hex').slice(0, 16);
  const path = join(folder, 'webgpu', `${name}.json`);
  const known = recordAt(path, schema);
  const kept = known?.adapter === adapter && known.kernels === kernels ? parseTuning(known.tuning, base) : undefined;
  if (kept !== undefined) return kept;
  const tuning = await measure();
  try {
    makeFolder(join(folder, 'webgpu'));
    writeFileAtomic(path, `${JSON.stringify({ adapter, kernels, tuning: tuningText(tuning) }, undefined, 2)}\n`);
  } catch (error) {
    if (!(error instanceof AblateError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  }
  return tuning;
}

/** Changes when the kernels or what is chosen from do. */
function checksumOf(choices: TuningChoices): string {
  const hash = createHash('sha256').update(JSON.stringify(choices));
  const operand = { width: 4, value: 'xs[0]' } as const;
  for (const tile of choices.tiles) {
    hash.update(
      productText({
        ...{ tile, rows: 8, columns: 8, depth: 8, groups: 1, splits: 1, buffers: [], declarations: '' },
        a: { along: 'depth', ...operand },
        b: { along: 'outer', ...operand },
        store: { width: 4, code: '' },
      }),
    );
  }
  return hash.digest('hex').slice(0, 16);
}
