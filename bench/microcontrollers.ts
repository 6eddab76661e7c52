/**
 * Whether what `ablate export` writes is what it says, for trained networks on all test images: the C code (gcc and clang, -O3) against the twin to the
 * bit, the .tflite in LiteRT (its usual and its reference kernels) and in TensorFlow Lite Micro, the integers against float32, and the C code on a
 * Cortex-M3, M4 and M7 in QEMU, with the instructions that an image takes there. Writes docs/results/microcontrollers.json, where what it says
 * of other networks stays. Nothing here needs a quiet machine.
 *
 *     node --import tsx bench/microcontrollers.ts resnet8=runs/resnet8/1 air94=trained_models/air94.safetensors [--work <folder>] [--images n]
 *       [--python <python with ai-edge-litert and tflite-micro>] [-o file.json]
 *
 * What is done is kept in the folder `--work`, by the contents of the plan and the code: started again after an interruption, it goes on from there.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { splitOf } from '../src/data/image-set.ts';
import { loadDataset } from '../src/user/dataset.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { buildPlan } from '../src/deploy/mcu/build.ts';
import { codeFiles } from '../src/deploy/mcu/c/files.ts';
import { sourceFile } from '../src/deploy/mcu/c/source.ts';
import { codeSize } from '../src/deploy/mcu/code-size.ts';
import { parseDevice } from '../src/deploy/mcu/cores.ts';
import { indexOfLargest } from '../src/deploy/mcu/evaluate.ts';
import { testVectors } from '../src/deploy/mcu/export.ts';
import { figuresOf } from '../src/deploy/mcu/figures.ts';
import type { FloatModel } from '../src/deploy/mcu/float-model.ts';
import { planMemory } from '../src/deploy/mcu/memory.ts';
import type { Plan } from '../src/deploy/mcu/plan.ts';
import { tfliteFile } from '../src/deploy/mcu/tflite/model.ts';
import { trainedFromSaved } from '../src/deploy/mcu/trained.ts';
import { createTwin } from '../src/deploy/mcu/twin.ts';
import { integerSettings } from '../src/deploy/quantization.ts';
import { drawCalibrationImages } from '../src/deploy/integers/drawn-images.ts';
import { rangeMethodOf } from '../src/deploy/integers/ranges.ts';
import { encodeModel } from '../src/deploy/onnx/schema.ts';
import { openSession, runtimeVersion } from '../src/deploy/onnx-runtime.ts';
import { centralParts, imageBatches, type LabelledBatch } from '../src/deploy/pixels.ts';
import { logitsOutput } from '../src/deploy/tensor-names.ts';
import { latestCheckpoint } from '../src/runs/checkpoint.ts';
import { describeEnvironment } from '../src/runs/environment.ts';
import { openRun } from '../src/runs/run-folder.ts';
import { readSavedModel } from '../src/train/saved-model.ts';
import { preferredWeights } from '../src/train/weights.ts';
import { check } from '../src/util/schema.ts';
import { writeFileAtomic } from '../src/util/atomic-file.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    work: { type: 'string', default: '.microcontrollers' },
    images: { type: 'string', default: '10000' },
    python: { type: 'string', default: 'python3' },
    output: { type: 'string', short: 'o', default: 'docs/results/microcontrollers.json' },
  },
});
const root = resolve(import.meta.dirname, '..');
/** The kernels that are made for clarity take a tenth of a second for an image. */
const slowImages = 500;
/** Images in QEMU. */
const boardImages = 100;
/** Between two savings. */
const chunk = 500;

interface Network {
  readonly name: string;
  readonly folder: string;
  readonly plan: Plan;
  readonly classes: readonly string[];
  readonly float: FloatModel;
  readonly dataset: Dataset;
  /** `[count, height, width, channels]`, as large as the network's input. */
  readonly pixels: Uint8Array;
  readonly labels: readonly number[];
  readonly count: number;
}

/** Images from standard input, logits to standard output. */
const runner = (name: string, prefix: string) => `
#include "${name}.h"
#include <stdio.h>

int main(void)
{
    static uint8_t image[${prefix}_HEIGHT * ${prefix}_WIDTH * ${prefix}_CHANNELS];
    int8_t logits[${prefix}_CLASSES];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        ${name}_classify(image, logits);
        fwrite(logits, 1, sizeof logits, stdout);
    }
    return 0;
}
`;

/**
 * Counts with timer 0 of the boards (25 MHz), which goes with the instructions under -icount shift=0: one a nanosecond. So a count is right to 40 of them.
 */
const boardMain = (name: string, prefix: string) => `
#include "${name}.h"
#include "${name}_test_vectors.h"
#include <stdio.h>
#include <string.h>

#define CONTROL (*(volatile uint32_t *)0x40000000u)
#define VALUE (*(volatile uint32_t *)0x40000004u)
#define RELOAD (*(volatile uint32_t *)0x40000008u)

int main(void)
{
    int8_t logits[${prefix}_CLASSES];
    int i, right = 0;
    uint32_t ticks = 0;
    RELOAD = 0xffffffffu;
    VALUE = 0xffffffffu;
    CONTROL = 1;
    for (i = 0; i < ${prefix}_TEST_VECTORS; i++) {
        const uint32_t before = VALUE;
        ${name}_classify(${name}_test_images[i], logits);
        ticks += before - VALUE;
        right += memcmp(logits, ${name}_test_logits[i], sizeof logits) == 0;
    }
    printf("%d right, %lu ticks\\n", right, (unsigned long)ticks);
    return 0;
}
`;

const known = existsSync(values.output)
  ? (JSON.parse(readFileSync(values.output, 'utf8')) as { networks: { network: string }[] }).networks
  : [];
let networks = known;
for (const given of positionals) {
  const [name, path] = given.split('=') as [string, string];
  const row = await measure(name, path);
  networks = [...networks.filter(({ network }) => network !== name), row];
  mkdirSync(dirname(values.output), { recursive: true });
  const environment = {
    ...describeEnvironment({ threads: 1, libraries: { onnxruntime: runtimeVersion() } }),
    commandLine: undefined,
  };
  const command = `node --import tsx bench/microcontrollers.ts ${positionals.join(' ')}`;
  writeFileAtomic(values.output, `${JSON.stringify({ command, environment, tools: tools(), networks }, null, 2)}\n`);
  console.log(JSON.stringify(row, null, 2));
}

async function measure(name: string, path: string) {
  const checkpoint = statSync(path).isDirectory() ? latestCheckpoint(openRun(resolve(path))) : { path };
  if (checkpoint === undefined) throw new Error(`${path} has no checkpoint`);
  const saved = readSavedModel(checkpoint.path, {});
  const trained = trainedFromSaved(saved, preferredWeights(saved.file), undefined);
  const dataset = await loadDataset(saved.config.dataset);
  const calibration = drawCalibrationImages(splitOf(dataset, 'train', saved.config.val), dataset.name, 1);
  const range = rangeMethodOf(check(integerSettings, { scheme: 'int8', calibration: 'mse' }));
  const { plan, float } = await buildPlan(trained, { images: calibration, shape: dataset.shape, range });
  const { classes } = trained.classifier;
  const tflite = tfliteFile(plan, name);
  const memory = planMemory(plan);
  const code = { name, plan, memory, classes, origin: [name] };
  // The same plan makes other logits where integers are rounded in another way, which the code shows.
  const contents = createHash('sha256').update(tflite).update(sourceFile(code)).digest('hex').slice(0, 12);
  const folder = join(values.work, `${name}-${contents}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.tflite`), tflite);
  const count = Math.min(Number(values.images), dataset.test.count);
  const { batch, labels } = imageBatches(dataset.test, dataset.shape, count, count).next().value as LabelledBatch;
  const pixels = centralParts(batch, plan.input.extent);
  writeFileSync(join(folder, 'images'), pixels);
  const network: Network = { name, folder, plan, classes, float, dataset, pixels, labels: [...labels], count };

  const size = await codeSize(code);
  const figures = figuresOf(plan, memory, size, ['m0+', 'm4', 'm33', 'm7', 'm85'].map(parseDevice));
  for (const [file, text] of codeFiles(code, testVectors(plan, dataset, boardImages))) writeFileSync(join(folder, file), text);

  const logits = await inChunks(network, 'twin', plan.output.extent.channels, twinLogits(network));
  const floats = await floatLogits(network);
  const compilers = ['gcc', 'clang'].filter(exists);
  const compiled = [];
  for (const compiler of compilers)
    compiled.push([compiler, difference(await hostLogits(network, compiler), logits, classes.length)]);
  const runtimes = [];
  for (const runtime of ['default', 'reference', 'micro'] as const) {
    const got = await tfliteLogits(network, runtime);
    runtimes.push([runtime, typeof got === 'string' ? got : difference(got, logits, classes.length)]);
  }
  const { config, step } = saved;
  return {
    network: name,
    model: config.model,
    trained: { steps: step ?? config.steps, recipe: config.recipe, seed: config.seed },
    images: count,
    accuracy: accuracyOf(logits, network),
    floatAccuracy: accuracyOf(floats, network),
    ...figures,
    /** Of all images: the part with the same label, the part of the logits that are the same, and by how much one differs at most. */
    c: Object.fromEntries(compiled) as unknown,
    tensorflowLite: Object.fromEntries(runtimes) as unknown,
    /** The smallest arena in which TensorFlow Lite Micro runs the .tflite on this machine. */
    microArenaBytes: microArena(network),
    qemu: exists('arm-none-eabi-gcc') && exists('qemu-system-arm') ? boards(network) : 'not installed',
  };
}

type Logits = Int8Array | Float32Array;

function accuracyOf(logits: Logits, { labels, count }: Network): number {
  const classes = logits.length / count;
  return labels.filter((label, i) => indexOfLargest(logits.subarray(i * classes, (i + 1) * classes)) === label).length / count;
}

function difference(got: Int8Array, expected: Int8Array, classes: number) {
  const images = got.length / classes;
  let [labels, same, largest] = [0, 0, 0];
  for (let i = 0; i < images; i++) {
    const [a, b] = [got, expected].map((each) => each.subarray(i * classes, (i + 1) * classes)) as [Int8Array, Int8Array];
    if (indexOfLargest(a) === indexOfLargest(b)) labels++;
    for (let k = 0; k < classes; k++) {
      if (a[k] === b[k]) same++;
      largest = Math.max(largest, Math.abs(a[k]! - b[k]!));
    }
  }
  return { images, sameLabel: labels / images, sameLogits: same / got.length, largestDifference: largest };
}

/** Logits of all images, made some at a time and kept. */
async function inChunks(
  { folder, count }: Pick<Network, 'folder' | 'count'>,
  what: string,
  classes: number,
  make: (first: number, end: number) => Promise<Uint8Array> | Uint8Array,
): Promise<Int8Array> {
  const path = join(folder, `${what}.logits`);
  const done = existsSync(path) ? Math.floor(statSync(path).size / classes) : 0;
  for (let first = done - (done % chunk); first < count;) {
    const end = Math.min(first + chunk, count);
    const bytes = await make(first, end);
    if (existsSync(path) && statSync(path).size > first * classes)
      writeFileSync(path, readFileSync(path).subarray(0, first * classes));
    appendFileSync(path, bytes);
    console.error(`${folder} ${what}: ${end} of ${count}`);
    first = end;
  }
  return new Int8Array(readFileSync(path).subarray(0, count * classes));
}

function twinLogits({ plan, pixels, count }: Network) {
  const twin = createTwin(plan);
  const classes = plan.output.extent.channels;
  const length = pixels.length / count;
  return (first: number, end: number): Uint8Array => {
    const logits = new Int8Array((end - first) * classes);
    for (let i = first; i < end; i++) {
      twin.run(pixels.subarray(i * length, (i + 1) * length), logits.subarray((i - first) * classes, (i - first + 1) * classes));
    }
    return new Uint8Array(logits.buffer);
  };
}

async function floatLogits({ float, dataset, count }: Network): Promise<Float32Array> {
  const session = await openSession(encodeModel(float.model), 'the network in float32', { threads: 1 });
  const all: number[] = [];
  for (const { batch } of imageBatches(dataset.test, dataset.shape, 100, count)) {
    all.push(...(await session.read(batch, [logitsOutput])).get(logitsOutput)!);
  }
  await session.dispose();
  return Float32Array.from(all);
}

async function hostLogits(network: Network, compiler: string): Promise<Int8Array> {
  const { name, folder, pixels, plan, count } = network;
  writeFileSync(join(folder, 'runner.c'), runner(name, name.toUpperCase()));
  execFileSync(compiler, ['-std=c99', '-O3', 'runner.c', `${name}.c`, '-o', `runner-${compiler}`], { cwd: folder });
  const length = pixels.length / count;
  return await inChunks(network, compiler, plan.output.extent.channels, (first, end) =>
    outputOf(join(folder, `runner-${compiler}`), [], pixels.subarray(first * length, end * length)),
  );
}

async function tfliteLogits(network: Network, runtime: 'default' | 'reference' | 'micro'): Promise<Int8Array | string> {
  const { name, folder, plan, pixels } = network;
  const count = runtime === 'default' ? network.count : Math.min(network.count, slowImages);
  const module = runtime === 'micro' ? 'tflite_micro' : 'ai_edge_litert';
  try {
    execFileSync(values.python, ['-c', `import ${module}`], { stdio: 'ignore' });
  } catch {
    return `${module} is not installed`;
  }
  const length = pixels.length / network.count;
  try {
    return await inChunks({ folder, count }, runtime, plan.output.extent.channels, async (first, end) => {
      const images = join(folder, 'some-images');
      writeFileSync(images, pixels.subarray(first * length, end * length));
      return await outputOf(values.python, [
        join(root, 'test/tflite_runtimes.py'),
        runtime,
        join(folder, `${name}.tflite`),
        images,
      ]);
    });
  } catch (error) {
    return `fails: ${(error as Error).message.trim().split('\n').at(-1)!}`;
  }
}

function microArena({ name, folder }: Network): number | null {
  try {
    const script = join(root, 'bench/tflite_arena.py');
    const printed = execFileSync(values.python, [script, join(folder, `${name}.tflite`)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number(printed.trim().split('\n').at(-1));
  } catch {
    return null;
  }
}

function outputOf(program: string, args: readonly string[], input?: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolveOutput, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const [parts, errors]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.stderr.on('data', (part: Buffer) => errors.push(part));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolveOutput(Buffer.concat(parts));
      else reject(new Error(Buffer.concat(errors).toString() || `${program} ended with ${code ?? 'a signal'}`));
    });
    child.stdin.end(input);
  });
}

function boards({ name, folder }: Network) {
  writeFileSync(join(folder, 'board.c'), boardMain(name, name.toUpperCase()));
  const cortex = join(root, 'test/cortex-m');
  const machines = { 'cortex-m3': 'mps2-an385', 'cortex-m4': 'mps2-an386', 'cortex-m7': 'mps2-an500' };
  return Object.fromEntries(
    Object.entries(machines).map(([core, board]) => {
      const flags = ['-std=c99', '-O3', `-mcpu=${core}`, '-mthumb', '--specs=rdimon.specs', '-nostartfiles'];
      const files = [join(cortex, 'startup.c'), 'board.c', `${name}.c`];
      execFileSync('arm-none-eabi-gcc', [...flags, '-T', join(cortex, 'link.ld'), ...files, '-o', `${core}.elf`], {
        cwd: folder,
      });
      const options = ['-nographic', '-icount', 'shift=0', '-semihosting-config', 'enable=on,target=native'];
      const printed = execFileSync('qemu-system-arm', ['-M', board, ...options, '-kernel', `${core}.elf`], {
        cwd: folder,
        encoding: 'utf8',
      });
      const [, right, ticks] = /(\d+) right, (\d+) ticks/.exec(printed)!;
      return [
        core,
        { images: boardImages, sameLogits: Number(right), instructionsPerImage: Math.round((Number(ticks) * 40) / boardImages) },
      ];
    }),
  );
}

function exists(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function tools(): Record<string, string> {
  const versionOf = (program: string) => execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]!;
  const programs = ['gcc', 'clang', 'arm-none-eabi-gcc', 'qemu-system-arm'].filter(exists).map((name) => [name, versionOf(name)]);
  const packages = ['ai-edge-litert', 'tflite-micro'].flatMap((name) => {
    try {
      const script = `import importlib.metadata as m; print(m.version('${name}'))`;
      return [
        [name, execFileSync(values.python, ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()],
      ];
    } catch {
      return [];
    }
  });
  return Object.fromEntries([...programs, ...packages]) as Record<string, string>;
}
