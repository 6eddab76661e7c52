/**
 * The trained networks that come with ablate know what they are said to know: of the first test images of CIFAR-10 as many as when all 10,000 gave the accuracy
 * that is on record, which takes minutes (`ablate eval trained_models/nin2.safetensors`).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadCifar10 } from '../src/data/cifar10.ts';
import { sliceImages } from '../src/data/image-set.ts';
import { readFrozenFile } from '../src/deploy/frozen-model.ts';
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

const images = 1500;
/** Of so many first images, each seen once, as it is. */
const right: Readonly<Record<string, number>> = {
  air94: 1408,
  alex4: 1324,
  mobilenetv3: 1378,
  nin2: 1364,
  resnet8: 1306,
  squeeze1: 1343,
  tuto: 1340,
  xception: 1389,
};

const realImages = environmentVariable('ABLATE_DATA_DIR') !== undefined;
const engine = realImages ? await loadOnednn() : undefined;
const all = realImages ? await loadCifar10() : undefined;
const whyNot = !realImages ? 'ABLATE_DATA_DIR does not say where CIFAR-10 is' : engine === undefined ? noOnednn : undefined;

describe.skipIf(whyNot)(skippable('on the real test images, with oneDNN', whyNot), () => {
  test.each(names)('%s', { timeout: 600_000 }, async (name) => {
    const count = Math.round(images * (await accuracyOfOneView(name)));
    // Rounding differs between processors, which may turn an image whose two best logits are all but equal.
    expect(Math.abs(count - right[name]!), `${count} are right`).toBeLessThanOrEqual(1);
    // Those images are as hard as all of them, but for chance.
    expect(Math.abs(count / images - accuracyOfFrozen(name))).toBeLessThan(0.03);
  });
});

interface TrainedModel {
  readonly testAccuracy: number;
  readonly config: { readonly tta: string };
}

/** On all test images, each as it is, when it was frozen. */
function accuracyOfFrozen(name: string): number {
  return readFrozenFile(`${root}/trained_models/${name}.onnx`).metadata.accuracy!.value;
}

test.each(names)('%s reached, when it was frozen, what its training had recorded', (name) => {
  const { testAccuracy, config } = JSON.parse(readFileSync(`${root}/trained_models/${name}.json`, 'utf8')) as TrainedModel;
  // Several views of each image know more than one.
  if (config.tta === 'none') expect(Math.abs(accuracyOfFrozen(name) - testAccuracy)).toBeLessThan(0.0005);
  else expect(accuracyOfFrozen(name)).toBeLessThan(testAccuracy);
});

async function accuracyOfOneView(name: string): Promise<number> {
  const path = `${root}/trained_models/${name}.safetensors`;
  const { config, file, classifier } = readSavedModel(path, {});
  const dataset = { ...all!, test: sliceImages(all!.test, 0, images) };
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
