/** Compares a frozen file in ONNX Runtime with the engine, on the images of a data set. */
import type { Dataset } from '../src/data/dataset.ts';
import { createTransform, plainView } from '../src/data/transform.ts';
import type { Engine } from '../src/engine/engine.ts';
import { loadInto } from '../src/train/weights.ts';
import { createTally } from '../src/train/tally.ts';
import { relativeDifference } from '../src/deploy/agreement.ts';
import { evaluateFrozen } from '../src/deploy/evaluate.ts';
import type { Frozen } from '../src/deploy/freeze.ts';
import { openSession } from '../src/deploy/onnx-runtime.ts';

export interface CompareOptions {
  readonly frozen: Frozen;
  readonly engine: Engine;
  readonly dataset: Dataset;
  /** The first so many test images. */
  readonly limit: number;
  /** Divides `limit`. */
  readonly batchSize: number;
}

export interface Comparison {
  readonly images: number;
  /** Largest over the batches: the largest difference of two logits relative to the batch's largest logit. */
  readonly relativeDifference: number;
  /** Images whose largest logit is another. */
  readonly differentLabels: number;
  /** Fraction of images classified correctly: by the engine, and by the frozen file. */
  readonly engineAccuracy: number;
  readonly frozenAccuracy: number;
}

/** Both see the first test images in the same batches. */
export async function compareWithEngine({ frozen, engine, dataset, limit, batchSize }: CompareOptions): Promise<Comparison> {
  const { metadata, weights, classifier } = frozen;
  const { classes } = classifier;
  const transform = createTransform(dataset.shape, classifier.preprocessing);
  const plan = await engine.compileInference(classifier.network, { batchSize });
  const session = await openSession(frozen.encode(null), metadata.model);
  try {
    await loadInto(plan.parameters, plan.parameters.values, weights, '', metadata.model);
    const tally = createTally(dataset.classes);
    const frozenLogits: Float32Array[] = [];
    let start = 0;
    let difference = 0;
    let differentLabels = 0;
    const evaluation = await evaluateFrozen({
      session,
      metadata,
      dataset,
      split: 'test',
      batchSize,
      limit,
      onLogits: (logits) => frozenLogits.push(logits.slice()),
    });
    const { images, labels } = dataset.test;
    for (const logits of frozenLogits) {
      for (let n = 0; n < batchSize; n++) {
        transform.evaluation(images, start + n, plainView, plan.input, n * transform.inputLength);
      }
      plan.forward();
      const said = await plan.output.read();
      difference = Math.max(difference, relativeDifference(said, logits));
      for (let n = 0; n < batchSize; n++) {
        const own = said.subarray(n * classes.length, (n + 1) * classes.length);
        const other = logits.subarray(n * classes.length, (n + 1) * classes.length);
        tally.add(labels[start + n]!, own);
        if (largest(own) !== largest(other)) differentLabels++;
      }
      start += batchSize;
    }
    return {
      images: start,
      relativeDifference: difference,
      differentLabels,
      engineAccuracy: tally.evaluation('test').accuracy,
      frozenAccuracy: evaluation!.accuracy,
    };
  } finally {
    await session.dispose();
    plan.dispose();
  }
}

function largest(logits: Float32Array): number {
  return logits.indexOf(Math.max(...logits));
}
