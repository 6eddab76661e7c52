import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recordRun } from '../../test/recorded-runs.ts';
import { told } from '../../test/told.ts';
import { watchFs, type FsCall } from '../../test/watched-fs.ts';
import { modelDefinition } from '../models/registry.ts';
import { openRun } from '../runs/run-folder.ts';
import { recordedClassifier } from '../train/classifier-record.ts';
import { recordedModels } from './recorded-models.ts';
import type { StudyRun, StudyState } from './study-state.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ablate-recorded-models-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A run of a model of the user's own, with the network of one of the lab's. */
function ownRun(number: number, changes: object, file?: string): string {
  const path = recordRun(folder, { number, records: 1, evaluations: 1 });
  const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8')) as object;
  writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, ...changes }));
  if (file !== undefined) writeFileSync(join(path, 'model-file.json'), JSON.stringify({ path: file, sha256: '0' }));
  return `tuto/${number}`;
}

const dataset = {
  name: 'd',
  fingerprint: 'f',
  synthetic: false,
  classes: ['a'],
  shape: [3, 32, 32],
  train: { count: 9 },
} as const;

/** A study with a baseline and one change, `width 8` in all of its names. */
function stateOf(runs: readonly Partial<StudyRun>[], set = '{ model.width: 8 }'): StudyState {
  const text = `
name: s
baseline: { model: net.ts }
design: one-at-a-time
factors: [{ name: changed, set: ${set} }]
seeds: [1]
`;
  const complete = runs.map((run) => ({ variant: 'baseline', seed: 1, state: 'finished', ...run }) as const);
  return { name: 's', file: { path: 's.yaml', text }, dataset, runs: complete, updatedAt: '' };
}

const size = { channels: 3, height: 24, width: 24 };
const notRecorded = (what: string) => ({
  kind: 'ConfigurationError',
  message: `no run of the study has recorded the network of ${what}`,
  fix: 'run the study again: it trains what is missing',
});

test("the lab's models are as ever, whatever the runs", () => {
  expect(recordedModels(stateOf([]), folder)('tuto')).toEqual({ definition: modelDefinition('tuto'), file: undefined });
});

describe("the user's models", () => {
  test('are those that runs have recorded, by their names', () => {
    const run = ownRun(1, { model: 'own', modelSettings: { width: 16, deep: true } });
    const other = ownRun(2, { model: 'another', modelSettings: { width: 3 } });
    const find = recordedModels(stateOf([{ run }, { run: other }]), folder);
    const { definition, file } = find('own');
    const { build, ...facts } = definition;
    expect([facts, file]).toEqual([
      {
        name: 'own',
        summary: '',
        settings: {
          width: { type: 'number', default: 16, summary: '', min: -Number.MAX_VALUE, max: Number.MAX_VALUE },
          deep: { type: 'boolean', default: true, summary: '' },
        },
        weightDecay2017: facts.weightDecay2017,
        defaultInputSize: 1,
      },
      undefined,
    ]);
    const { network } = recordedClassifier(openRun(join(folder, run)))!;
    expect(build({ width: 16, deep: true }, size, 10)).toEqual(network);
    expect(find('another').definition.settings['width']).toMatchObject({ default: 3 });
    expect(told(() => find('third'))).toEqual(notRecorded('third'));
  });

  test('by the files that the study names, which may be gone', () => {
    const first = ownRun(1, { model: 'own', modelSettings: {} }, '/home/a/nets/net.ts');
    const second = ownRun(2, { model: 'own', modelSettings: {} });
    const find = recordedModels(stateOf([{ run: second }, { run: first }]), folder);
    expect(find('net.ts').definition.name).toBe('own');
    expect(find('nets/net.ts').definition.name).toBe('own');
    expect(told(() => find('et.ts'))).toEqual(notRecorded('et.ts'));
    expect(told(() => find('own.ts'))).toEqual(notRecorded('own.ts'));
  });

  test('have networks of the sizes and settings that were trained', () => {
    const run = ownRun(1, { model: 'own', modelSettings: { width: 16, deep: true } });
    const { build } = recordedModels(stateOf([{ run }]), folder)('own').definition;
    const refused = (settings: Parameters<typeof build>[0], input = size) => told(() => build(settings, input, 10));
    expect(refused({ width: 16, deep: false })).toEqual(notRecorded('own with {"width":16,"deep":false}'));
    expect(refused({ width: 8, deep: true })).toEqual(notRecorded('own with {"width":8,"deep":true}'));
    const right = { width: 16, deep: true };
    expect(build(right, size, 10).inputShape).toEqual([3, 24, 24]);
    for (const wrong of [{ channels: 1 }, { height: 23 }, { width: 25 }]) {
      expect(refused(right, { ...size, ...wrong })).toEqual(notRecorded('own with {"width":16,"deep":true}'));
    }
  });

  test('have for defaults what the runs have whose variants do not set it, and the values of all runs', () => {
    const settings = (width: number, kind: string) => ({ model: 'own', modelSettings: { width, kind } });
    const changed = ownRun(1, settings(8, 'b'));
    const usual = ownRun(2, settings(16, 'a'));
    const runs = [{ run: changed, variant: 'changed' }, { run: usual }];
    const settingsOf = (set?: string) => recordedModels(stateOf(runs, set), folder)('own').definition.settings;
    const kinds = (first: string) => ({ type: 'choice', default: first, choices: first === 'a' ? ['a', 'b'] : ['b', 'a'] });
    for (const set of ['{ model.width: 8 }', '{ width: 8 }', '{ modelSettings.width: 8 }']) {
      expect(settingsOf(set)).toMatchObject({ width: { default: 16 }, kind: kinds('b') });
    }
    expect(settingsOf('{ model.kind: b }')).toMatchObject({ width: { default: 8 }, kind: kinds('a') });
    expect(settingsOf('{ steps: 5 }')).toMatchObject({ width: { default: 8 }, kind: kinds('b') });
    // All set it: the first that is known.
    const both = [
      { run: changed, variant: 'changed' },
      { run: usual, variant: 'changed' },
    ];
    expect(recordedModels(stateOf(both), folder)('own').definition.settings).toMatchObject({ width: { default: 8 } });
  });
});

describe("the user's augmentations", () => {
  const augmented = (number: number, strength: number) =>
    ownRun(number, {
      augmentWith: '/home/a/code/blur.ts',
      augmentationChecksum: `checksum of ${number}`,
      augmentWithSettings: { strength },
    });

  test('are those that runs have recorded', () => {
    const plain = ownRun(1, {});
    const changed = augmented(2, 5);
    const usual = augmented(3, 2);
    const runs = [{ run: plain }, { run: changed, variant: 'changed' }, { run: usual }];
    const { augmentation } = recordedModels(stateOf(runs, '{ augmentWith.strength: 5 }'), folder);
    const { keys, records } = augmentation!('code/blur.ts')!;
    const config = { augmentWithSettings: {} } as Parameters<typeof keys>[0];
    expect([keys(config), records]).toEqual([
      {
        augmentWith: '/home/a/code/blur.ts',
        augmentationChecksum: 'checksum of 2',
        augmentWithSettings: { strength: 2 },
      },
      {},
    ]);
    expect(keys({ ...config, augmentWithSettings: { strength: 4 } }).augmentWithSettings).toEqual({ strength: 4 });
    expect(told(() => keys({ ...config, augmentWithSettings: { weak: 4 } })).message).toBe(
      'augmentation "code/blur.ts" has no setting "weak".',
    );
    expect(augmentation!('lur.ts')).toBeUndefined();
  });

  test('are none where no run has one', () => {
    const { augmentation } = recordedModels(stateOf([{ run: ownRun(1, {}) }]), folder);
    expect([augmentation!('none'), augmentation!('')]).toEqual([undefined, undefined]);
  });
});

test('runs that were not started, are gone, or cannot be read are not in the way', () => {
  const own = { model: 'own', modelSettings: {} };
  const [run, damaged, wrong, without] = [ownRun(1, own), ownRun(2, own), ownRun(3, own), ownRun(4, own)];
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write(`${damaged}/classifier.json`, '{');
  write(`${wrong}/config.json`, '{"model":"own","steps":"many"}');
  rmSync(join(folder, without, 'classifier.json'));
  const bad = [{}, { run: 'tuto/9' }, { run: damaged }, { run: wrong }, { run: without }];
  expect(told(() => recordedModels(stateOf(bad), folder)('own'))).toEqual(notRecorded('own'));
  expect(recordedModels(stateOf([...bad, { run: run, variant: 'of another study' }]), folder)('own').definition.name).toBe('own');
});

test('a defect of the program is not taken for a run that cannot be read', () => {
  const find = recordedModels(stateOf([{ run: ownRun(1, {}) }]), folder);
  const failing = ({ path }: FsCall) => {
    if (path.endsWith('classifier.json')) throw new TypeError('a defect');
  };
  expect(() => watchFs(failing, () => find('own'))).toThrow('a defect');
});

test('runs are read once, when they are asked for', () => {
  const run = ownRun(1, { model: 'own', modelSettings: {} });
  const find = recordedModels(stateOf([{ run }]), folder);
  expect(find('own').definition.name).toBe('own');
  rmSync(join(folder, run), { recursive: true });
  expect(find('own').definition.name).toBe('own');
});

test('a study whose file cannot be used says so', () => {
  const state = stateOf([]);
  const find = recordedModels({ ...state, file: { path: 's.yaml', text: 'name: s' } }, folder);
  expect(() => find('own')).toThrow(/^s\.yaml:1: /);
});
