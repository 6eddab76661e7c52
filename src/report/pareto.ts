/** Which variants are worth their cost. */

export interface Priced {
  readonly name: string;
  readonly cost: number;
  /** A fraction in [0, 1]. */
  readonly accuracy: number;
}

/** The Pareto front: those that no other beats or equals in cost and accuracy at once; by cost, ascending. Of equals, the first. */
export function paretoFront(points: readonly Priced[]): Priced[] {
  const byCost = [...points].sort((a, b) => a.cost - b.cost || b.accuracy - a.accuracy);
  const front: Priced[] = [];
  for (const point of byCost) {
    if (point.accuracy > (front.at(-1)?.accuracy ?? -Infinity)) front.push(point);
  }
  return front;
}
