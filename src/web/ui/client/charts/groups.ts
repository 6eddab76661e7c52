/** Runs put together by what they have in common. */
import type { RunRow } from '../../protocol.ts';

export interface ShownRun {
  readonly id: string;
  readonly label: string;
  readonly row: RunRow;
  /** Of its line, where it is drawn by itself. */
  readonly colour: string;
  readonly dash: readonly number[];
}

export interface Group {
  readonly name: string;
  readonly runs: readonly ShownRun[];
}

/** By everything but the seed. */
export const byExperiment = 'experiment';
export const notGrouped = 'none';

/** Keys of no interest to what was trained. */
const operational = new Set([
  'threads',
  'evalEvery',
  'saveEvery',
  'saveEverySeconds',
  'logEvery',
  'keepCheckpoints',
  'initChecksum',
  'teacherChecksum',
]);

/** Dotted keys of the configuration in which some of the runs differ, the seed left out. */
export function differingKeys(rows: readonly RunRow[]): string[] {
  const values = new Map<string, Set<string | undefined>>();
  const configs = rows.flatMap(({ choices }) => (choices === undefined ? [] : [choices.config]));
  for (const config of configs) {
    for (const [key, value] of Object.entries(config)) values.set(key, (values.get(key) ?? new Set()).add(value));
  }
  for (const [key, different] of values) if (configs.some((config) => !(key in config))) different.add(undefined);
  return [...values].filter(([key, { size }]) => size > 1 && key !== 'seed' && !operational.has(key)).map(([key]) => key);
}

/** Groups by a dotted key, or by the experiment; in the order of their first runs. */
export function groupRuns(runs: readonly ShownRun[], key: string): Group[] {
  const differing = differingKeys(runs.map(({ row }) => row));
  const groups = new Map<string, ShownRun[]>();
  for (const run of runs) {
    const { choices, id } = run.row;
    const keys = key === byExperiment ? differing : [key];
    const identity = choices === undefined ? id : JSON.stringify(keys.map((each) => choices.config[each] ?? null));
    groups.set(identity, [...(groups.get(identity) ?? []), run]);
  }
  const names = new Map<string, number>();
  return [...groups.values()].map((members) => {
    const name = key === byExperiment ? experimentName(members[0]!.row, differing) : valueName(members[0]!.row, key);
    const count = (names.get(name) ?? 0) + 1;
    names.set(name, count);
    return { name: count === 1 ? name : `${name} (${count})`, runs: members };
  });
}

function valueName({ choices, id }: RunRow, key: string): string {
  return choices === undefined ? id : `${shortKey(key)} ${choices.config[key] ?? '–'}`;
}

/** In words: of what is chosen for a run, as far as the others differ in it, what its recipe does not say. */
function experimentName({ choices, model, id }: RunRow, differing: readonly string[]): string {
  if (choices === undefined) return id;
  const { recipe, dataset, config, changes } = choices;
  const main = { recipe, dataset, steps: `${config['steps'] ?? '?'} steps` };
  const told = Object.entries(main).flatMap(([each, text]) => (differing.includes(each) ? [text] : []));
  const changed = Object.entries(changes).flatMap(([each, value]) =>
    differing.includes(each) ? [`${shortKey(each)} ${value}`] : [],
  );
  return [model, ...told, ...changed].join(', ');
}

/** `lrn` of `model.lrn`, `type` of `schedule.type` with what it is of. */
export function shortKey(key: string): string {
  return key.replace(/^model\./, '').replace(/\.(type|rule)$/, '');
}
