/** How large the weights of each layer are, and their gradients: what a person looks at who wonders why a network does not learn. */
import type { DeviceArray, TrainingPlan } from '../engine/engine.ts';
import type { Metrics } from '../runs/metrics.ts';

/** Records are many, and curves of norms need no more. */
const digits = 5;

/**
 * Measures the Euclidean norms of the weights of each layer that has any (not of biases, nor of what normalizes), and of the mean gradient of
 * the step that was taken last: `weightNorm/<layer>` and `gradientNorm/<layer>`. One pass over both arrays, to be run when a record is
 * written. The padding of blocked layouts is zero.
 */
export function createLayerNorms({
  parameters,
  vectorMath,
}: Pick<TrainingPlan, 'parameters' | 'vectorMath'>): () => Promise<Metrics> {
  const { entries, values, gradients } = parameters;
  const measured = entries.filter(({ spec: { kind, shape } }) => kind === 'trainable' && shape.length > 1);
  const createNorms = (name: string, array: DeviceArray) => {
    const sumsOfSquares = vectorMath.sumsOfSquares(measured.map(({ offset, length }) => array.part(offset, offset + length)));
    return async (): Promise<[string, number][]> => {
      const sums = await sumsOfSquares();
      const byLayer = new Map<string, number>();
      measured.forEach(({ spec: { layer } }, i) => byLayer.set(layer, (byLayer.get(layer) ?? 0) + sums[i]!));
      return [...byLayer].map(([layer, sum]) => [`${name}/${layer}`, Number(Math.sqrt(sum).toPrecision(digits))]);
    };
  };
  const [weightNorms, gradientNorms] = [createNorms('weightNorm', values), createNorms('gradientNorm', gradients)];
  return async () => Object.fromEntries([...(await weightNorms()), ...(await gradientNorms())]);
}
