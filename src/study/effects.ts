/** What the changes of a study buy, from the accuracies of its runs. */
import { contrastName, type Contrast } from './contrast.ts';
import { estimateMean, holm, seedsToResolve, type Estimate } from './statistics.ts';

/** The final accuracy of one run, a fraction in [0, 1]. */
export interface Outcome {
  readonly variant: string;
  readonly seed: number;
  readonly accuracy: number;
}

export interface Effect extends Pick<Contrast, 'kind' | 'factor' | 'level' | 'reference'>, Omit<Estimate, 'count' | 'mean'> {
  readonly name: string;
  /** Mean over the common seeds, as a fraction: 0.01 is one point. */
  readonly difference: number;
  /** Corrected for the number of comparisons of the study (Holm). */
  readonly correctedPValue: number | undefined;
  /** The seeds that all its runs have finished with. */
  readonly seeds: readonly number[];
  /**
   * Seeds with which half a point would be found in four studies of five, uncorrected; undefined if that cannot be said, or it takes more
   * than 1,000.
   */
  readonly seedsForHalfPoint: number | undefined;
}

const halfPoint = 0.005;

/**
 * Estimates every contrast over the seeds common to its variants. Those without a common seed are left out. Main effects and interactions
 * are corrected for all comparisons of the study together.
 */
export function estimateEffects(contrasts: readonly Contrast[], outcomes: readonly Outcome[]): Effect[] {
  const accuracies = new Map<string, Map<number, number>>();
  for (const { variant, seed, accuracy } of outcomes) {
    const bySeed = accuracies.get(variant) ?? new Map<number, number>();
    accuracies.set(variant, bySeed.set(seed, accuracy));
  }
  const estimates = contrasts.flatMap((contrast) => {
    const values = contrastValues(contrast, accuracies);
    return values.length === 0 ? [] : [{ contrast, values, ...estimateMean(values.map(({ value }) => value)) }];
  });
  const tested = estimates.filter(({ pValue }) => pValue !== undefined);
  const corrected = holm(tested.map(({ pValue }) => pValue!));
  return estimates.map((estimate) => {
    const { contrast, values, mean, deviation, low, high, pValue } = estimate;
    const { kind, factor, level, reference } = contrast;
    return {
      name: contrastName(contrast),
      ...{ kind, factor, level, reference },
      difference: mean,
      ...{ deviation, low, high, pValue },
      correctedPValue: corrected[tested.indexOf(estimate)],
      seeds: values.map(({ seed }) => seed),
      // Deviations of zero come from too few seeds or images, and promise too much.
      seedsForHalfPoint: deviation === undefined || deviation === 0 ? undefined : seedsToResolve(halfPoint, deviation),
    };
  });
}

/** The contrast within each seed that all its variants have. */
function contrastValues({ weights }: Contrast, accuracies: ReadonlyMap<string, ReadonlyMap<number, number>>) {
  const seeds = [...(accuracies.get(weights[0]!.variant)?.keys() ?? [])].sort((a, b) => a - b);
  return seeds.flatMap((seed) => {
    let value = 0;
    for (const { variant, weight } of weights) {
      const accuracy = accuracies.get(variant)?.get(seed);
      if (accuracy === undefined) return [];
      value += weight * accuracy;
    }
    return [{ seed, value }];
  });
}
