/** The networks of tensorsandbox, layer by layer, in the notation of its tables; and every setting of every model does something. */
import { describe, expect, test } from 'vitest';
import { kindOf, type Layer } from '../nn/layer.ts';
import type { Network } from '../nn/network.ts';
import { buildModel, modelDefinition, modelNames } from './registry.ts';
import type { Setting } from './settings.ts';

/**
 * `Ck-F`: convolution k x k of F filters, stride 1, SAME, then ReLU. `P`: max pool 3x3, stride 2. `M`: max pool 2x2, stride 2. `L`, `L'`:
 * local response normalization with depth radius 4 or 5. `Fn`: dense and ReLU, the last one linear. `D`: dropout. `GAP`: global average.
 * `*`: weight decay. `fire(s,a,b)`: C1-s, then C1-a and C3-b side by side.
 */
const topologies: Readonly<Record<string, string>> = {
  tuto: 'C5-64 P L C5-64 L P F384* F192* F10',
  alex0: 'C5-64 P L C3-96 L P F384* F192* F10',
  alex1: 'C5-64 P L C5-64 L P C5-64 L P F192* F10',
  alex2: 'C5-64 P C5-64 P F384* F192* F10',
  alex3: 'C5-64 P L C5-64 L P F384* F10',
  alex4: 'C5-96 P C3-96 P F384* F192* F10',
  nin0: 'C5-64 C1-64 C1-64 P C5-64 C1-64 C1-10 GAP',
  nin1: 'C5-64 C1-96 C1-96 P C5-64 C1-64 C1-10 GAP',
  nin2: 'C5-192 C1-160 C1-96 P D C5-192 C1-192 C1-192 P D C3-192 C1-192 C1-10 GAP',
  squeeze0: 'C3-64 P fire(16,64,64) fire(16,64,64) P fire(32,128,128) fire(32,128,128) C1-10 GAP',
  squeeze1: 'C3-64 P fire(32,64,64) fire(32,64,64) P fire(32,128,128) fire(32,128,128) C1-10 GAP',
  convone: "C5-64 P L' C1-32 C5-32 C1-64 L' M F384* F192* F10",
  cs231n: "C3-64* M L' F500* F10",
};

function notation(network: Network): string {
  const words: string[] = [];
  for (const layer of network.layers) {
    const word = wordFor(layer, network);
    if (word === undefined) continue;
    words.push(word);
    // The three convolutions of a fire become one word.
    const fire = /^C1-(\d+) C1-(\d+) C3-(\d+) concat$/.exec(words.slice(-4).join(' '));
    if (fire !== null) words.splice(-4, 4, `fire(${fire.slice(1).join(',')})`);
  }
  return words.join(' ');
}

function wordFor(layer: Layer, { output }: Network): string | undefined {
  const star = layer.parameters[0]?.regularized === true ? '*' : '';
  expect(layer.parameters.filter(({ regularized, role }) => regularized && role !== 'weight')).toEqual([]);
  switch (layer.kind) {
    case 'conv': {
      const { kernel, filters, ...others } = layer.attributes;
      expect(others).toMatchObject({ stride: [1, 1], groups: 1, bias: true, activation: { type: 'relu' } });
      expect(layer.outputShape.slice(1)).toEqual(layer.inputShapes[0]!.slice(1));
      expect(kernel[0]).toBe(kernel[1]);
      return `C${kernel[0]}-${filters}${star}`;
    }
    case 'dense':
      expect(layer.attributes).toMatchObject({ bias: true, activation: layer.name === output ? null : { type: 'relu' } });
      return `F${layer.attributes.features}${star}`;
    case 'maxPool': {
      const { kernel, stride } = layer.attributes;
      const pools: Readonly<Record<string, string>> = { '3,3 2,2': 'P', '2,2 2,2': 'M' };
      expect(layer.outputShape.slice(1)).toEqual(layer.inputShapes[0]!.slice(1).map((side) => Math.ceil(side / 2)));
      return pools[`${kernel.join()} ${stride.join()}`] ?? '?';
    }
    case 'lrn': {
      const { depthRadius, ...others } = layer.attributes;
      expect(others).toEqual({ bias: 1, alpha: 0.001 / 9, beta: 0.75 });
      return depthRadius === 4 ? 'L' : depthRadius === 5 ? "L'" : '?';
    }
    case 'dropout':
      expect(layer.attributes.rate).toBe(0.5);
      return 'D';
    case 'globalAvgPool':
      return 'GAP';
    case 'concat':
      return 'concat';
    case 'flatten':
      return undefined;
    default:
      return layer.kind;
  }
}

test.each(Object.entries(topologies))('%s is the network of tensorsandbox', (name, topology) => {
  const network = buildModel(name);
  expect(notation(network)).toBe(topology);
  // Xavier for weights, biases 0.
  for (const { role, initializer, kind } of network.parameters) {
    expect(kind).toBe('trainable');
    expect(initializer).toEqual(role === 'weight' ? { type: 'xavierTruncatedNormal' } : { type: 'constant', value: 0 });
  }
  expect(modelDefinition(name).weightDecay2017).toBe({ cs231n: 100, convone: 0.5 }[name] ?? 500);
});

test('air94: logits, normalizations, whitening and groups as published', () => {
  const network = buildModel('air94');
  const kinds = network.layers.map((layer) => `${kindOf(layer)} ${layer.name}`);
  const group = (i: number) => [
    ...[`conv group${i}/conv1`, `maxPool group${i}/pool`, `batchNorm group${i}/conv1/norm`, `gelu group${i}/conv1/activation`],
    ...[`conv group${i}/conv2`, `batchNorm group${i}/conv2/norm`, `gelu group${i}/conv2/activation`],
  ];
  expect(kinds.filter((kind) => !kind.startsWith('flatten'))).toEqual([
    ...['conv whitening', 'gelu whitening/activation', ...group(1), ...group(2), ...group(3)],
    ...['maxPool pool', 'dense dense', 'scale logits'],
  ]);
  for (const layer of network.layers) {
    if (layer.kind === 'batchNorm') {
      expect(layer.attributes).toEqual({ epsilon: 1e-12, momentum: 0.6, scale: false, shift: true });
    }
    if (layer.kind === 'conv' && layer.name !== 'whitening') {
      expect(layer.attributes).toMatchObject({ kernel: [3, 3], stride: [1, 1], bias: false, activation: null });
      expect(layer.outputShape.slice(1)).toEqual(layer.inputShapes[0]!.slice(1));
      expect(layer.parameters[0]!.initializer).toEqual({ type: 'dirac' });
    }
    if (layer.kind === 'scale') expect(layer.attributes).toEqual({ factor: 1 / 9 });
    if (layer.kind === 'dense') expect(layer.attributes).toEqual({ features: 10, bias: false, activation: null });
  }
});

describe('every setting changes the network', () => {
  /** What a setting needs beside it. */
  const needs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'conv3.filters': { conv3: true },
    'conv3.kernel': { conv3: true },
    'dense2.features': { dense2: true },
    'lrn.depthRadius': { lrn: true },
    'lrn.alpha': { lrn: true },
    'lrn.beta': { lrn: true },
  };

  const cases = modelNames().flatMap((model) =>
    Object.entries(modelDefinition(model).settings).map(([name, setting]) => [model, name, setting] as const),
  );

  test.each(cases)('%s: %s', (model, name, setting) => {
    const given = Object.fromEntries(
      Object.entries(needs[name] ?? {}).filter(([needed]) => Object.hasOwn(modelDefinition(model).settings, needed)),
    );
    const text = (settings: Record<string, unknown>) => JSON.stringify(buildModel(model, { settings }));
    for (const value of othersOf(setting)) expect(text({ ...given, [name]: value })).not.toBe(text(given));
  });

  function othersOf(setting: Setting): readonly unknown[] {
    if (setting.type === 'boolean') return [!setting.default];
    if (setting.type === 'choice') return setting.choices.filter((choice) => choice !== setting.default);
    return [setting.type === 'integer' ? Math.min(setting.default + 2, setting.max ?? Infinity) : setting.default / 2 + 0.01];
  }
});
