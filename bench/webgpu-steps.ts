/**
 * Training steps on the WebGPU engine: forward, loss, backward and a step of momentum, of models with the batch they are trained with; beside them what the
 * device reaches in a large matrix product, and in copying an array.
 *
 *     node --import tsx bench/webgpu-steps.ts [--steps 50] [--rounds 5] [--out docs/results/webgpu-steps.json] [model:batchSize ...]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openWebgpuEngine } from '../src/engine/webgpu/engine.ts';
import type { Engine, TrainingPlan } from '../src/engine/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { initialValues } from '../src/nn/parameter.ts';
import { NetworkBuilder, countMultiplyAdds, type Network } from '../src/nn/network.ts';
import { normal, streamKey } from '../src/util/random.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: 'string', default: '50' }, rounds: { type: 'string', default: '5' }, out: { type: 'string' } },
});
const steps = Number(options.steps);
const rounds = Number(options.rounds);
const cases = positionals.length > 0 ? positionals : ['tuto:128', 'nin2:128', 'resnet20:128', 'air94:1000'];

interface Median {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function summarize(values: readonly number[]): Median {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Milliseconds of a run, by rounds; the first is not counted. */
async function measure(run: () => void, finish: () => Promise<unknown>, runs: number): Promise<Median> {
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < runs; i++) run();
    await finish();
    if (round > 0) times.push((performance.now() - start) / runs);
  }
  return summarize(times);
}

async function fill(plan: TrainingPlan, network: Network): Promise<void> {
  const { parameters: arena } = plan;
  for (const entry of arena.entries) await arena.write(entry, initialValues(entry.spec, 1), arena.values);
  const key = streamKey(1, `input:${network.name}`);
  plan.input.forEach((_, i, all) => (all[i] = normal(key, i)));
}

async function measureSteps(engine: Engine, model: string, batchSize: number) {
  const network = buildModel(model);
  const started = performance.now();
  const plan = await engine.compileTraining(network, { batchSize });
  const compileMs = performance.now() - started;
  await fill(plan, network);
  const { parameters: arena, vectorMath } = plan;
  const [w, m] = [arena.values.part(0, arena.trainableLength), arena.allocate().part(0, arena.trainableLength)];
  const roll = vectorMath.multiplyAdd(m, [arena.gradients], m);
  const descend = vectorMath.multiplyAdd(m, [w], w);
  const labels = Uint8Array.from({ length: batchSize }, (_, i) => i % network.outputShape[0]!);
  let step = 0;
  const runs = Math.min(steps, plan.stepsInFlight);
  const ms = await measure(
    () => {
      plan.forward({ seed: 1, step: step++ });
      plan.computeLoss({ labels });
      plan.backward();
      roll([0.9, 1]);
      descend([-1e-4, 1]);
    },
    () => plan.takeLosses(),
    runs,
  );
  const gflops = (6 * countMultiplyAdds(network) * batchSize) / ms.median / 1e6;
  const { memoryBytes } = plan;
  plan.dispose();
  return { model, batchSize, msPerStep: ms, imagesPerSecond: (1000 * batchSize) / ms.median, gflops, compileMs, memoryBytes };
}

/** A dense layer of 4096 features on as many, and a copy of 256 MiB. */
async function measureCeilings(engine: Engine) {
  const size = 4096;
  const b = new NetworkBuilder('product', [size]);
  const network = b.build(b.dense('d', b.input, { features: size, bias: false }));
  const inference = await engine.compileInference(network, { batchSize: size });
  const product = await measure(
    () => inference.forward(),
    () => inference.output.part(0, 1).read(),
    5,
  );
  inference.dispose();
  const one = new NetworkBuilder('one', [4]);
  const plan = await engine.compileTraining(one.build(one.dense('d', one.input, { features: 4 })), { batchSize: 1 });
  const length = 2 ** 26;
  const [x, y] = [plan.vectorMath.allocate(length), plan.vectorMath.allocate(length)];
  const copy = plan.vectorMath.copy(x, y);
  const copied = await measure(copy, () => y.part(0, 1).read(), 5);
  plan.dispose();
  return { productGflops: (2 * size ** 3) / product.median / 1e6, copyGBPerSecond: (8 * length) / copied.median / 1e6 };
}

const engine = await openWebgpuEngine();
process.stderr.write(`${engine.description}\n`);
const ceilings = await measureCeilings(engine);
process.stderr.write(`product ${ceilings.productGflops.toFixed(0)} GFLOP/s, copy ${ceilings.copyGBPerSecond.toFixed(0)} GB/s\n`);
const results = [];
for (const each of cases) {
  const [model, batchSize] = each.split(':') as [string, string];
  const result = await measureSteps(engine, model, Number(batchSize));
  results.push(result);
  const { msPerStep, gflops, compileMs } = result;
  process.stderr.write(
    `${each}: ${msPerStep.median.toFixed(2)} ms a step (${msPerStep.min.toFixed(2)} to ${msPerStep.max.toFixed(2)}), ${gflops.toFixed(0)} GFLOP/s, compiled in ${(compileMs / 1000).toFixed(1)} s\n`,
  );
}
const record = { engine: engine.description, node: process.version, steps, rounds, ceilings, results };
engine.dispose();
if (options.out === undefined) process.stdout.write(`${JSON.stringify(record, undefined, 2)}\n`);
else writeFileSync(options.out, `${JSON.stringify(record, undefined, 2)}\n`);
