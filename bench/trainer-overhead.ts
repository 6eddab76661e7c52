/**
 * What everything around the bare step costs, and whether memory stays flat: `train()` with its loader, optimizer, records and
 * progress, against forward and backward alone, in turn in one process; then resident memory over many steps.
 *
 *     npx tsx bench/trainer-overhead.ts [--model alex2] [--steps 100] [--rounds 5] [--memory-steps 2000] [--threads 2]
 *                                       [--out docs/results/trainer-overhead.json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadDataset } from '../src/user/dataset.ts';
import { createOnednnEngine } from '../src/engine/onednn/engine.ts';
import { buildModel } from '../src/models/registry.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { resolveConfig } from '../src/train/config.ts';
import { initializeParameters } from '../src/train/initialize.ts';
import { train } from '../src/train/train.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';
import { percentile } from '../src/util/percentile.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'alex2' },
    steps: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    'memory-steps': { type: 'string', default: '2000' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: 'docs/results/trainer-overhead.json' },
  },
});
const threads = Number(options.threads);
const engine = createOnednnEngine({ threads });
const dataset = await loadDataset('cifar10').catch(() => loadDataset('synthetic'));
const runsFolder = mkdtempSync(join(tmpdir(), 'ablate-overhead-'));

/** Median milliseconds of `train`, from one step's end to the next, records and all; and resident bytes on the way. */
async function trained(steps: number): Promise<{ ms: number; residentMegabytes: number[] }> {
  const config = resolveConfig({ model: options.model, dataset: dataset.name, steps, threads, evalEvery: 0, saveEvery: 0 });
  const times: number[] = [];
  const residentMegabytes: number[] = [];
  let before = performance.now();
  await train({
    config,
    engine,
    dataset,
    record: { runsFolder },
    hooks: {
      onStep: ({ step }) => {
        const now = performance.now();
        times.push(now - before);
        before = now;
        if (step % 100 === 0) residentMegabytes.push(process.memoryUsage.rss() / 1e6);
      },
    },
  });
  return { ms: percentile(times.slice(10), 0.5), residentMegabytes };
}

const network = buildModel(options.model, { input: 24 });
const plan = await engine.compileTraining(network, { batchSize: 128 });
await initializeParameters(plan.parameters, 1, { type: 'model' });
plan.input.fill(0.5);
await plan.outputGradient.write(new Float32Array(plan.outputGradient.length).fill(1e-4));

/** Median milliseconds of forward and backward and nothing else. */
function bare(steps: number): number {
  const times = Array.from({ length: steps }, (_, step) => {
    const before = performance.now();
    plan.forward({ seed: 1, step });
    plan.backward();
    return performance.now() - before;
  });
  return percentile(times.slice(10), 0.5);
}

const steps = Number(options.steps);
const rounds: { bareMs: number; trainMs: number }[] = [];
for (let i = 0; i < Number(options.rounds); i++) {
  rounds.push({ bareMs: bare(steps), trainMs: (await trained(steps)).ms });
  process.stderr.write(`${i + 1}/${options.rounds} ${JSON.stringify(rounds.at(-1))}\n`);
}
plan.dispose();
const memorySteps = Number(options['memory-steps']);
const { residentMegabytes } = memorySteps > 0 ? await trained(memorySteps) : { residentMegabytes: [] };
rmSync(runsFolder, { recursive: true });

const ratios = rounds.map(({ bareMs, trainMs }) => trainMs / bareMs);
const record = {
  what: 'training with everything included against forward and backward alone (median ms a step), and resident memory every 100 steps',
  command: `npx tsx bench/trainer-overhead.ts ${process.argv.slice(2).join(' ')}`.trim(),
  configuration: { model: options.model, batchSize: 128, inputSize: 24, steps, threads, dataset: dataset.name },
  n: rounds.length,
  environment: describeEnvironment({ threads, libraries: { onednn: engine.libraryVersion } }),
  ratio: { median: percentile(ratios, 0.5), min: Math.min(...ratios), max: Math.max(...ratios) },
  rounds,
  memory: { steps: memorySteps, residentMegabytes },
};
writeFileAtomic(options.out, `${JSON.stringify(record, null, 2)}\n`);
console.log(
  `train / bare: ${record.ratio.median.toFixed(3)}; resident ${residentMegabytes.at(1)?.toFixed(0)} to ${residentMegabytes.at(-1)?.toFixed(0)} MB`,
);
