/** What is said of a comparison. In a file of its own: the distributions behind effects take longer to load than most commands to run. */
import type { Effect } from './effects.ts';

/** A corrected p-value below this is called a result. */
const significance = 0.05;

export type Verdict = 'better' | 'worse' | 'unresolved' | 'one seed';

export function verdictOf({ correctedPValue, difference }: Pick<Effect, 'correctedPValue' | 'difference'>): Verdict {
  if (correctedPValue === undefined) return 'one seed';
  if (correctedPValue >= significance) return 'unresolved';
  return difference > 0 ? 'better' : 'worse';
}
