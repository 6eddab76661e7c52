/**
 * Compares the frozen file of every model, in ONNX Runtime, with ablate's engine on all 10,000 test images of CIFAR-10, and writes
 * docs/results/frozen-agreement.json. Takes some minutes and CIFAR-10; it is no timing, so the machine may be busy.
 *
 *     node --import tsx bench/frozen-agreement.ts
 */
import { mkdirSync } from 'node:fs';
import { loadCifar10 } from '../src/data/cifar10.ts';
import { compareWithEngine } from '../test/compare-with-engine.ts';
import { runtimeVersion } from '../src/deploy/onnx-runtime.ts';
import { freezeUntrained } from '../test/freeze-untrained.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { modelNames } from '../src/models/registry.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

const threads = 1;
const engine = createOnednnEngine({ threads });
const dataset = await loadCifar10();
const results = [];
for (const model of modelNames()) {
  const frozen = await freezeUntrained(engine, { model });
  const bytes = frozen.encode(null).length;
  const { parameters } = frozen.metadata;
  const comparison = await compareWithEngine({ frozen, engine, dataset, limit: dataset.test.count, batchSize: 100 });
  const { relativeDifference, differentLabels, engineAccuracy, frozenAccuracy } = comparison;
  const agrees = relativeDifference < 1e-4 && Math.abs(engineAccuracy - frozenAccuracy) * comparison.images <= 2;
  results.push({ model, parameters, bytes, ...comparison, agrees });
  const labels = `${differentLabels} labels differ`;
  console.log(`${model.padEnd(10)} difference ${relativeDifference.toExponential(1)}  ${labels}  ${agrees ? 'ok' : 'TOO FAR'}`);
}
const libraries = { onednn: engine.libraryVersion, onnxruntime: runtimeVersion() };
mkdirSync('docs/results', { recursive: true });
const environment = describeEnvironment({ threads, libraries });
const document = {
  what: 'logits of frozen files in ONNX Runtime against the engine, untrained weights, all test images of CIFAR-10',
  command: 'node --import tsx bench/frozen-agreement.ts',
  // `command` says what was run, without this machine's folders.
  environment: { ...environment, commandLine: undefined },
  results,
};
writeFileAtomic('docs/results/frozen-agreement.json', `${JSON.stringify(document, undefined, 2)}\n`);
process.exitCode = results.every((result) => result.agrees) ? 0 : 1;
