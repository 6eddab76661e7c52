import { describe, expect, test } from 'vitest';
import { fill } from '../../test/arrays.ts';
import { defineLayer, type CustomBackward, type CustomForward, type CustomLayer } from '../nn/custom.ts';
import { NetworkBuilder, type Network } from '../nn/network.ts';
import { AblateError, ConfigurationError } from '../util/errors.ts';
import { checkCustomGradients } from './custom-gradients.ts';
import type { TrainingPlan } from './engine.ts';
import { createOnednnEngine } from './onednn/engine.ts';
import { probeOnednn } from './onednn/probe.ts';
import { referenceEngine } from './reference/engine.ts';

/** y = slope[c] * x where x < 0, else x: a kink, and a parameter for each channel. */
const prelu: CustomLayer = {
  name: 'prelu',
  parameters: ({ inputShapes: [shape] }) => [{ name: 'slope', shape: [shape![0]!], initial: 0.25 }],
  forward({ inputs: [x], parameters: { slope }, output: y, inputShapes: [shape] }) {
    const [channels, height, width] = shape as readonly [number, number, number];
    const channelOf = (i: number) => Math.floor(i / (height * width)) % channels;
    for (let i = 0; i < y.length; i++) y[i] = x![i]! < 0 ? slope![channelOf(i)]! * x![i]! : x![i]!;
  },
  backward({
    inputs: [x],
    parameters: { slope },
    outputGradient: dy,
    inputGradients: [dx],
    parameterGradients,
    inputShapes: [shape],
  }) {
    const [channels, height, width] = shape as readonly [number, number, number];
    const channelOf = (i: number) => Math.floor(i / (height * width)) % channels;
    for (let i = 0; i < dy.length; i++) {
      const isNegative = x![i]! < 0;
      dx![i] = dy[i]! * (isNegative ? slope![channelOf(i)]! : 1);
      if (isNegative) parameterGradients['slope']![channelOf(i)]! += dy[i]! * x![i]!;
    }
  },
};

function networkOf(layer: CustomLayer, shape: readonly number[] = [3, 8, 8]): Network {
  const b = new NetworkBuilder('net', shape);
  return b.build(b.dense('logits', b.custom('own', b.input, layer), { features: 2 }));
}

/** With what its functions make changed afterwards. */
function changed(change: { forward?: (pass: CustomForward) => void; backward?: (pass: CustomBackward) => void }): CustomLayer {
  return {
    ...prelu,
    forward(pass) {
      prelu.forward(pass);
      change.forward?.(pass);
    },
    backward(pass) {
      prelu.backward(pass);
      change.backward?.(pass);
    },
  };
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AblateError) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const check = (layer: CustomLayer) => messageOf(() => checkCustomGradients(networkOf(layer)));
const own = 'layer "own" (custom layer "prelu")';

describe('gradients of custom layers', () => {
  test('that are right: how many were compared, and how well they agree', () => {
    const [checked, ...others] = checkCustomGradients(networkOf(prelu));
    expect(others).toEqual([]);
    // 24 elements and a direction of the input; 3 elements and a direction of the slopes.
    expect(checked).toMatchObject({ layer: 'own', type: 'prelu', compared: 24 + 1 + 3 + 1 });
    expect(checked!.error).toBeLessThan(1e-6);
    const b = new NetworkBuilder('plain', [3, 4, 4]);
    expect(checkCustomGradients(b.build(b.dense('logits', b.input, { features: 2 })))).toEqual([]);
  });

  test('of functions that round to float32 inside', () => {
    const rounding: CustomLayer = {
      name: 'rounding',
      forward: ({ inputs: [x], output: y }) => x!.forEach((value, i) => (y[i] = Math.fround(Math.fround(Math.sin(value)) * 3))),
      backward: ({ inputs: [x], outputGradient: dy, inputGradients: [dx] }) =>
        x!.forEach((value, i) => (dx![i] = Math.fround(dy[i]! * 3 * Math.cos(value)))),
    };
    expect(checkCustomGradients(networkOf(rounding))[0]!.error).toBeLessThan(1e-3);
  });

  test('that are wrong everywhere, by a hundredth', () => {
    const message = check(
      changed({ backward: ({ inputGradients: [dx] }) => dx!.forEach((value, i) => (dx![i] = 1.01 * value)) }),
    );
    const parts =
      /^layer "own" .*: the gradient of its input is (\S+) at (\[.*\]), and central differences of its forward are (\S+)$/;
    const [, analytic, element, numeric] = parts.exec(message)!;
    expect(Number(analytic) / Number(numeric)).toBeCloseTo(1.01, 4);
    expect(element).toMatch(/^\[[01], [0-2], [0-7], [0-7]\]$/);
  });

  test('that are wrong in one element, which is found', () => {
    // Element 101 of 384: none of the 24 that are looked at one by one. Of 3x8x8: 101 = 64 + 4 * 8 + 5.
    const message = check(changed({ backward: ({ inputGradients: [dx] }) => (dx![101]! += 2) }));
    expect(message).toMatch(`${own}: the gradient of its input is `);
    expect(message).toContain(' at [0, 1, 4, 5], and central differences of its forward are ');
  });

  test('that are wrong for a parameter', () => {
    const message = check(changed({ backward: ({ parameterGradients }) => (parameterGradients['slope']![1] = 0.5) }));
    expect(message).toMatch(`${own}: the gradient of own.slope is 0.5 at [1], and central differences of its forward are `);
  });

  test('of a layer with several inputs: which one', () => {
    const difference: CustomLayer = {
      name: 'difference',
      forward: ({ inputs: [a, b], output: y }) => y.forEach((_, i) => (y[i] = a![i]! - b![i]!)),
      backward: ({ outputGradient: dy, inputGradients: [da, db] }) => dy.forEach((value, i) => (da![i] = db![i] = value)),
    };
    const b = new NetworkBuilder('net', [5]);
    const d = b.dense('d', b.input, { features: 5 });
    const network = b.build(b.custom('own', [b.input, d], difference));
    expect(messageOf(() => checkCustomGradients(network))).toMatch(
      'layer "own" (custom layer "difference"): the gradient of its input 1 is ',
    );
  });
});

describe('functions that do what they must not', () => {
  test('numbers that are not finite, of the output and of gradients', () => {
    expect(check(changed({ forward: ({ output }) => (output[70] = NaN) }))).toBe(
      `${own}: its output is NaN at [0, 1, 0, 6], though all that it was given is finite`,
    );
    expect(check(changed({ backward: ({ inputGradients: [dx] }) => (dx![200] = Infinity) }))).toBe(
      `${own}: the gradient of its input is Infinity at [1, 0, 1, 0], though all that it was given is finite`,
    );
    expect(check(changed({ backward: ({ parameterGradients }) => (parameterGradients['slope']![2] = NaN) }))).toBe(
      `${own}: the gradient of own.slope is NaN at [2], though all that it was given is finite`,
    );
  });

  test('errors of their own', () => {
    const forward = () => {
      throw new TypeError('x is undefined');
    };
    expect(check(changed({ forward }))).toBe(`${own}: its forward threw x is undefined`);
    expect(check(changed({ backward: forward }))).toBe(`${own}: its backward threw x is undefined`);
  });

  test('other outputs for the same input, and writing to what they are given', () => {
    let calls = 0;
    expect(check(changed({ forward: ({ output }) => (output[0]! += calls++) }))).toBe(
      `${own}: its forward gives another output for the same input`,
    );
    expect(check(changed({ backward: ({ inputs: [x] }) => (x![3] = 0) }))).toBe(
      `${own}: its functions change their inputs or parameters`,
    );
  });
});

const engines = [referenceEngine, ...(probeOnednn().ok ? [createOnednnEngine({ threads: 1 })] : [])];

describe.each(engines.map((engine) => [engine.name, engine] as const))('the engine %s', (_, engine) => {
  const compiled = async (layer: CustomLayer, use: (plan: TrainingPlan) => void | Promise<void>) => {
    const plan = await engine.compileTraining(networkOf(layer), { batchSize: 2 });
    await fill(plan.parameters.values, 0.5);
    plan.input.forEach((__, i, all) => (all[i] = Math.sin(i)));
    try {
      await use(plan);
    } finally {
      plan.dispose();
    }
  };

  test('lays a number that is not finite to the layer that makes it, and to no layer that was given it', async () => {
    const draws = { seed: 0, step: 0 };
    await compiled(changed({ forward: ({ output }) => (output[70] = NaN) }), (plan) => {
      expect(
        messageOf(() => {
          plan.forward(draws);
        }),
      ).toBe(`${own}: its output is NaN at [0, 1, 0, 6], though all that it was given is finite`);
      plan.input[5] = NaN;
      expect(() => {
        plan.forward(draws);
      }).not.toThrow();
    });
    await compiled(changed({ backward: ({ inputGradients: [dx] }) => (dx![1] = NaN) }), async (plan) => {
      plan.forward(draws);
      await fill(plan.outputGradient, 1);
      expect(
        messageOf(() => {
          plan.backward();
        }),
      ).toBe(`${own}: the gradient of its input is NaN at [0, 0, 0, 1], though all that it was given is finite`);
    });
  });

  test('reads the input from whatever buffer it is in', async () => {
    await compiled(prelu, async (plan) => {
      plan.forward({ seed: 0, step: 0 });
      const expected = await plan.output.read();
      const elsewhere = plan.input.slice();
      plan.input.fill(0);
      plan.bindInput(elsewhere);
      expect(plan.input).toBe(elsewhere);
      plan.forward({ seed: 0, step: 0 });
      expect(await plan.output.read()).toEqual(expected);
    });
  });

  test('refuses a network that was read, and has no functions', async () => {
    const { customLayers, ...read } = networkOf(prelu);
    expect(customLayers!.get('prelu')).toBe(prelu);
    const compile = () => engine.compileInference(read, { batchSize: 1 });
    await expect(compile()).rejects.toThrow(ConfigurationError);
    await expect(compile()).rejects.toThrow('layer "own" is the custom layer "prelu", whose functions are not here');
  });
});

test('a custom layer has a name and both functions', () => {
  expect(defineLayer(prelu)).toBe(prelu);
  expect(() => defineLayer({ ...prelu, name: '2 x' })).toThrow('the name of a custom layer (="2 x") must start with a letter');
  expect(() => defineLayer({ ...prelu, backward: undefined as never })).toThrow(
    'backward (=missing) of custom layer "prelu" must be a function: backward(pass)',
  );
});
