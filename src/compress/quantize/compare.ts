/** A float file and the one that was made of it, on the test set. */
import type { Dataset } from '../../data/dataset.ts';
import { evaluateFile } from '../../deploy/evaluate.ts';
import type { FrozenMetadata } from '../../deploy/metadata.ts';

export interface CompareOptions {
  /** The bytes of two files of the same network. */
  readonly float: Uint8Array;
  readonly quantized: Uint8Array;
  readonly metadata: FrozenMetadata;
  readonly dataset: Dataset;
  readonly threads: number;
}

export interface FileComparison {
  readonly images: number;
  /** Fractions of the images that are labelled correctly. */
  readonly floatAccuracy: number;
  readonly accuracy: number;
  /** Fraction of the images to which both give the same label. */
  readonly agreement: number;
}

/** Runs both files over every test image. @throws DataError if the data set does not fit them */
export async function compareOnTest({ float, quantized, ...options }: CompareOptions): Promise<FileComparison> {
  const first = await predict(float, options);
  const second = await predict(quantized, options);
  const images = first.labels.length;
  const same = first.labels.filter((label, i) => label === second.labels[i]).length;
  return { images, floatAccuracy: first.accuracy, accuracy: second.accuracy, agreement: same / images };
}

async function predict(bytes: Uint8Array, options: Omit<CompareOptions, 'float' | 'quantized'>) {
  const classes = options.metadata.classes.length;
  const labels: number[] = [];
  const onLogits = (logits: Float32Array) => {
    for (let start = 0; start < logits.length; start += classes) {
      const own = logits.subarray(start, start + classes);
      labels.push(own.indexOf(Math.max(...own)));
    }
  };
  const evaluation = await evaluateFile(bytes, { ...options, split: 'test', onLogits });
  return { labels, accuracy: evaluation!.accuracy };
}
