/**
 * A question asked of the results: a weighted sum of variants' accuracies, taken seed by seed. `variant - reference` for a single change,
 * averages over the other factors in factorials.
 */
export interface Contrast {
  /** `difference`: a variant against its reference. `main`, `interaction`: of a factorial, averaged over the other factors. */
  readonly kind: 'difference' | 'main' | 'interaction';
  readonly factor: string;
  readonly level: string;
  /** Name of what it is compared with; for an interaction, what it is beyond. */
  readonly reference: string;
  readonly weights: readonly { readonly variant: string; readonly weight: number }[];
}

/** How tables and figures call a contrast. */
export function contrastName({ kind, factor, level }: Pick<Contrast, 'kind' | 'factor' | 'level'>): string {
  return kind !== 'interaction' && level === factor ? factor : `${factor}: ${level}`;
}
