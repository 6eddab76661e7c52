/** A comparison with everything that a report can show, without any training. */
import type { ReportData, ReportVariant } from '../src/report/report-data.ts';
import type { Contrast } from '../src/study/contrast.ts';
import { estimateEffects } from '../src/study/effects.ts';
import { outcomesOf } from '../src/report/study-report.ts';
import { changedKeys } from '../src/report/gather.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { createClassifier } from '../src/train/classifier.ts';
import { resolveConfig } from '../src/train/config.ts';
import type { ConfigOverrides } from '../src/train/config-schema.ts';
import { describeNetwork } from '../src/nn/description.ts';
import { countOperations, countParameters } from '../src/nn/network.ts';
import { normal, streamKey } from '../src/util/random.ts';

export const classes = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

const changes: readonly (readonly [name: string, effect: number, set: ConfigOverrides])[] = [
  ['baseline', 0, {}],
  ['no augmentation (24x24 centre)', -0.026, { augment: false, inputSize: 24 }],
  ['no moving average', -0.024, { movingAverage: false }],
  ['no LRN', 0.001, { 'model.lrn': false }],
  ['initialization: truncated normal with a deviation of 0.05', -0.004, { initializer: { type: 'truncatedNormal' } }],
  ['learning rate: 0.05', -0.011, { learningRate: 0.05 }],
  ['one dense layer less (alex3)', 0, { model: 'alex3' }],
  ['more filters, smaller kernel (alex4)', 0.012, { model: 'alex4' }],
  ['nin2', 0.045, { model: 'nin2' }],
  ['squeeze1 & <co>', -0.01, { model: 'squeeze1' }],
];

/** @param seeds how many; one gives no intervals */
export function sampleReport(seeds = 4): ReportData {
  const key = streamKey(1, 'sample report');
  const facts = { shape: [3, 32, 32], classes } as const;
  const reference = resolveConfig({ model: 'tuto' });
  const variants = changes.map(([name, effect, set], v): ReportVariant => {
    const config = resolveConfig({ model: 'tuto' }, set);
    const { network } = createClassifier(config, facts);
    const parameters = countParameters(network.parameters);
    const runs = Array.from({ length: seeds }, (_, s) => {
      const accuracy = 0.8 + effect + 0.003 * normal(key, s) + 0.002 * normal(key, 100 + s * changes.length + v);
      const curve = Array.from({ length: 10 }, (_, i) => ({
        step: 1000 * (i + 1),
        accuracy: accuracy * (1 - 0.4 * Math.exp(-(i + 1) / 2.5)),
      }));
      return {
        ...{ run: `${config.model}/${v * seeds + s + 1}`, seed: s + 1, state: 'finished' as const, reason: undefined },
        ...{
          accuracy,
          loss: 0.6 - effect,
          step: 10_000,
          trainingSeconds: 600 + s,
          curve: [...curve.slice(0, -1), { step: 10_000, accuracy }],
          lossCurve: curve.map(({ step }) => ({ step, loss: 0.5 - effect + 1.8 * Math.exp(-step / 2500) + 0.01 * s })),
        },
      };
    });
    const accuracies = runs.map(({ accuracy }) => accuracy);
    const mean = accuracies.reduce((sum, value) => sum + value, 0) / seeds;
    return {
      name,
      config,
      network: describeNetwork(network),
      quantization: undefined,
      changes: changedKeys(config, reference),
      runs,
      accuracy: { mean, deviation: seeds < 2 ? undefined : 0.003, count: seeds },
      cost: {
        parameters,
        operations: countOperations(network),
        bytes: 4 * parameters,
        trainingSeconds: 600,
        latencyMs: countOperations(network) / 5e7,
      },
      confusion: classes.map((_, i) => classes.map((_, j) => (i === j ? 800 : (i * j) % 7 === 3 ? 60 : 10))),
    };
  });
  const contrasts = variants.slice(1).map(({ name }): Contrast => ({
    ...{ kind: 'difference', factor: name, level: name, reference: 'baseline' },
    weights: [
      { variant: name, weight: 1 },
      { variant: 'baseline', weight: -1 },
    ],
  }));
  return {
    name: 'sample',
    title: 'What each part of the tutorial model buys',
    description: 'A study that was never run.\n\nWith <two> paragraphs & "quotes".',
    design: 'the baseline, and one change at a time',
    dataset: 'cifar10',
    synthetic: false,
    split: 'test',
    classes,
    shape: [3, 32, 32],
    seeds: variants[0]!.runs.map(({ seed }) => seed),
    reference: 'baseline',
    variants,
    effects: estimateEffects(contrasts, outcomesOf(variants)),
    environments: [describeEnvironment({ threads: 2, libraries: { onednn: '2.6.3' } })],
    command: 'npx ablate study studies/sample.yaml',
    studyText: 'name: sample\n',
    notes: [],
    costNotes: [],
  };
}
