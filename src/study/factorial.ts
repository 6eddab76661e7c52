/**
 * Full factorials: every combination of the factors' levels, where level 0 of each is the baseline.
 *
 * Main effect of a level: accuracy with it minus accuracy with the factor's level 0, averaged over all combinations of the other factors.
 * Interaction of two levels: what both together do beyond the sum of what each does alone, (ab - b) - (a - none), averaged likewise.
 * Both are contrasts taken within a seed, so that what a seed does to all variants alike cancels.
 */
import type { Contrast } from './contrast.ts';

interface FactorLevels {
  readonly name: string;
  /** Labels of levels 1, 2, ... */
  readonly levels: readonly string[];
}

export interface Cell {
  /** `baseline`, or the labels of the levels that are not 0. */
  readonly name: string;
  /** Level of each factor, 0 being the baseline. */
  readonly levels: readonly number[];
  readonly factors: readonly FactorLevels[];
}

/** All combinations, the baseline first. */
export function factorialCells(factors: readonly FactorLevels[]): readonly Cell[] {
  let combinations: number[][] = [[]];
  for (const { levels } of factors) {
    combinations = combinations.flatMap((chosen) => [0, ...levels.map((_, i) => i + 1)].map((level) => [...chosen, level]));
  }
  return combinations.map((levels) => {
    const labels = levels.flatMap((level, i) => (level === 0 ? [] : [levelName(factors[i]!, level)]));
    return { name: labels.length === 0 ? 'baseline' : labels.join(' + '), levels, factors };
  });
}

/** Main effects of all levels, then the interactions of all pairs of levels of two factors. */
export function factorialContrasts(cells: readonly Cell[]): readonly Contrast[] {
  const { factors } = cells[0]!;
  const main: Contrast[] = [];
  const interactions: Contrast[] = [];
  factors.forEach((a, i) => {
    a.levels.forEach((label, k) => {
      const weights = contrast(cells, [{ factor: i, level: k + 1 }]);
      main.push({ kind: 'main', factor: a.name, level: label, reference: `without ${a.name}`, weights });
    });
    factors.slice(i + 1).forEach((b, offset) => {
      const j = i + 1 + offset;
      a.levels.forEach((labelA, k) => {
        b.levels.forEach((labelB, l) => {
          const weights = contrast(cells, [
            { factor: i, level: k + 1 },
            { factor: j, level: l + 1 },
          ]);
          const level = labelA === a.name && labelB === b.name ? 'together' : `${labelA} with ${labelB}`;
          interactions.push({
            kind: 'interaction',
            factor: `${a.name} x ${b.name}`,
            level,
            reference: 'the sum of both',
            weights,
          });
        });
      });
    });
  });
  return [...main, ...interactions];
}

/** Product of (level - level 0) over the chosen factors, averaged over the cells of the others. */
function contrast(
  cells: readonly Cell[],
  chosen: readonly { readonly factor: number; readonly level: number }[],
): Contrast['weights'] {
  const signed = cells.flatMap(({ name, levels }) => {
    const sign = chosen.reduce((product, { factor, level }) => {
      if (levels[factor] === level) return product;
      return levels[factor] === 0 ? -product : 0;
    }, 1);
    return sign === 0 ? [] : [{ variant: name, weight: sign }];
  });
  const others = signed.length / 2 ** chosen.length;
  return signed.map(({ variant, weight }) => ({ variant, weight: weight / others }));
}

/** A factor with one change is named by itself, one of several levels by both. */
function levelName({ name, levels }: FactorLevels, level: number): string {
  const label = levels[level - 1]!;
  return label === name ? name : `${name}: ${label}`;
}
