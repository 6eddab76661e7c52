/**
 * Nothing leaves the machine. Every command runs with all its processes under strace, as on a user's machine rather than in continuous
 * integration (where ONNX Runtime sends nothing anyway): none may resolve a name or reach beyond loopback, or leave anything in the
 * temporary folder or the user's cache. Only a download of a data set may, and none is needed here. Nor does what they write to be handed on
 * say where the images are.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
/** Where the commands run. */
const work = join(folder, 'work');
/** A name that nobody else has to know. */
const pictures = join(folder, 'Anna Meier', 'pictures');
const url = 'https://anna:pa55word@example.org/cifar?token=t0ken';
for (const name of [home, temporary, join(work, 'handed-on')]) mkdirSync(name, { recursive: true });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const split of ['train', 'test']) {
  for (const [label, name] of ['cat', 'dog'].entries()) {
    mkdirSync(join(pictures, split, name), { recursive: true });
    for (let i = 0; i < 20; i++) {
      const samples = Uint8Array.from({ length: 32 * 32 * 3 }, (_, at) => (uint32(i + 20 * label, at) % 128) + 100 * label);
      writeFileSync(join(pictures, split, name, `${i}.png`), encodePng({ width: 32, height: 32, channels: 3, samples }));
    }
  }
}
writeFileSync(
  join(work, 'study.yaml'),
  `name: tiny
dataset: "images:${pictures}"
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
  const child = spawn('strace', [...straceArguments, program, ...args], { cwd: work, env: environment });
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

/** In an order in which each finds what it needs. PICTURES is the folder of the images, URL an address with a password; handed-on/ is for others. */
const commands: readonly string[] = [
  'info squeeze0',
  'doctor',
  'setup --dry-run',
  'new model net.ts',
  'new data data.ts',
  'info net.ts',
  'data show images:PICTURES',
  'train squeeze0 --data images:PICTURES --steps 2 --batch-size 4 --threads 1 --data-url URL',
  'runs list',
  'runs show squeeze0',
  'eval squeeze0 --mistakes handed-on/mistakes.html',
  'show filters squeeze0 -o handed-on/filters.png',
  'show mistakes squeeze0 -o handed-on/mistakes.png',
  'show activations squeeze0 -o handed-on/activations.png',
  'prune squeeze0 --sparsity 0.5 --steps 1',
  'freeze squeeze0 -o handed-on/model.onnx --evaluate',
  'eval handed-on/model.onnx --data images:PICTURES',
  'label handed-on/model.onnx PICTURES/test/cat/0.png',
  'quantize handed-on/model.onnx -o handed-on/quantized.onnx --images 32 --data images:PICTURES',
  'compress squeeze0 --operations 0.9 --steps 1 --rounds 1 --threads 1 --data-url URL -o handed-on/small.onnx',
  'study study.yaml --no-latency --data-url URL',
  'report tiny -o handed-on/study',
  'runs compare squeeze0/1 squeeze0/2 -o handed-on/compared --no-latency',
  'train nin0 --data images:PICTURES --steps 1 --batch-size 4 --threads 1 --set standardization=channel',
  'export nin0 --c handed-on/nin0',
  'bench train squeeze0 --threads 1 --batch-size 4 --steps 2 --warm-up 1 --repetitions 1',
  // Longer than ONNX Runtime waits before it sends what it has gathered.
  'bench infer handed-on/model.onnx --threads 1 --batch-sizes 1 --rounds 1 --round-ms 2000',
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
    const words = command.split(' ').map((word) => word.replace('PICTURES', pictures).replace('URL', url));
    const { code, output, calls } = await outwardCalls(process.execPath, [main, ...words]);
    expect(code, output).toBe(0);
    expect(calls).toEqual([]);
    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(home)).toEqual([]);
  });

  test('nothing that is handed on says where the images are, and no record has the token of an address', () => {
    const files = readdirSync(work, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = files.map((entry) => join(entry.parentPath, entry.name));
    const mentions = (text: string) => paths.filter((path) => readFileSync(path, 'latin1').includes(text));
    expect(mentions('pa55word')).toEqual([]);
    expect(mentions('t0ken')).toEqual([]);
    // Those who go on with a run must know it.
    expect(mentions('images:').length).toBeGreaterThan(0);
    expect(mentions('Anna Meier').filter((path) => path.startsWith(join(work, 'handed-on')))).toEqual([]);
  });
});

test('no command is forgotten, but the pages of ablate demo and ablate ui, whose servers listen until they are stopped', async () => {
  const { stdout } = await runCli(['--help']);
  const names = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!);
  expect(names).toContain('train');
  const covered = [...commands.map((line) => line.split(' ')[0]), 'demo', 'ui', 'help'];
  expect(names.filter((name) => !covered.includes(name))).toEqual([]);
});
