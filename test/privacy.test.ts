/**
 * Nothing leaves the machine. Every command runs with all its processes under strace, as on a user's machine rather than in continuous
 * integration (where ONNX Runtime sends nothing anyway): none may resolve a name or reach beyond loopback, or leave anything in the
 * temporary folder or the user's cache. Only a download of a data set may, and none is needed here.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePng } from '../src/runs/png.ts';
import { uint32 } from '../src/util/random.ts';
import { main, runCli } from './run-cli.ts';
import { skippable } from './skippable.ts';

const folder = mkdtempSync(join(tmpdir(), 'ablate-privacy-'));
const home = join(folder, 'home');
const temporary = join(folder, 'temporary');
const trace = join(folder, 'trace');
for (const name of [home, temporary]) mkdirSync(name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const split of ['train', 'test']) {
  for (const [label, name] of ['cat', 'dog'].entries()) {
    mkdirSync(join(folder, 'pictures', split, name), { recursive: true });
    for (let i = 0; i < 20; i++) {
      const samples = Uint8Array.from({ length: 32 * 32 * 3 }, (_, at) => (uint32(i + 20 * label, at) % 128) + 100 * label);
      writeFileSync(
        join(folder, 'pictures', split, name, `${i}.png`),
        encodePng({ width: 32, height: 32, channels: 3, samples }),
      );
    }
  }
}
writeFileSync(
  join(folder, 'study.yaml'),
  `name: tiny
dataset: images:pictures
baseline: { model: squeeze0, steps: 1, batchSize: 4 }
design: one-at-a-time
factors: [{ name: no augmentation, set: { augment: false, inputSize: 24 } }]
seeds: [1]
`,
);

const straceArguments = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=connect,bind,sendto,sendmsg,sendmmsg', '-o', trace];
const canTrace = spawnSync('strace', [...straceArguments, 'true']).status === 0;

/** What a program and its children asked of the network, beyond loopback or of whoever resolves names. */
async function outwardCalls(program: string, args: readonly string[]) {
  const variables = ['CI', 'ORT_DISABLE_TELEMETRY', 'XDG_CACHE_HOME', 'ABLATE_DATA_DIR'];
  const inherited = Object.entries(process.env).filter(([name]) => !variables.includes(name));
  const environment = { ...Object.fromEntries(inherited), HOME: home, TMPDIR: temporary, TSX_DISABLE_CACHE: '1' };
  const child = spawn('strace', [...straceArguments, program, ...args], { cwd: folder, env: environment });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const calls = readFileSync(trace, 'utf8').split('\n').filter(isOutward);
  return { code, output, calls };
}

function isOutward(call: string): boolean {
  if (/sun_path=.*(resolve|nscd)/.test(call)) return true;
  const address = /inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"/.exec(call);
  if (address === null) return false;
  const isLoopback = /^(127\.|::1$)/.test(address[1] ?? address[2]!);
  return !isLoopback || call.includes('htons(53)');
}

/** In an order in which each finds what it needs. */
const commands: readonly string[] = [
  'info squeeze0',
  'doctor',
  'setup --dry-run',
  'new model net.ts',
  'new data data.ts',
  'info net.ts',
  'data show images:pictures',
  'train squeeze0 --data images:pictures --steps 2 --batch-size 4 --threads 1',
  'runs list',
  'runs show squeeze0',
  'eval squeeze0 --mistakes mistakes.html',
  'show filters squeeze0 -o filters.png',
  'show mistakes squeeze0 -o mistakes.png',
  'show activations squeeze0 -o activations.png',
  'prune squeeze0 --sparsity 0.5 --steps 1',
  'freeze squeeze0 -o model.onnx --evaluate',
  'eval model.onnx --data images:pictures',
  'label model.onnx pictures/test/cat/0.png',
  'quantize model.onnx --images 32 --data images:pictures',
  'compress squeeze0 --operations 0.9 --steps 1 --rounds 1 --threads 1',
  'study study.yaml --no-latency',
  'report tiny',
  'runs compare squeeze0/1 squeeze0/2',
  'train nin0 --data images:pictures --steps 1 --batch-size 4 --threads 1 --set standardization=channel',
  'export nin0 --c nin0',
  'bench train squeeze0 --threads 1 --batch-size 4 --steps 2 --warm-up 1 --repetitions 1',
  // Longer than ONNX Runtime waits before it sends what it has gathered.
  'bench infer model.onnx --threads 1 --batch-sizes 1 --rounds 1 --round-ms 4000',
];

const whyNotTraced = canTrace ? undefined : 'strace is missing or not allowed (Debian: apt-get install strace)';

describe.skipIf(whyNotTraced)(skippable('under strace', whyNotTraced), () => {
  test.each([
    ["fetch('http://192.0.2.1/')", '192.0.2.1'],
    ["require('dns').lookup('example.com', () => {})", 'htons(53)|resolve|nscd'],
  ])('%s is seen', async (script, expected) => {
    const { calls } = await outwardCalls(process.execPath, ['-e', script]);
    expect(calls.join('\n')).toMatch(new RegExp(expected));
  });

  test.each(commands)('ablate %s', async (command) => {
    const { code, output, calls } = await outwardCalls(process.execPath, [main, ...command.split(' ')]);
    expect(code, output).toBe(0);
    expect(calls).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  });
});

test('no command is forgotten, but the pages of ablate demo and ablate ui, whose servers listen until they are stopped', async () => {
  const { stdout } = await runCli(['--help']);
  const names = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
  expect(names).toContain('train');
  const covered = [...commands.map((line) => line.split(' ')[0]), 'demo', 'ui', 'help'];
  expect(names.filter((name) => !covered.includes(name))).toEqual([]);
});

test('nothing that is handed on says where the images are, and no record has the token of an address', async () => {
  const place = join(folder, 'Anna Meier', 'pictures');
  mkdirSync(join(folder, 'Anna Meier'));
  cpSync(join(folder, 'pictures'), place, { recursive: true });
  const cwd = join(folder, 'shared');
  mkdirSync(cwd);
  const study = readFileSync(join(folder, 'study.yaml'), 'utf8').replace('images:pictures', `"images:${place}"`);
  writeFileSync(join(cwd, 'study.yaml'), study);
  const url = ['--data-url', 'https://anna:pa55word@example.org/cifar?token=t0ken'];
  const trained = ['train', 'squeeze0', '--data', `images:${place}`, '--steps', '1', '--batch-size', '4', '--threads', '1'];
  for (const args of [
    [...trained, ...url],
    ['study', 'study.yaml', ...url, '--no-latency'],
    ['runs', 'compare', 'squeeze0/1', 'squeeze0/2', '-o', 'handed-on/compared', '--no-latency'],
    ['report', 'tiny', '-o', 'handed-on/study', '--no-latency'],
    ['freeze', 'squeeze0/1', '-o', 'handed-on/model.onnx'],
    ['quantize', 'handed-on/model.onnx', '-o', 'handed-on/quantized.onnx', '--data', `images:${place}`, '--images', '32'],
    [
      'compress',
      'squeeze0/1',
      '--operations',
      '0.9',
      '--steps',
      '1',
      '--rounds',
      '1',
      '--max-drop',
      '100',
      ...url,
      '-o',
      'handed-on/small.onnx',
    ],
  ]) {
    const { code, stderr } = await runCli(args, { cwd });
    expect(code, `ablate ${args.join(' ')}\n${stderr}`).toBe(0);
  }
  const files = readdirSync(cwd, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  const mentions = (text: string) => paths.filter((path) => readFileSync(path, 'latin1').includes(text));
  expect(mentions('pa55word')).toEqual([]);
  expect(mentions('t0ken')).toEqual([]);
  // Those who go on with a run must know it.
  expect(mentions('images:').length).toBeGreaterThan(0);
  expect(mentions('Anna Meier').filter((path) => path.startsWith(join(cwd, 'handed-on')))).toEqual([]);
}, 240_000);
