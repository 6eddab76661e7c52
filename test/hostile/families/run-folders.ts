/** Run folders: each record changed field by field, emptied, cut off, of the wrong kind, or of a hundred thousand lines. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Draw } from '../draw.ts';
import type { Family } from '../family.ts';
import { copyFixtures } from '../fixtures.ts';
import { anotherFile, flipped, truncated } from '../mutate-bytes.ts';
import { mutateJson, short } from '../mutate-json.ts';
import { oddJson } from '../values.ts';

const commands: readonly (readonly string[])[] = [
  ['runs', 'list'],
  ['runs', 'list', '--json'],
  ['runs', 'list', '--sort', 'accuracy', '--status', 'finished'],
  ['runs', 'show', 'tuto/1'],
  ['runs', 'show', 'tuto/1', '--json'],
  ['runs', 'compare', 'tuto/1', 'tuto/2'],
  ['runs', 'compare', 'tuto/1', 'tuto/2', '--csv'],
  ['runs', 'compare', 'tuto/1', 'tuto/2', '-o', 'report', '--no-latency'],
  ['study', 'study.yaml', '--dry-run'],
  ['report', 'study.yaml', '--no-latency'],
  ['eval', 'tuto/1'],
  ['freeze', 'tuto/1', '-o', 'out.onnx'],
  ['train', '--resume', 'tuto/1', '--steps', '5'],
];

const records = ['config.json', 'status.json', 'metrics.jsonl', 'environment.json', 'evaluation.json'] as const;

export const runFolders: Family = ({ folder, fixtures, draw }) => {
  copyFixtures(fixtures, folder, 'pictures', 'runs', 'study.yaml');
  const run = join(folder, 'runs/tuto/1');
  copyFixtures({ ...fixtures, folder }, join(folder, 'copy'), 'runs/tuto/1');
  renameSync(join(folder, 'copy/runs/tuto/1'), join(folder, 'runs/tuto/2'));
  const what = draw.below(5) === 0 ? oddEntry(folder, run, draw) : oddRecord(run, draw);
  const args = draw.pick(commands);
  // A run that is continued, or indexed, gets on.
  return {
    what,
    args,
    mayChange: args.includes('--resume') ? /^runs\/tuto\/1\/(?!checkpoints|config)/ : /^runs\/\.index\.json$/,
  };
};

function oddRecord(run: string, draw: Draw): string {
  const name = draw.pick(records);
  const path = join(run, name);
  const bytes = new Uint8Array(readFileSync(path));
  const write = ({ bytes: odd, what }: { readonly bytes: Uint8Array; readonly what: string }) => {
    writeFileSync(path, odd);
    return `${name}: ${what}`;
  };
  switch (draw.below(6)) {
    case 0:
      return write(truncated(bytes, draw, [0, 1, bytes.length - 1]));
    case 1:
      return write(anotherFile(draw));
    case 2:
      return write(flipped(bytes, draw));
    case 3: {
      const odd = draw.pick(oddJson);
      writeFileSync(path, JSON.stringify(odd));
      return `${name}: ${short(odd)}`;
    }
    default: {
      const lines = new TextDecoder().decode(bytes).trim();
      const [first, ...rest] = name === 'metrics.jsonl' ? lines.split('\n') : [lines];
      const { value, what } = mutateJson(JSON.parse(first!), draw);
      writeFileSync(path, [JSON.stringify(value), ...rest, ''].join('\n'));
      return `${name}: ${what}`;
    }
  }
}

function oddEntry(folder: string, run: string, draw: Draw): string {
  const file = (path: string, text: string) => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  switch (draw.below(9)) {
    case 0:
      file('runs/tuto/3', '');
      return 'a file where a run should be';
    case 1:
      file('runs/notes.txt', 'hello');
      return 'a file among the models';
    case 2:
      file('runs/tuto/1/lock-0001', '{"pid":999999,"host":"elsewhere"}');
      return 'a lock with leading zeros';
    case 3: {
      const lock = draw.pick([
        'null',
        '[]',
        '{}',
        '',
        '{"pid":"x","host":1}',
        '{"pid":-1,"host":"vm"}',
        '{"pid":1e99,"host":null}',
      ]);
      file('runs/tuto/1/lock-1', lock);
      return `a lock that says ${JSON.stringify(lock)}`;
    }
    case 4: {
      const lines = Array.from({ length: 125_000 }, (_, i) => JSON.stringify({ step: i, 'train/loss': 1, 'test/accuracy': 0.5 }));
      writeFileSync(join(run, 'metrics.jsonl'), lines.join('\n'));
      return '125,000 lines of metrics';
    }
    case 5:
      file(`runs/tuto/${'9'.repeat(15)}/config.json`, '{}');
      return 'a run of fifteen digits';
    case 6:
      file('runs/t\u001b[31mred/1/config.json', '{}');
      return 'a model with an escape sequence in its name';
    case 7: {
      const name = draw.pick(['step-999999999999.safetensors', 'step-0.safetensors', 'step-000000009.safetensors', '.x.tmp']);
      file(`runs/tuto/1/checkpoints/${name}`, '');
      return `an empty checkpoint called ${name}`;
    }
    default:
      if (existsSync(join(run, 'checkpoints'))) renameSync(join(run, 'checkpoints'), join(run, 'elsewhere'));
      return 'no checkpoints';
  }
}
