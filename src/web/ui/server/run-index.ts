/**
 * The runs in a folder, as rows of a table. Each look reads only what has changed since the last: the stamps of a run's files say so.
 * Nothing is written, and nothing in a folder can end the server: what cannot be read is a row that says why.
 */
import { join, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as z from 'zod';
import { validationCount } from '../../../data/image-set.ts';
import { flatten } from '../../../report/gather.ts';
import { createChooser } from '../../../report/run-choices.ts';
import { shownDataset } from '../../../report/shown-dataset.ts';
import { readLastRecords } from '../../../runs/metrics-follower.ts';
import type { MetricsRecord } from '../../../runs/metrics.ts';
import { allRuns, metricsPath, modelFolders, readConfig, runName, type Run } from '../../../runs/run-folder.ts';
import { whyUnreadable } from '../../../runs/run-list.ts';
import { currentStatus, shownState, statusPath, tryStatus, unknownStatus, type RunStatus } from '../../../runs/run-status.ts';
import type { TrainingConfig } from '../../../train/config-schema.ts';
import { messageOf } from '../../../util/errors.ts';
import { stampOf, statIfReachable } from '../../../util/regular-file.ts';
import type { RowChoices, RunRow } from '../protocol.ts';
import { createNetworkFacts, trainingImages } from './run-network.ts';

export interface RunIndex {
  readonly rows: ReadonlyMap<string, RunRow>;
  /** Why the folder cannot be read; undefined for one that can, and for one that is not there yet. */
  readonly problem: string | undefined;
  /** The run of a name that the folder has. Names of anything else lead nowhere. */
  run(id: string): Run | undefined;
  /** What its configuration says, unchecked; undefined for one that cannot be read. */
  config(id: string): TrainingConfig | undefined;
  /** Looks at all folders. */
  scan(): Promise<RowChanges>;
  /** Looks at runs that are trained now. */
  look(): RowChanges;
}

export interface RowChanges {
  readonly changed: readonly RunRow[];
  readonly removed: readonly string[];
  /** Runs that have new records, or other ones. */
  readonly grown: readonly string[];
}

interface Entry {
  readonly run: Run;
  /** Of its configuration: another one is another run. */
  readonly configStamp: string;
  readonly config: TrainingConfig | undefined;
  readonly choices: RowChoices | undefined;
  readonly createdMs: number;
  status: RunStatus;
  statusProblem: string | undefined;
  statusStamp: string | undefined;
  /** Of its metrics, as they were when they were last looked at, and when its last records were read. */
  metricsStamp: string | undefined;
  recordsStamp: string | undefined;
  /** When it was looked at, beyond whether it has grown. */
  lookedMs: number;
  records: readonly MetricsRecord[];
  row: RunRow;
}

const basics = z.object({
  recipe: z.string(),
  seed: z.number(),
  dataset: z.string(),
  batchSize: z.number().positive(),
  val: z.unknown(),
});

/** Runs that are looked at without a pause for others. */
const atOnce = 25;
/** Rows of runs that are trained follow their records so often. */
const rowEveryMs = 1000;

/**
 * @param root the folder of all runs
 * @param studiesOf the studies that a run belongs to
 */
export function createRunIndex(root: string, studiesOf: (id: string) => readonly string[]): RunIndex {
  const entries = new Map<string, Entry>();
  const rows = new Map<string, RunRow>();
  const chooser = createChooser();
  const networkFacts = createNetworkFacts();
  let problem: string | undefined;

  /** Of any configuration that says what every row shows, also of a recipe or a model that there is no more. */
  function choicesOf(run: Run, config: TrainingConfig): RowChoices {
    const { recipe, seed, dataset, batchSize, val } = basics.parse(config);
    const network = attempt(() => networkFacts(run, config));
    const images = Object.hasOwn(trainingImages, dataset) ? trainingImages[dataset] : undefined;
    const trainImages = images === undefined ? undefined : val === true ? images - validationCount(images) : images;
    return {
      ...{ recipe, seed, batchSize },
      changes: attempt(() => chooser(config).changes) ?? {},
      dataset: shownDataset(dataset),
      config: flatten(config),
      ...network,
      ...(trainImages !== undefined && { trainImages }),
    };
  }

  function open(run: Run, configStamp: string, createdMs: number): Entry {
    const config = attempt(() => readConfig(run) as TrainingConfig);
    const choices = config && attempt(() => choicesOf(run, config));
    const metricsStamp = stampOf(metricsPath(run));
    const entry = {
      ...{ run, configStamp, config, choices, createdMs },
      ...readStatus(run),
      metricsStamp,
      recordsStamp: metricsStamp,
      lookedMs: performance.now(),
      records: lastRecords(run),
    };
    return { ...entry, row: rowOf(entry) };
  }

  function rowOf({ run, status, statusProblem, choices, records, createdMs }: Omit<Entry, 'row'>): RunRow {
    const now = currentStatus(status);
    const latest = (key: string) => records.findLast(({ metrics }) => metrics[key] !== undefined)?.metrics[key];
    const id = runName(run);
    const state = statusProblem !== undefined ? 'unreadable' : shownState(now);
    const known = {
      reason: statusProblem ?? now.reason,
      accuracy: now.accuracy,
      trainLoss: finite(latest('train/loss')),
      imagesPerSecond: finite(latest('train/imagesPerSecond')),
      secondsLeft: state === 'running' && choices ? secondsLeft(now, records, choices.batchSize) : undefined,
      choices,
    };
    return {
      ...{ id, model: run.model, state, step: now.step, steps: now.steps },
      ...{
        updatedMs: Math.max(dateMs(now.updatedAt), dateMs(records.at(-1)?.time ?? '')),
        createdMs,
        host: now.host,
        studies: studiesOf(id),
      },
      ...present(known),
    };
  }

  /** Whether the row is another one than before. */
  function renew(entry: Entry): boolean {
    const before = JSON.stringify(entry.row);
    entry.row = rowOf(entry);
    rows.set(entry.row.id, entry.row);
    return JSON.stringify(entry.row) !== before;
  }

  /** Looks at a run that is known. @returns whether its row has changed */
  function lookAt(entry: Entry): boolean {
    entry.lookedMs = performance.now();
    const { statusStamp, recordsStamp, row } = entry;
    if (stampOf(statusPath(entry.run)) !== statusStamp) Object.assign(entry, readStatus(entry.run));
    if (entry.metricsStamp !== recordsStamp) {
      entry.recordsStamp = entry.metricsStamp;
      entry.records = lastRecords(entry.run);
    }
    const isSame =
      entry.statusStamp === statusStamp && entry.recordsStamp === recordsStamp && row.studies.join() === studiesOf(row.id).join();
    // A run that says that it is trained may have been killed since.
    return (!isSame || row.state === 'running') && renew(entry);
  }

  /** Whether there are other records than when it was last asked. */
  function hasGrown(entry: Entry): boolean {
    const stamp = stampOf(metricsPath(entry.run));
    if (stamp === entry.metricsStamp) return false;
    entry.metricsStamp = stamp;
    return true;
  }

  function removeMissing(found: ReadonlySet<string>): string[] {
    const removed = [...rows.keys()].filter((id) => !found.has(id));
    for (const id of removed) {
      rows.delete(id);
      entries.delete(id);
    }
    return removed;
  }

  function unreadableFolder(model: string, reason: string): RunRow {
    const { step, steps, host } = unknownStatus(reason);
    return { id: model, model, state: 'unreadable', reason, step, steps, host, updatedMs: 0, createdMs: 0, studies: [] };
  }

  return {
    rows,
    get problem() {
      return problem;
    },
    run: (id) => entries.get(id)?.run,
    config: (id) => entries.get(id)?.config,

    async scan() {
      const changed: RunRow[] = [];
      const grown: string[] = [];
      const found = new Set<string>();
      let models: readonly string[] = [];
      try {
        models = modelFolders(root);
        problem = undefined;
      } catch (error) {
        problem = messageOf(error);
      }
      let looked = 0;
      for (const model of models) {
        const why = whyUnreadable(join(resolve(root), model));
        if (why !== undefined) {
          found.add(model);
          const row = unreadableFolder(model, why);
          if (rows.get(model)?.reason !== why) changed.push(row);
          rows.set(model, row);
          continue;
        }
        for (const run of allRuns(root, [model])) {
          const id = runName(run);
          const config = statIfReachable(join(run.path, 'config.json'));
          // A folder without one is no run, or one that is being removed.
          if (config === undefined) continue;
          found.add(id);
          const stamp = `${config.ino}-${config.mtimeMs}-${config.size}`;
          const known = entries.get(id);
          if (known?.configStamp !== stamp) {
            const entry = open(run, stamp, config.mtimeMs);
            entries.set(id, entry);
            rows.set(id, entry.row);
            changed.push(entry.row);
          } else {
            if (hasGrown(known)) grown.push(id);
            if (lookAt(known)) changed.push(known.row);
          }
          if (++looked % atOnce === 0) await nextTurn();
        }
      }
      return { changed, removed: removeMissing(found), grown };
    },

    look() {
      const changed: RunRow[] = [];
      const grown: string[] = [];
      for (const entry of entries.values()) {
        if (entry.row.state !== 'running') continue;
        if (hasGrown(entry)) grown.push(entry.row.id);
        if (performance.now() - entry.lookedMs >= rowEveryMs && lookAt(entry)) changed.push(entry.row);
      }
      return { changed, removed: [], grown };
    },
  };
}

function readStatus(run: Run): Pick<Entry, 'status' | 'statusProblem' | 'statusStamp'> {
  // Before it is read: what is written meanwhile has another stamp.
  const statusStamp = stampOf(statusPath(run));
  const { status, problem } = tryStatus(run);
  return { status: status ?? unknownStatus(problem), statusProblem: problem, statusStamp };
}

function lastRecords(run: Run): readonly MetricsRecord[] {
  try {
    return readLastRecords(metricsPath(run));
  } catch {
    return []; // None yet, or none that can be read: the row then says nothing of them.
  }
}

/** At the speed of the last records by the clock, evaluations included; where that says nothing, at the speed of the steps alone. */
function secondsLeft({ step, steps }: RunStatus, records: readonly MetricsRecord[], batchSize: number): number | undefined {
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const left = Math.max(0, steps - Math.max(step, last.step));
  const elapsed = (dateMs(last.time) - dateMs(first.time)) / 1000;
  const taken = last.step - first.step;
  // A clock that jumped, or a run that was stopped in between.
  const imagesPerSecond = records.findLast(({ metrics }) => (metrics['train/imagesPerSecond'] ?? 0) > 0)?.metrics[
    'train/imagesPerSecond'
  ];
  const stepping = imagesPerSecond === undefined ? undefined : batchSize / imagesPerSecond;
  const byClock = taken > 0 && elapsed > 0 ? elapsed / taken : undefined;
  const isPlausible =
    byClock !== undefined && (stepping === undefined || (byClock >= 0.5 * stepping && byClock <= 20 * stepping));
  const perStep = isPlausible ? byClock : stepping;
  return perStep === undefined ? undefined : finite(left * perStep);
}

/** Undefined where it fails, whatever a damaged file makes of it: records of a run may hold anything. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

function dateMs(text: string): number {
  return finite(Date.parse(text)) ?? 0;
}

/** Without the keys that have no value. */
function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
