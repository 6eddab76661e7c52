/** The reference engine's gradients against central differences in float64: nothing it computes is taken on trust. */
import { expect, test } from 'vitest';
import { runBackward, runForward, type NamedArrays } from '../src/engine/reference/execute.ts';
import type { LayerKind } from '../src/nn/layer.ts';
import { ownBatch, type ReferenceLayer } from '../src/engine/reference/layer.ts';
import { referenceLayers, type ReferenceLayers } from '../src/engine/reference/table.ts';
import { normal, streamKey, uniform } from '../src/util/random.ts';
import {
  allLayerCases,
  caseInput,
  caseOutputGradient,
  caseParameters,
  caseSeed,
  caseStep,
  layerCases,
  relativeError,
  type LayerCase,
} from './layer-cases.ts';

const tolerance = 1e-6;
/**
 * Half the distance of a central difference: its error is of the order of step^2, its rounding of 1e-15 / step. It must also not
 * carry a ReLU or a maximum over its kink, which none of the table's fixed numbers comes near enough to.
 */
const step = 1e-6;
/**
 * Elements of each tensor, drawn at random, that are varied one by one. All vary together in a random direction besides, which finds a single wrong one
 * among thousands.
 */
const elementsChecked = 2;

const draws = { seed: caseSeed, step: caseStep };
const mode = { training: true, draws, sharedBatch: ownBatch } as const;

/** The relative error, by tensor, of the gradients of all parameters and of the input. */
function gradientErrors(layerCase: LayerCase, layers: ReferenceLayers = referenceLayers): Record<string, number> {
  const { network, batchSize } = layerCase;
  const variables = new Map([...caseParameters(network)].map(([name, values]) => [name, Float64Array.from(values)]));
  const input = Float64Array.from(caseInput(layerCase));
  const projection = Float64Array.from(caseOutputGradient(layerCase));

  // Each pass gets its own copy of the parameters: the forward pass updates running statistics.
  const forward = () => runForward(network, batchSize, copyOf(variables), input, mode, layers);
  const loss = () =>
    forward()
      .tensors.get(network.output)!
      .reduce((sum, value, i) => sum + projection[i]! * value, 0);
  const gradients = runBackward(network, forward(), copyOf(variables), projection, mode, layers);

  const errors: Record<string, number> = { input: checkTensor(input, gradients.tensors.get('input')!, loss) };
  for (const spec of network.parameters) {
    if (spec.kind !== 'trainable') continue;
    errors[spec.name] = checkTensor(variables.get(spec.name)!, gradients.parameters.get(spec.name)!, loss);
  }
  return errors;
}

function copyOf(arrays: NamedArrays): NamedArrays {
  return new Map([...arrays].map(([name, values]) => [name, values.slice()]));
}

/** The relative error of `gradient` against central differences of `loss`, which reads `variable`. */
function checkTensor(variable: Float64Array, gradient: Float64Array, loss: () => number): number {
  const directions = [randomDirection(variable.length)];
  const key = streamKey(caseSeed, 'elements');
  for (let k = 0; k < elementsChecked; k++) {
    const direction = new Float64Array(variable.length);
    direction[Math.floor(uniform(key, k) * variable.length)] = 1;
    directions.push(direction);
  }
  const analytic = directions.map((direction) => direction.reduce((sum, extent, i) => sum + extent * gradient[i]!, 0));
  const numeric = directions.map((direction) => directionalDerivative(variable, direction, loss));
  return relativeError(analytic, numeric);
}

function randomDirection(length: number): Float64Array {
  const key = streamKey(caseSeed, 'direction');
  return Float64Array.from({ length }, (_, i) => normal(key, i) / Math.sqrt(length));
}

/** (loss(v + step * d) - loss(v - step * d)) / (2 * step) */
function directionalDerivative(variable: Float64Array, direction: Float64Array, loss: () => number): number {
  const centre = variable.slice();
  const lossAt = (distance: number) => {
    for (let i = 0; i < variable.length; i++) variable[i] = centre[i]! + distance * direction[i]!;
    return loss();
  };
  const derivative = (lossAt(step) - lossAt(-step)) / (2 * step);
  variable.set(centre);
  return derivative;
}

test.each(allLayerCases)('%s: %s', (_kind, _name, layerCase) => {
  for (const [variable, error] of Object.entries(gradientErrors(layerCase))) {
    expect(error, `gradient of ${variable}`).toBeLessThanOrEqual(tolerance);
  }
});

/** The table with one rule made wrong: that layer's input gradients, or only the element `at` of them, are too large by `part` of themselves. */
function withWrongBackward(kind: LayerKind, part: number, at?: number): ReferenceLayers {
  const right = referenceLayers[kind] as ReferenceLayer<LayerKind>;
  const wrong: ReferenceLayer<LayerKind> = {
    ...right,
    backward(call) {
      const before = call.inputGradients.map((gradient) => gradient.slice());
      right.backward(call);
      call.inputGradients.forEach((gradient, input) => {
        for (let i = 0; i < gradient.length; i++) {
          if (i === (at ?? i)) gradient[i]! += part * (gradient[i]! - before[input]![i]!);
        }
      });
    },
  };
  return { ...referenceLayers, [kind]: wrong };
}

test.each(Object.keys(referenceLayers) as LayerKind[])('the check finds a wrong backward rule of %s', (kind) => {
  const errors = gradientErrors(layerCases[kind][0]!, withWrongBackward(kind, 1e-3));
  expect(Math.max(...Object.values(errors))).toBeGreaterThan(100 * tolerance);
});

test('the check finds one wrong element of 640', () => {
  const layerCase = layerCases.conv.find(({ name }) => name === 'conv 3x3, 16 to 32 channels')!;
  const errors = gradientErrors(layerCase, withWrongBackward('conv', 1e-2, 123));
  expect(Math.max(...Object.values(errors))).toBeGreaterThan(100 * tolerance);
});

test('frozen weights get a gradient of zero', () => {
  const layerCase = layerCases.conv.find(({ name }) => name === 'conv with frozen weights')!;
  const { network, batchSize } = layerCase;
  const parameters = new Map([...caseParameters(network)].map(([name, values]) => [name, Float64Array.from(values)]));
  const activations = runForward(network, batchSize, parameters, Float64Array.from(caseInput(layerCase)), mode);
  const gradients = runBackward(network, activations, parameters, Float64Array.from(caseOutputGradient(layerCase)), mode);
  expect(gradients.parameters.get('c.weight')!.every((value) => value === 0)).toBe(true);
  expect(gradients.parameters.get('c.bias')!.some((value) => value !== 0)).toBe(true);
});
