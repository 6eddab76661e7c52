/**
 * A convolution whose input needs no gradient (in training a first one) and the max pool that alone reads its output, some images at a time. Between them is the largest tensor of many small
 * networks, and neither of their backward passes needs it: by parts it stays in the cache, and memory never holds it whole.
 */
import type { LayerOf } from '../../../nn/layer.ts';
import { sizeOf } from '../../../nn/shape.ts';
import { alignment } from '../memory-planner.ts';
import { PartContext, type Lowered, type LoweringContext } from '../context.ts';
import type { Value } from '../program.ts';
import { lowerConv } from './conv.ts';
import { lowerMaxPool } from './pool.ts';

/** A thread's share of the tensor between them: a larger one is cut until its parts are half as large, and fit into a core's caches. */
const mostBytesPerThread = 4 * 1024 * 1024;

/** oneDNN sums no more gradients at once. */
const mostParts = 16;

/**
 * How many images to take at a time, a divisor of the batch: the whole batch where its tensor is small, or where no part begins at an
 * aligned address.
 *
 * @param exampleBytes of the convolution's output
 */
export function imagesPerPart(batchSize: number, exampleBytes: number, bytesPerElement: number, threads: number): number {
  const most = threads * mostBytesPerThread;
  if (batchSize * exampleBytes <= most) return batchSize;
  // A multiple of this many elements fills whole cache lines, whatever the size of an image.
  const step = alignment / bytesPerElement;
  let images = batchSize;
  for (let parts = 2; parts <= mostParts && images * exampleBytes > most / 2; parts++) {
    if (batchSize % (parts * step) === 0) images = batchSize / parts;
  }
  return images;
}

/**
 * How many images of the batch to take at a time through `conv` and its pool. The whole batch, too, where the gradient of the input is wanted, so
 * that in training only first convolutions go by parts: deeper ones gain nothing, since their kernels prepare the weights for each part anew.
 */
export function examplesAtATime(context: LoweringContext, conv: LayerOf<'conv'>): number {
  const { batchSize, settings, precision } = context;
  if (context.wantsInputGradient(conv)) return batchSize;
  const bytesPerElement = precision === 'bf16' ? 2 : 4;
  return imagesPerPart(batchSize, bytesPerElement * sizeOf(conv.outputShape), bytesPerElement, settings.threads);
}

/** Like `lowerConv`, then `lowerMaxPool`: the input is that of the convolution, and gets no gradient; the output is that of the pool. */
export function lowerPooledConv(
  context: LoweringContext,
  conv: LayerOf<'conv'>,
  pool: LayerOf<'maxPool'>,
  x: Value,
  examples: number,
): Lowered {
  const { program } = context;
  const partContext = new PartContext(context, examples);
  const parts = program.cutBatch(conv.name, x, examples).map((part) => {
    const convolved = lowerConv(partContext, conv, [part]);
    return { convolved, pooled: lowerMaxPool(partContext, pool, [convolved.output]) };
  });
  context.parameters.push(...partContext.parameters);
  const output = program.joinBatch(
    pool.name,
    parts.map(({ pooled }) => pooled.output),
  );
  return {
    output,
    backward: (gradient) => {
      const gradients = program.cutBatch(pool.name, program.inLayout(pool.name, gradient, output.descriptor), examples);
      parts.forEach(({ convolved, pooled }, i) => {
        const [convolvedGradient] = pooled.backward!(gradients[i]!, [true]);
        convolved.backward!(convolvedGradient!, [false]);
      });
      partContext.sumGradients(conv);
      return [];
    },
  };
}
