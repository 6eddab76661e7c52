import type { LayerOf } from '../../nn/layer.ts';
import { sizeOf } from '../../nn/shape.ts';
import { fillDropoutMask } from '../dropout.ts';
import type { ForwardOptions } from '../engine.ts';
import { only, type ReferenceLayer } from './layer.ts';

/** to += values */
function addTo(to: Float64Array, values: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i]! += values[i]!;
}

function dropoutMask(layer: LayerOf<'dropout'>, batchSize: number, draws: ForwardOptions): Float32Array {
  const exampleSize = sizeOf(layer.outputShape);
  const { seed, step, firstExample = 0 } = draws;
  const mask = new Float32Array(batchSize * exampleSize);
  fillDropoutMask(mask, layer.name, layer.attributes.rate, { seed, step, firstElement: firstExample * exampleSize });
  return mask;
}

export const dropout: ReferenceLayer<'dropout'> = {
  /** y = mask * x in training, x otherwise */
  forward({ layer, batchSize, mode, inputs, output: y }) {
    y.set(only(inputs));
    if (!mode.training) return;
    const mask = dropoutMask(layer, batchSize, mode.draws);
    for (let i = 0; i < y.length; i++) y[i]! *= mask[i]!;
  },

  /** dx = mask * dy */
  backward({ layer, batchSize, mode, outputGradient: dy, inputGradients }) {
    const mask = dropoutMask(layer, batchSize, mode.draws);
    addTo(
      only(inputGradients),
      dy.map((gradient, i) => mask[i]! * gradient),
    );
  },
};

export const scale: ReferenceLayer<'scale'> = {
  /** y = factor * x */
  forward({ layer, inputs, output: y }) {
    y.set(only(inputs).map((x) => layer.attributes.factor * x));
  },

  /** dx = factor * dy */
  backward({ layer, outputGradient, inputGradients }) {
    addTo(
      only(inputGradients),
      outputGradient.map((dy) => layer.attributes.factor * dy),
    );
  },
};

/** Where the factor of element i lies: with the element, or one for the pixels of a channel. */
function factorIndex(x: Float64Array, factor: Float64Array): (i: number) => number {
  const shares = x.length / factor.length;
  return (i) => Math.floor(i / shares);
}

export const multiply: ReferenceLayer<'multiply'> = {
  /** y = x * g, where a factor g may be that of all pixels of a channel */
  forward({ inputs, output: y }) {
    const [x, g] = inputs as readonly [Float64Array, Float64Array];
    const at = factorIndex(x, g);
    for (let i = 0; i < y.length; i++) y[i] = x[i]! * g[at(i)]!;
  },

  /** dx = dy * g; dg = sum of dy * x over the elements with that factor */
  backward({ inputs, outputGradient: dy, inputGradients }) {
    const [x, g] = inputs as readonly [Float64Array, Float64Array];
    const [dx, dg] = inputGradients as readonly [Float64Array, Float64Array];
    const at = factorIndex(x, g);
    for (let i = 0; i < dy.length; i++) {
      dx[i]! += dy[i]! * g[at(i)]!;
      dg[at(i)]! += dy[i]! * x[i]!;
    }
  },
};

export const add: ReferenceLayer<'add'> = {
  /** y = sum of the inputs */
  forward({ inputs, output }) {
    for (const x of inputs) addTo(output, x);
  },

  /** dx = dy, for each input */
  backward({ outputGradient, inputGradients }) {
    for (const dx of inputGradients) addTo(dx, outputGradient);
  },
};
