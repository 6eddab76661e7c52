/** The trained networks that come with ablate have the accuracy that is said of them, on all test images of CIFAR-10. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadCifar10 } from '../src/data/cifar10.ts';
import { createEvaluator } from '../src/train/evaluate.ts';
import { readSavedModel } from '../src/train/saved-model.ts';
import { loadWeights, preferredWeights } from '../src/train/weights.ts';
import { environmentVariable } from '../src/util/env.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { skippable } from './skippable.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = readdirSync(`${root}/trained_models`)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length));

const realImages = environmentVariable('ABLATE_DATA_DIR') !== undefined;
const engine = realImages ? await loadOnednn() : undefined;
const whyNot = !realImages ? 'ABLATE_DATA_DIR does not say where CIFAR-10 is' : engine === undefined ? noOnednn : undefined;

describe.skipIf(whyNot)(skippable('on the real test images, with oneDNN', whyNot), () => {
  test.each(names)('%s', { timeout: 600_000 }, async (name) => {
    // Rounding differs between processors, which may turn an image whose two best logits are all but equal.
    expect(Math.abs((await accuracyOfOneView(name)) - recordedAccuracy(name))).toBeLessThan(0.0005);
  });
});

interface TrainedModel {
  readonly testAccuracy: number;
  readonly config: { readonly tta: string };
}

interface QuantizationRecord {
  readonly results: readonly { readonly file: string; readonly floatAccuracy: number }[];
}

/**
 * The accuracy of each image as it is. That of a network evaluated over several views is known too, from its frozen file, which sees one: its
 * views together would take minutes.
 */
function recordedAccuracy(name: string): number {
  const { testAccuracy, config } = readJson(`trained_models/${name}.json`) as TrainedModel;
  if (config.tta === 'none') return testAccuracy;
  const { results } = readJson('docs/results/quantization.json') as QuantizationRecord;
  return results.find(({ file }) => file === `trained_models/${name}.onnx`)!.floatAccuracy;
}

async function accuracyOfOneView(name: string): Promise<number> {
  const path = `${root}/trained_models/${name}.safetensors`;
  const { config, file, classifier } = readSavedModel(path, {});
  const dataset = await loadCifar10();
  const evaluator = await createEvaluator({
    ...{ engine: engine!, classifier: classifier!, dataset },
    ...{ split: 'test', useVal: config.val, batchSize: 100, tta: 'none' },
  });
  try {
    await loadWeights(evaluator.parameters, file, { kind: preferredWeights(file), model: config.model, source: path });
    return (await evaluator.run())!.accuracy;
  } finally {
    await evaluator.dispose();
  }
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(`${root}/${path}`, 'utf8'));
}
