/**
 * `npm run microcontrollers`: the networks for microcontrollers that come with ablate. Runs studies/microcontrollers.yaml, chooses the best candidate of each
 * class on validation images, trains it and ResNet-8 again on all training images with every seed, writes C and TensorFlow Lite of the first seed
 * to trained_models/, and measures all of them (bench/microcontrollers.ts). A day and more of two cores; after an interruption it goes on.
 *
 *     npm run microcontrollers -- [--steps n] [--data name] [--runs-dir folder] [--output folder] [--python python] [--no-bench]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { networkFigures } from '../src/deploy/mcu/figures.ts';
import { buildNetwork } from '../src/nn/description.ts';
import type { ReportVariant } from '../src/report/report-data.ts';
import { readStudyResults } from '../src/report/study-report.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    steps: { type: 'string' },
    data: { type: 'string', default: 'cifar10' },
    'runs-dir': { type: 'string', default: 'runs' },
    output: { type: 'string', default: 'trained_models' },
    python: { type: 'string', default: 'python3' },
    bench: { type: 'boolean', default: true },
  },
});
const root = resolve(import.meta.dirname, '..');
const runsDir = resolve(values['runs-dir']);
const chosenPath = join(runsDir, 'microcontrollers-chosen.yaml');

/** What a class allows. MLPerf Tiny's reference of the large one has 512,024 bytes and 76.5 million multiply-adds: half of both. */
const classes = {
  small: { weights: 65_536, activations: 49_152, multiplyAdds: 6e6 },
  large: { weights: 256_012, activations: 131 * 1024, multiplyAdds: 38.25e6 },
} as const;
type ClassName = keyof typeof classes;
const classNames = Object.keys(classes) as ClassName[];

interface StudyText {
  name: string;
  title: string;
  dataset: string;
  baseline: Record<string, unknown>;
  factors: { readonly name: string }[];
  seeds: readonly number[];
}

mkdirSync(runsDir, { recursive: true });
const study = parse(readFileSync(join(root, 'studies/microcontrollers.yaml'), 'utf8')) as StudyText;
if (values.steps !== undefined) study.baseline = { ...study.baseline, steps: Number(values.steps), evalEvery: 0 };
study.dataset = values.data;
// Its teacher knows CIFAR-10 alone.
if (values.data !== 'cifar10') study.factors = study.factors.filter(({ name }) => !name.endsWith('taught'));
const searchPath = join(runsDir, 'microcontrollers.yaml');
writeFileSync(searchPath, stringify(study));
runStudy(searchPath);

const { variants } = readStudyResults(study.name, runsDir);
const chosen = classNames.map((name) => best(variants, name));
for (const [i, { name, accuracy }] of chosen.entries()) {
  process.stdout.write(`${classNames[i]!}: ${name}, ${(100 * accuracy!.mean).toFixed(2)}% of the validation images\n`);
}
// With the validation images among the training images, tested once.
const { val, ...baseline } = study.baseline;
if (val !== true) throw new Error('the study must choose on validation images');
const factors = study.factors.filter(({ name }) => chosen.some((variant) => variant.name === name));
writeFileSync(chosenPath, stringify({ ...study, name: 'microcontrollers-chosen', baseline, factors }));
runStudy(chosenPath);

const trained = readStudyResults('microcontrollers-chosen', runsDir).variants;
const benched: string[] = [];
for (const [name, variant] of [
  ['resnet8', trained[0]!],
  ...classNames.map((each, i) => [each, named(trained, chosen[i]!.name)]),
] as const) {
  const identifier = name as string;
  const { runs } = variant as ReportVariant;
  const paths = runs.map(({ run }) => join(runsDir, run!));
  const folder = join(values.output, `microcontroller-${identifier}`);
  mkdirSync(folder, { recursive: true });
  const data = ['--data', values.data, '--runs-dir', runsDir];
  ablate(
    'export',
    runs[0]!.run!,
    '--c',
    folder,
    '--tflite',
    join(folder, `${identifier}.tflite`),
    '--name',
    identifier,
    ...data,
    '--force',
  );
  benched.push(...paths.map((path, i) => `${identifier}_${runs[i]!.seed}=${path}`));
}
if (values.bench) node('bench/microcontrollers.ts', ...benched, '--python', values.python);

/** @throws Error if no candidate of the class keeps its limits */
function best(candidates: readonly ReportVariant[], name: ClassName): ReportVariant {
  const limits = classes[name];
  const fitting = candidates.filter((variant) => {
    if (!variant.name.startsWith(name) || variant.accuracy === undefined) return false;
    const { flashBytes, ramBytes, multiplyAdds } = networkFigures(buildNetwork(variant.network), []);
    return (
      flashBytes.weights <= limits.weights && ramBytes.activations <= limits.activations && multiplyAdds <= limits.multiplyAdds
    );
  });
  const ranked = fitting.sort((a, b) => b.accuracy!.mean - a.accuracy!.mean);
  if (ranked[0] === undefined) throw new Error(`no candidate of the class ${name} keeps its limits`);
  return ranked[0];
}

function named(list: readonly ReportVariant[], name: string): ReportVariant {
  return list.find((variant) => variant.name === name)!;
}

function runStudy(path: string): void {
  ablate(
    'study',
    path,
    '--runs-dir',
    runsDir,
    '--no-latency',
    '--device',
    'm4@120',
    '-o',
    join(runsDir, 'reports', path.includes('chosen') ? 'chosen' : 'search'),
  );
}

function ablate(...args: readonly string[]): void {
  node('src/cli/main.ts', ...args);
}

function node(script: string, ...args: readonly string[]): void {
  execFileSync(process.execPath, ['--import', 'tsx', join(root, script), ...args], { stdio: 'inherit' });
}
