/** The package as it is published: built, packed, and used from an empty folder by a TypeScript program and by `npx ablate`. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { extract, list } from 'tar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiExamples } from './api-examples.ts';
import { browserFlags, browserPath, whyNoBrowser } from './browser.ts';
import { loadOnednn, noOnednn } from './load-onednn.ts';
import { writeNoiseImages } from './noise-images.ts';
import { skippable } from './skippable.ts';

const root = join(import.meta.dirname, '..');
const modules = join(root, 'node_modules');
const folder = mkdtempSync(join(tmpdir(), 'ablate-package-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'program');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
};
const tsc = join(modules, 'typescript/bin/tsc');
const reason = (await loadOnednn()) === undefined ? noOnednn : undefined;

/** A convolution, a residual, and squeeze and excitation. */
const net = `
import { count, defineModel } from 'ablate';

export default defineModel({
  name: 'walk',
  settings: { filters: count(4, 'filters of the convolutions') },
  layers(b, { filters }, classes) {
    const x = b.conv('conv1', b.input, { kernel: 3, filters, stride: 2, activation: 'relu' });
    const y = b.conv('conv2', x, { kernel: 3, filters });
    const weights = b.dense('weights', b.globalAvgPool('mean', y), { features: filters, activation: 'sigmoid' });
    const sum = b.add('sum', x, b.multiply('weighed', y, weights));
    return b.dense('logits', b.globalAvgPool('average', sum), { features: classes });
  },
});
`;

const study = `
name: widths
dataset: images:images
baseline: { model: ./net.ts, batchSize: 4, steps: 1 }
design: one-at-a-time
seeds: 1
factors: [{ name: filters, levels: [{ filters: 2 }] }]
`;

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(file: string, args: readonly string[], cwd: string): Promise<Finished> {
  try {
    return { code: 0, ...(await promisify(execFile)(file, args, { cwd, encoding: 'utf8' })) };
  } catch (error) {
    return error as Finished;
  }
}

async function succeed(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, cwd);
  expect(code, `${file} ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout;
}

/** What `npm run build` makes, which `npm test` has done already if nothing has changed, with all else that package.json lists but the large trained networks. */
async function pack(): Promise<string> {
  await succeed(process.execPath, ['scripts/setup.mjs', '--quiet'], root);
  const package_ = join(folder, 'package');
  const listed = manifest.files.filter((entry) => !entry.startsWith('trained_models'));
  for (const entry of ['package.json', ...listed]) cpSync(join(root, entry), join(package_, entry), { recursive: true });
  await succeed('npm', ['pack', '--offline', '--ignore-scripts', '--pack-destination', folder], package_);
  return join(folder, 'ablate-0.1.0.tgz');
}

/** What `npm install <tarball>` makes, the packages that it depends on taken from here. */
async function install(tarball: string): Promise<void> {
  const installed = join(program, 'node_modules');
  mkdirSync(join(installed, 'ablate'), { recursive: true });
  await extract({ file: tarball, cwd: join(installed, 'ablate'), strip: 1 });
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    mkdirSync(dirname(join(installed, name)), { recursive: true });
    symlinkSync(join(modules, name), join(installed, name));
  }
  mkdirSync(join(installed, '.bin'));
  symlinkSync('../ablate/bin/ablate.js', join(installed, '.bin/ablate'));
}

const main = `
import { createClassifier, freeze, generateSynthetic, openEngine, resolveConfig, train, type TrainResult } from 'ablate';
import { generatePageImages, referenceEngine, trainInPage } from 'ablate/browser';
import net from './net.js';

const dataset = generateSynthetic({ trainCount: 40, testCount: 10 });
const config = resolveConfig({ model: net, dataset: dataset.name, steps: 2, batchSize: 4, threads: 1 });
const engine = await openEngine({ threads: 1 });
const { saved, step }: TrainResult = await train({ config, engine, dataset, classifier: createClassifier(config, dataset, net) });
const { metadata, encode } = await freeze({ saved: saved!, engine });
const page = await trainInPage({
  config: { model: net, steps: 1, batchSize: 2 },
  engine: referenceEngine,
  dataset: generatePageImages({ trainCount: 4, testCount: 2 }),
});
console.log(step, metadata.classes.length, encode(null).length > 1000, page.step);
`;

const options = {
  compilerOptions: {
    ...{ target: 'es2022', lib: ['es2023'], module: 'nodenext', strict: true, skipLibCheck: false, outDir: 'out' },
    ...{ noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, verbatimModuleSyntax: true },
  },
  include: ['*.ts'],
};

/** Those that are not within declarations of other packages, some of which want a browser's types or looser rules. */
function ownErrors(output: string): string[] {
  return output.split('\n').filter((line) => /^\S.*: error /.test(line) && !/node_modules\/(?!ablate\/)/.test(line));
}

let tarball: string;
beforeAll(async () => {
  tarball = await pack();
  await install(tarball);
  writeFileSync(join(program, 'package.json'), JSON.stringify({ name: 'program', type: 'module' }));
  writeFileSync(join(program, 'tsconfig.json'), JSON.stringify(options));
});

test('the package has all that it lists, and no sources or tests', async () => {
  const packed: string[] = [];
  await list({ file: tarball, onReadEntry: ({ path }) => packed.push(path.replace(/^package\//, '')) });
  for (const entry of manifest.files.filter((each) => !each.startsWith('trained_models'))) {
    expect(
      packed.some((path) => path === entry || path.startsWith(`${entry}/`)),
      entry,
    ).toBe(true);
  }
  expect(packed).toEqual(
    expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'templates/model.ts', 'templates/data.ts']),
  );
  expect(packed.filter((path) => /(^(src|test|bench)\/|\.test\.)/.test(path))).toEqual([]);
});

test('the command works where it is installed', async () => {
  // npm makes a command of it on Windows too, which has no shell for others.
  expect(readFileSync(join(root, 'bin/ablate.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const tuto = JSON.parse(await succeed('npx', ['--no', 'ablate', 'info', 'tuto', '--json'], program)) as { parameters: number };
  expect(tuto.parameters).toBe(1_068_298);
  await succeed('npx', ['--no', 'ablate', 'new', 'model', 'my-net.ts'], program);
  expect(existsSync(join(program, 'my-net.ts'))).toBe(true);
});

test('what ablate new writes, the examples of docs/api.md and a program have the right types; a wrong one is refused', async () => {
  for (const { file, code } of apiExamples()) writeFileSync(join(program, file), code);
  writeFileSync(join(program, 'main.ts'), main);
  writeFileSync(join(program, 'wrong.ts'), "import { count } from 'ablate';\ncount('16', 'filters');\n");
  const { stdout } = await run(process.execPath, [tsc, '-p', '.'], program);
  expect(ownErrors(stdout)).toEqual([expect.stringMatching(/^wrong\.ts\(2,7\): error TS2345:/)]);
});

test('nothing but the library can be imported', async () => {
  writeFileSync(join(program, 'inside.js'), "await import('ablate/dist/train/train.js');\n");
  expect((await run(process.execPath, ['inside.js'], program)).stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
});

test.skipIf(reason !== undefined)(skippable('the program trains and freezes a network', reason), async () => {
  expect(await succeed(process.execPath, ['out/main.js'], program)).toBe('2 10 true 1\n');
});

const ablate = (...args: readonly string[]) => succeed(join(program, 'node_modules/.bin/ablate'), args, join(program, 'walk'));

test(
  'a network of the user goes all the way, and the file is needed no more once it is trained',
  { timeout: 120_000 },
  async () => {
    const walk = join(program, 'walk');
    writeNoiseImages(join(walk, 'images'), { train: 32, test: 4 });
    writeFileSync(join(walk, 'net.ts'), net);
    writeFileSync(join(walk, 'study.yaml'), study);
    const data = ['--data', 'images:images'];
    await ablate('train', './net.ts', ...data, '--batch-size', '4', '--steps', '2', '--threads', '1');
    await ablate('study', 'study.yaml', '--jobs', '1', '--threads', '1', '--no-latency');
    expect(existsSync(join(walk, 'reports/widths/index.html'))).toBe(true);
    rmSync(join(walk, 'net.ts'));
    expect(JSON.parse(await ablate('eval', 'walk/1', '--json'))).toMatchObject({ model: 'walk', step: 2, images: 8 });
    await ablate('freeze', 'walk/1');
    await ablate('quantize', 'walk/1', ...data, '--images', '32', '--max-drop', '1');
    await ablate('prune', 'walk/1', '--structured', '--filters', '0.5', '--steps', '0', '-o', 'half.safetensors');
    const [labelled] = JSON.parse(await ablate('label', 'walk.onnx', 'images/test/dark/0.png', '--json')) as { top: object[] }[];
    expect(labelled!.top).toHaveLength(2);
  },
);

test.skipIf(whyNoBrowser)(skippable('the page of ablate demo classifies a picture with it', whyNoBrowser), async () => {
  const walk = join(program, 'walk');
  const server = spawn(join(program, 'node_modules/.bin/ablate'), ['demo', 'walk.onnx', '--port', '0'], { cwd: walk });
  const browser = await chromium.launch({ executablePath: browserPath!, args: browserFlags });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const page = await browser.newPage();
    await page.goto(/http:\S+/.exec(String(line))![0]);
    await page.getByText('Give it an image').waitFor();
    await page.locator('#file').setInputFiles(join(walk, 'images/test/dark/0.png'));
    await page.locator('#timing dd').first().waitFor();
    const shown = await page.evaluate<string[]>("[...document.querySelectorAll('#classes li')].map((row) => row.dataset.class)");
    expect(shown.sort()).toEqual(['bright', 'dark']);
  } finally {
    await browser.close();
    server.kill('SIGINT');
  }
});
