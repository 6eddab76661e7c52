/** The best accuracy on CIFAR-10 that there is a record of, for each model as it is by default. */

export interface BestAccuracy {
  /** Of the test images, as a fraction; mean over the runs. */
  readonly accuracy: number;
  readonly runs: number;
  readonly recipe: string;
  readonly steps: number;
  /** Side of the images that the network saw, in pixels. */
  readonly inputSize: number;
}

// Written by npm run results: all below.
export const bestAccuracies: Readonly<Record<string, BestAccuracy>> = {
  tuto: { accuracy: 0.8726, runs: 3, recipe: 'modern', steps: 30000, inputSize: 24 },
  alex0: { accuracy: 0.8212, runs: 1, recipe: '2017', steps: 10000, inputSize: 24 },
  alex1: { accuracy: 0.8127, runs: 1, recipe: '2017', steps: 10000, inputSize: 24 },
  alex2: { accuracy: 0.8208, runs: 1, recipe: '2017', steps: 10000, inputSize: 24 },
  alex3: { accuracy: 0.8199, runs: 1, recipe: '2017', steps: 10000, inputSize: 24 },
  alex4: { accuracy: 0.8762, runs: 2, recipe: 'modern', steps: 30000, inputSize: 24 },
  nin0: { accuracy: 0.7171, runs: 1, recipe: '2017', steps: 10000, inputSize: 24 },
  nin1: { accuracy: 0.7229, runs: 2, recipe: '2017', steps: 10000, inputSize: 24 },
  nin2: { accuracy: 0.9026, runs: 1, recipe: 'modern', steps: 18000, inputSize: 24 },
  squeeze0: { accuracy: 0.683, runs: 2, recipe: '2017', steps: 10000, inputSize: 24 },
  squeeze1: { accuracy: 0.888, runs: 2, recipe: 'modern', steps: 30000, inputSize: 24 },
  xception: { accuracy: 0.9085, runs: 1, recipe: 'modern', steps: 18000, inputSize: 24 },
  air94: { accuracy: 0.9403, runs: 1, recipe: 'airbench', steps: 476, inputSize: 32 },
  resnet8: { accuracy: 0.8636, runs: 1, recipe: 'modern', steps: 40000, inputSize: 32 },
  mobilenetv3: { accuracy: 0.9101, runs: 1, recipe: 'modern', steps: 30000, inputSize: 24 },
};
