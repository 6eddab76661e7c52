import { only, type ReferenceLayer } from './layer.ts';

/** Calls `visit(input, o, i)` for each element: output element o is element i of input number `input`. */
function forEachJoined(
  inputs: readonly Float64Array[],
  batchSize: number,
  visit: (input: number, o: number, i: number) => void,
): void {
  let o = 0;
  for (let n = 0; n < batchSize; n++) {
    inputs.forEach((x, input) => {
      const exampleSize = x.length / batchSize;
      for (let i = n * exampleSize; i < (n + 1) * exampleSize; i++) visit(input, o++, i);
    });
  }
}

export const concat: ReferenceLayer<'concat'> = {
  /** y[n] = x1[n], then x2[n], ... */
  forward({ batchSize, inputs, output: y }) {
    forEachJoined(inputs, batchSize, (input, o, i) => {
      y[o] = inputs[input]![i]!;
    });
  },

  /** dx1[n], dx2[n], ... = the parts of dy[n] */
  backward({ batchSize, inputs, outputGradient: dy, inputGradients }) {
    forEachJoined(inputs, batchSize, (input, o, i) => {
      inputGradients[input]![i]! += dy[o]!;
    });
  },
};

export const flatten: ReferenceLayer<'flatten'> = {
  /** y = x: a plain tensor already lies in C, H, W order */
  forward({ inputs, output }) {
    output.set(only(inputs));
  },

  /** dx = dy */
  backward({ outputGradient: dy, inputGradients }) {
    const dx = only(inputGradients);
    for (let i = 0; i < dx.length; i++) dx[i]! += dy[i]!;
  },
};
