/** The command line as a user meets it: real processes, real files. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { supportsBf16 } from '../src/engine/onednn/engine.ts';
import { probeOnednn } from '../src/engine/onednn/probe.ts';
import { writeStudyState } from '../src/study/study-state.ts';
import { compiledFolder } from './compile-sources.ts';
import { writeNoiseImages } from './noise-images.ts';
import { main, runCli, type Finished } from './run-cli.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-cli-'));
  writeNoiseImages(join(folder, 'images'), { train: 20, test: 10 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a command in the test's folder, where its runs are kept. */
function ablate(...args: readonly string[]): Promise<Finished> {
  return runCli(args, { cwd: folder, ownProcess: true });
}

/** The one JSON document on stdout. */
async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ablate(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('wrong usage ends with code 2, says what is wrong, and prints no stack', async () => {
  const { code, stdout, stderr } = await ablate('train', 'tuto', '--learning-rat', '1');
  expect(stderr).toBe(
    "error: unknown option '--learning-rat'\n(Did you mean --learning-rate?)\nablate train --help lists the options\n",
  );
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('a file of weights that is not there is reported as a file, packed or not', async () => {
  for (const file of ['gone.safetensors', 'gone.safetensors.gz']) {
    const { code, stderr } = await ablate('eval', file);
    expect([code, stderr]).toEqual([1, `error: there is no file ${file}\ncheck the path\n`]);
  }
});

test('a failure ends with code 1 and its fix on the last line', async () => {
  const { code, stdout, stderr } = await ablate('runs', 'show', 'tuto', '--runs-dir', 'nowhere');
  expect(stdout).toBe('');
  expect(stderr.trimEnd().split('\n')).toEqual([
    'error: there is no run "tuto" in nowhere: it holds no runs',
    'ablate train <model>',
  ]);
  expect(code).toBe(1);
});

test('the help of all commands loads no package but those of options and of checked values, so that it answers at once', async () => {
  const hook = 'export async function load(url, context, next) { process._rawDebug(url); return await next(url, context); }';
  const register = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)});`;
  const { code, stderr } = await runCli(['--help'], {
    environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(register)}` },
  });
  expect(code, stderr).toBe(0);
  const packages = [...stderr.matchAll(/node_modules\/((?:@[^/]+\/)?[^/]+)/g)].map(([, name]) => name);
  expect(new Set(packages)).toEqual(new Set(['commander', 'zod']));
});

test('ablate report alone lists the studies of a folder, tells a damaged one, and a wrong name gets the nearest', async () => {
  const inFolder = ['--runs-dir', join(folder, 'studied')];
  expect((await ablate('report', ...inFolder)).stdout).toBe(`no studies in ${join(folder, 'studied')}\n`);
  const dataset = {
    name: 'd',
    fingerprint: 'f',
    synthetic: false,
    classes: ['a'],
    shape: [3, 8, 8],
    train: { count: 9 },
  } as const;
  const runs = (['finished', 'finished', 'diverged', 'waiting'] as const).map((state, seed) => ({
    variant: 'baseline',
    seed,
    state,
  }));
  for (const name of ['widths', 'broken']) {
    writeStudyState(join(folder, 'studied'), { name, file: { path: 's.yaml', text: '' }, dataset, runs });
  }
  writeFileSync(join(folder, 'studied', '.studies', 'broken', 'study.json'), '{');
  const { code, stdout, stderr } = await ablate('report', ...inFolder);
  expect(stdout.split('\n').map((line) => line.split(/\s{2,}/).slice(0, 4))).toEqual([
    ['study', 'runs', 'finished', 'failed'],
    ['widths', '4', '2', '1'],
    [''],
  ]);
  expect(stderr).toMatch(/broken\/study\.json is not the state of a study/);
  expect(code).toBe(0);
  expect((await ablate('report', 'width', ...inFolder)).stderr).toMatch(
    /no study "width" in .*Did you mean "widths"\?\nthe studies there are: broken, widths\n$/,
  );
});

test('help and version end with code 0', async () => {
  const help = await ablate('train', '--help');
  expect(help.code).toBe(0);
  expect(help.stdout).toContain('--learning-rate <rate>');
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(await ablate('--version')).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' });
});

test('info prints the published figures of tuto, as JSON and as a table', async () => {
  const info = await json('info', 'tuto', '--input', '32');
  expect(info).toMatchObject({ model: 'tuto', input: 32, parameters: 1_756_426, bytes: 4 * 1_756_426 });
  expect((Number(info['operations']) / 1e6).toFixed(2)).toBe('66.98');
  expect((info['layers'] as unknown[])[0]).toMatchObject({ name: 'conv1', kind: 'conv', output: [64, 32, 32], parameters: 4864 });
  const { stdout } = await ablate('info', 'tuto');
  expect(stdout).toMatch(/^total +1,068,298 +37,745,098/m);
});

test('info without a name: all models, with what they cost at their own size and the best that is known of them', async () => {
  const { stdout } = await ablate('info');
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^model +input +parameters +operations +bytes +accuracy +recipe +steps$/);
  const row = (name: string) => lines.find((line) => line.startsWith(`${name} `));
  expect(row('tuto')).toMatch(/^tuto +24 +1,068,298 +37\.75M +4\.3 MB +8\d\.\d\d% +modern +[\d,]+$/);
  // Nothing is on record: the cells are empty, not zero.
  expect(row('cs231n')).toMatch(/^cs231n +24 +4,615,302 +11\.66M +18\.5 MB$/);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  const models = (await json('info')) as unknown as { name: string; input: number; best: { accuracy: number } | null }[];
  expect(models).toContainEqual(expect.objectContaining({ name: 'air94', input: 32, parameters: 1_971_640, bytes: 7_886_560 }));
  expect(models.find(({ name }) => name === 'air94')!.best!.accuracy).toBeGreaterThan(0.93);
  expect(models.find(({ name }) => name === 'cs231n')!.best).toBeNull();
});

test('info changes settings and lists them', async () => {
  const info = await json('info', 'tuto', '--set', 'lrn=false', '--set', 'model.dense2=false');
  expect((info['layers'] as { name: string }[]).map((layer) => layer.name)).toEqual([
    'conv1',
    'pool1',
    'conv2',
    'pool2',
    'dense1',
    'logits',
  ]);
  const settings = await json('info', 'tuto', '--settings');
  expect(settings).toContainEqual(expect.objectContaining({ name: 'conv1.filters', default: 64, min: 1 }));
});

test('doctor finds what the tests themselves need', async () => {
  const { ok, checks } = await json('doctor');
  expect(ok).toBe(true);
  const found = checks as readonly { name: string; ok: boolean; detail: string; fix: string | null }[];
  expect(found.filter((check) => check.ok).map((check) => check.name)).toEqual(
    expect.arrayContaining(['Node', 'platform', 'koffi', 'oneDNN']),
  );
  expect(found.find((check) => check.name === 'oneDNN')?.detail).toMatch(/^[23]\.\d+\.\d+ /);
});

test('doctor keeps what drivers print to itself, and survives their crashes', async () => {
  const driver = join(folder, 'driver.cjs');
  // In the process that asks the drivers alone.
  const crash =
    "console.error('error: XDG_RUNTIME_DIR is invalid\\nWarning: no GPU.'); console.log('driver 1.0'); process.abort();";
  writeFileSync(driver, `if (process.argv[1]?.includes('probe-process')) { ${crash} }`);
  const { code, stdout, stderr } = await runCli(['doctor'], { environment: { NODE_OPTIONS: `--require=${driver}` } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^absent +graphics +.* drivers .* ended \(SIGABRT\) \(found and not usable: no GPU\)$/m);
  expect(stdout).not.toContain('driver 1.0');
});

test('a command whose reader goes away ends without an error', async () => {
  const script = `"$0" "$1" info tuto --settings | head -n 1; echo "codes \${PIPESTATUS[*]}"`;
  const child = spawn('bash', ['-c', script, process.execPath, main], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((resolve) => child.on('close', resolve));
  expect(output).toMatch(/^setting .*\ncodes 0 0\n$/);
});

test('a training whose reader goes away saves before it ends', async () => {
  const options = '--data images:images --runs-dir closed --steps 1000000 --set batchSize=4 --set logEvery=1';
  const small = '--set conv1.filters=2 --set conv2.filters=2 --set dense1.features=4 --set dense2=false';
  const script = `"$0" "$1" train tuto ${options} ${small} 2>&1 | grep -m 1 '^step'`;
  const child = spawn('bash', ['-c', script, process.execPath, main], { cwd: folder, stdio: 'ignore' });
  await new Promise((resolve) => child.on('close', resolve));
  const run = join(folder, 'closed', 'tuto', '1');
  const { status, step } = JSON.parse(readFileSync(join(run, 'status.json'), 'utf8')) as { status: string; step: number };
  expect(status).toBe('interrupted');
  expect(readdirSync(join(run, 'checkpoints')).at(-1)).toBe(`step-${String(step).padStart(9, '0')}.safetensors`);
});

test('Ctrl-C on a training and its reader saves before it ends', async () => {
  const script = join(folder, 'interrupt.mjs');
  const source = (file: string) => JSON.stringify(join(compiledFolder, 'cli', file));
  writeFileSync(
    script,
    `import { interruptible } from ${source('interrupt.js')};
    import { surviveLostOutput } from ${source('output.js')};
    import { writeFileSync } from 'node:fs';
    import { setTimeout } from 'node:timers/promises';
    surviveLostOutput();
    await interruptible('saving', async (signal) => {
      process.stderr.write('a line\\n');
      await setTimeout(500);
      process.kill(process.pid, 'SIGINT');
      while (!signal.aborted) await setTimeout(10);
      for (let i = 0; i < 5; i++) {
        process.stderr.write('more\\n');
        await setTimeout(50);
      }
      writeFileSync('saved', '');
    });`,
  );
  const child = spawn('bash', ['-c', '"$0" "$1" 2>&1 | head -n 1', process.execPath, script], {
    cwd: folder,
    stdio: 'ignore',
  });
  await new Promise((resolve) => child.on('close', resolve));
  expect(existsSync(join(folder, 'saved'))).toBe(true);
});

test('data show counts the images and writes a sheet', async () => {
  const shown = await json('data', 'show', 'images:images', '--rows', '2', '-o', 'sheet.png');
  expect(shown).toMatchObject({ synthetic: false, shape: [3, 32, 32], images: { train: 40, test: 20 } });
  expect(shown['perClass']).toEqual([
    { label: 'bright', train: 20, test: 10 },
    { label: 'dark', train: 20, test: 10 },
  ]);
  expect(readFileSync(join(folder, 'sheet.png')).subarray(1, 4).toString()).toBe('PNG');
});

test('of few images the sheet has all, and a sheet that is there is told to need --force', async () => {
  writeNoiseImages(join(folder, 'few'), { train: 4, test: 2 });
  const show = ['data', 'show', 'images:few', '-o', 'few.png'] as const;
  expect((await ablate(...show)).stderr).toMatch(/columns in the order of the classes/);
  const again = await ablate(...show);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringMatching(/^error: few\.png exists, a file of .*\nreplace it with --force, or name another file\n$/),
  ]);
});

test('the list of runs marks accuracies on validation images', async () => {
  const train = ['train', 'cs231n', '--data', 'images:images', '--steps', '1', '--batch-size', '4', '--runs-dir', 'validated'];
  for (const more of [[], ['--val']]) expect((await ablate(...train, ...more)).code).toBe(0);
  const { stdout } = await ablate('runs', 'list', '--runs-dir', 'validated');
  const accuracies = stdout.split('\n').flatMap((line) => / (\S+% (?:val)?)/.exec(line)?.[1]?.replace(/[\d.]+/, '') ?? []);
  expect(accuracies.sort()).toEqual(['% ', '% val']);
});

test('a study whose images are not there is refused with the line; a second file of its name is told', async () => {
  const study = (dataset: string) =>
    `name: twice\ndataset: ${dataset}\nbaseline: { model: cs231n, steps: 1, batchSize: 4, evalEvery: 0 }\ndesign: one-at-a-time\nfactors: [{ name: rate, set: { learningRate: 0.01 } }]\nseeds: [1]\n`;
  writeFileSync(join(folder, 'one.yaml'), study('images:gone'));
  for (const more of [['--dry-run'], []]) {
    const { code, stderr } = await ablate('study', 'one.yaml', ...more);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error: one\.yaml:2: .*gone\/train does not exist\n/)]);
  }
  writeFileSync(join(folder, 'one.yaml'), study('images:images'));
  writeFileSync(join(folder, 'two.yaml'), study('images:images'));
  const run = async (file: string) =>
    (await ablate('study', file, '--no-latency', '--threads', '1', '--runs-dir', 'twice')).stderr;
  const told = 'the study twice was run from one.yaml so far';
  expect(await run('one.yaml')).not.toContain(told);
  expect(await run('two.yaml')).toContain(told);
});

test('data verify names the files that are wrong', async () => {
  mkdirSync(join(folder, 'cifar'));
  writeFileSync(join(folder, 'cifar', 'test_batch.bin'), 'not images');
  const { code, stdout, stderr } = await ablate('data', 'verify', '--data-dir', 'cifar');
  expect(stdout).toMatch(/data_batch_1\.bin +is missing/);
  expect(stdout).toMatch(/test_batch\.bin +is truncated: 10 of 30730000 bytes/);
  expect(stderr).toMatch(/6 of 6 files/);
  expect(code).toBe(1);

  mkdirSync(join(folder, 'cifar100'));
  for (const split of ['train', 'test']) writeFileSync(join(folder, 'cifar100', `${split}.bin`), 'not images');
  const other = await ablate('data', 'verify', 'cifar100', '--data-dir', 'cifar100', '--json');
  expect(JSON.parse(other.stdout)).toMatchObject({
    dataset: 'cifar100',
    ok: false,
    files: [
      { name: 'train.bin', ok: false, checksum: null, problem: 'has 10 bytes, and must have 153700000' },
      { name: 'test.bin', ok: false },
    ],
  });
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('2 of 2 files of CIFAR-100')]);
  const none = await ablate('data', 'fetch', 'synthetic');
  const allowed = 'cifar10, cifar100, mnist, fashion-mnist';
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining(`(=synthetic) must be one of ${allowed}: the others`)]);
});

test('bench train times a step and its kernels', async () => {
  const steps = ['--batch-size', '8', '--steps', '2', '--warm-up', '1', '--repetitions', '1', '--threads', '1'];
  const untimed = await ablate('bench', 'train', 'cs231n', ...steps, '--engine', 'reference');
  expect([untimed.code, untimed.stderr]).toEqual([
    2,
    expect.stringMatching(/engine \(=reference\) has no .*\nuse --engine onednn/),
  ]);
  const timed = await json('bench', 'train', 'cs231n', '--data', 'synthetic', '--set', 'dense1.features=16', ...steps);
  expect(timed).toMatchObject({ model: 'cs231n', engine: 'onednn', precision: 'f32', threads: 1, batchSize: 8, steps: 2 });

  const { median, min, p95 } = timed['msPerStep'] as Record<'median' | 'min' | 'p95', number>;
  expect(min).toBeGreaterThan(0);
  expect(median).toBeGreaterThanOrEqual(min);
  expect(p95).toBeGreaterThanOrEqual(median);
  for (const key of ['imagesPerSecond', 'gflops', 'ceilingMs', 'ceilingFraction', 'memoryBytes', 'residentBytes']) {
    expect(timed[key], key).toBeGreaterThan(0);
  }
  // What is left over for `other` may be less than nothing: the parts are timed apart from the steps.
  const breakdown = Object.entries(timed['breakdown'] as Record<string, number>);
  for (const [part, ms] of breakdown) expect(ms, part).toBeGreaterThanOrEqual(part === 'other' ? -Infinity : 0);

  const layers = timed['layers'] as { layer: string; pass: string; implementation: string; ms: number; ceilingMs?: number }[];
  const kernels = layers.filter(({ ceilingMs }) => ceilingMs !== undefined);
  for (const { layer, pass, ms } of layers) expect(ms, `${layer} ${pass}`).toBeGreaterThan(0);
  for (const { layer, pass, ceilingMs } of kernels) expect(ceilingMs, `${layer} ${pass}`).toBeGreaterThan(0);
  // Of the convolution and the dense layers every pass has a ceiling, and nothing else. Nobody wants the gradient of the images.
  expect(kernels.map(({ layer, pass }) => `${layer} ${pass}`).sort()).toEqual([
    'conv1 backwardWeights',
    'conv1 forward',
    ...['backwardData', 'backwardWeights', 'forward'].map((pass) => `dense1 ${pass}`),
    ...['backwardData', 'backwardWeights', 'forward'].map((pass) => `logits ${pass}`),
  ]);
});

describe('a training', () => {
  const quick = ['cs231n', '--data', 'images:images', '--batch-size', '10', '--set', 'dense1.features=16'];

  test('is recorded, listed, shown, evaluated and resumed', async () => {
    const trained = await json(
      'train',
      ...quick,
      '--steps',
      '10',
      '--save-every',
      '5',
      '--no-augment',
      '--learning-rate',
      '0.01',
    );
    expect(trained).toMatchObject({ run: 'cs231n/1', model: 'cs231n', step: 10, status: 'finished', synthetic: false });
    expect(trained['evaluation']).toMatchObject({ split: 'test', weights: 'ema', images: 20 });

    const listed = await json('runs', 'list');
    const choices = {
      recipe: '2017',
      seed: 1,
      changes: expect.objectContaining({ augment: 'false', learningRate: '0.01' }) as object,
    };
    expect(listed).toEqual([
      expect.objectContaining({ run: 'cs231n/1', model: 'cs231n', step: 10, status: 'finished', ...choices }),
    ]);
    const { stdout: list } = await runCli(['runs', 'list'], { cwd: folder });
    expect(list).toMatch(/^cs231n\/1 .* 2017, seed 1, .*learningRate 0\.01/m);

    const shown = await json('runs', 'show', 'cs231n');
    expect(shown).toMatchObject({ run: 'cs231n/1', status: 'finished', config: { steps: 10, augment: false } });
    expect((shown['checkpoints'] as { step: number }[]).map((checkpoint) => checkpoint.step)).toEqual([5, 10]);

    const evaluation = trained['evaluation'] as { accuracy: number };
    const evaluated = await json('eval', 'cs231n/1', '--batch-size', '7');
    expect(evaluated).toMatchObject({
      model: 'cs231n',
      split: 'test',
      weights: 'ema',
      step: 10,
      images: 20,
      accuracy: evaluation.accuracy,
    });
    expect((evaluated['perClass'] as { label: string }[]).map((row) => row.label)).toEqual(['bright', 'dark']);
    expect((evaluated['confusion'] as number[][]).flat().reduce((a, b) => a + b)).toBe(20);

    const watched = await json('eval', 'cs231n/1', '--watch', '--weights', 'raw');
    expect(watched).toMatchObject([
      { step: 5, weights: 'raw' },
      { step: 10, weights: 'raw' },
    ]);

    const fromElsewhere = await runCli(['eval', join(folder, 'runs', 'cs231n', '1')], { cwd: tmpdir() });
    expect([fromElsewhere.code, fromElsewhere.stderr]).toEqual([
      2,
      expect.stringMatching(
        /was trained on images:images, and from here there is no folder .*images\nsay where it is: --data images:<folder>\n$/,
      ),
    ]);
    writeNoiseImages(join(folder, 'others'), { train: 8, test: 4 });
    const others = await ablate('train', '--resume', 'cs231n/1', '--data', 'images:others');
    expect(others.code, others.stderr).not.toBe(0);
    const resumed = await json('train', '--resume', 'cs231n/1', '--steps', '12');
    expect(resumed).toMatchObject({ run: 'cs231n/1', step: 12 });
  });

  test('is shown with more records than a function takes arguments, and where it was copied to', async () => {
    const copy = join(folder, 'elsewhere', 'a copy');
    cpSync(join(folder, 'runs', 'cs231n', '1'), copy, { recursive: true });
    const record = (step: number) => `${JSON.stringify({ step, time: '2026-01-01T00:00:00.000Z', 'train/loss': step })}\n`;
    writeFileSync(join(copy, 'metrics.jsonl'), Array.from({ length: 150_000 }, (_, i) => record(i + 1)).join(''));
    expect(await json('runs', 'show', join('elsewhere', 'a copy'))).toMatchObject({ latest: { 'train/loss': 150_000 } });
  });

  test('is evaluated over the mean of an image and its mirror image', async () => {
    const alone = await json('eval', 'cs231n/1');
    const mirrored = await json('eval', 'cs231n/1', '--tta', 'mirror');
    expect(alone).toMatchObject({ tta: 'none', images: 20 });
    expect(mirrored).toMatchObject({ tta: 'mirror', images: 20, accuracy: expect.any(Number) as number });
    // The images are noise, so that their mirror images have other logits.
    expect(mirrored['loss']).not.toBe(alone['loss']);
  });

  test('is evaluated in bf16 where the processor has it', async () => {
    const { code, stdout, stderr } = await ablate('eval', 'cs231n/1', '--precision', 'bf16', '--json');
    if (supportsBf16(probeOnednn().isa ?? '')) {
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ precision: 'bf16', images: 20 });
    } else {
      expect(code).toBe(2);
      expect(stderr).toMatch(/precision \(=bf16\) needs a processor with AVX512_BF16/);
    }
  });

  test('that is interrupted saves, ends with code 130 and says how to go on', async () => {
    let sent = false;
    const onStderr = (text: string): NodeJS.Signals | undefined => {
      if (sent || !text.includes('step 10/')) return undefined;
      sent = true;
      return 'SIGINT';
    };
    const args = ['train', ...quick, '--steps', '1000000', '--log-every', '1', '--runs-dir', 'stopped', '--json'];
    const { code, stdout, stderr } = await runCli(args, { cwd: folder, onStderr });
    expect(code, stderr).toBe(130);
    const { step, status } = JSON.parse(stdout) as { step: number; status: string };
    expect(status).toBe('interrupted');
    expect(stderr).toContain(`interrupted: stopped after step ${step} of 1000000, which is saved in stopped/cs231n/1`);
    expect(stderr).toContain('ablate train --resume stopped/cs231n/1');
    const listed = await json('runs', 'list', '--runs-dir', 'stopped', '--status', 'interrupted');
    expect(listed).toMatchObject([{ step, status: 'interrupted' }]);
  });

  test('keeps the accuracy of its last evaluation while it is continued', async () => {
    const [{ accuracy }] = (await json('runs', 'list')) as unknown as [{ accuracy: number }];
    let sent = false;
    const onStderr = (text: string): NodeJS.Signals | undefined => {
      if (sent || !text.includes('step 20/')) return undefined;
      sent = true;
      return 'SIGINT';
    };
    const args = ['train', '--resume', 'cs231n/1', '--steps', '1000000', '--log-every', '1', '--eval-every', '0'];
    expect((await runCli(args, { cwd: folder, onStderr })).code).toBe(130);
    expect(await json('runs', 'list')).toMatchObject([{ status: 'interrupted', accuracy }]);
  });

  test('with a teacher, named by its model, goes on with the run that this was', async () => {
    const args = ['train', ...quick, '--no-augment', '--runs-dir', 'taught'];
    await json(...args, '--steps', '2');
    const taught = await json(...args, '--steps', '2', '--teacher', 'cs231n');
    expect(taught).toMatchObject({ run: 'cs231n/2' });
    expect(await json('runs', 'show', 'cs231n/2', '--runs-dir', 'taught')).toMatchObject({ config: { teacher: 'cs231n/1' } });
    expect(await json('train', '--resume', 'cs231n/2', '--steps', '4', '--runs-dir', 'taught')).toMatchObject({ step: 4 });
  });

  test('that cannot begin leaves no run', async () => {
    const { code, stderr } = await ablate('train', ...quick, '--set', 'augmentation.cutout=100', '--runs-dir', 'none');
    expect([code, stderr]).toEqual([2, expect.stringContaining('cutout (=100) must be an integer from 0 to')]);
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  test('refuses another model for its checkpoint', async () => {
    const { code, stderr } = await ablate('train', 'tuto', '--resume', 'stopped/cs231n/1');
    expect(stderr).toMatch(/model \(=tuto\) must be cs231n, which cs231n\/1 trains/);
    expect(code).toBe(2);
  });
});
