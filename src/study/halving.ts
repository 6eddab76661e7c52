/**
 * Successive halving (Karnin et al., 2013; Jamieson and Talwalkar, 2016): all trials train a little, the best of them go on. Only for
 * searches: a trial stopped early says nothing of the accuracy it would have had.
 */
import { roundLength } from './plan.ts';
import type { HalvingRule } from './study-schema.ts';

/** The steps after which trials are compared, ascending; for a run of `steps`. */
export function roundEnds(steps: number, { factor, rounds }: HalvingRule): readonly number[] {
  const first = roundLength(steps, factor, rounds);
  return Array.from({ length: rounds }, (_, round) => first * factor ** round).filter((end) => end < steps);
}

/**
 * The trials that go on: one in `factor`, at least one, the most accurate. A trial without an accuracy (it failed) never does.
 *
 * @param accuracies by trial; of equals the first goes on
 */
export function survivors(accuracies: ReadonlyMap<string, number | undefined>, factor: number): ReadonlySet<string> {
  const ranked = [...accuracies].flatMap(([trial, accuracy]) => (accuracy === undefined ? [] : [{ trial, accuracy }]));
  ranked.sort((a, b) => b.accuracy - a.accuracy);
  return new Set(ranked.slice(0, Math.max(1, Math.ceil(accuracies.size / factor))).map(({ trial }) => trial));
}
