/** The studies of a folder, while they are run and afterwards: their states, and what their runs say by now. */
import { changedKeys, allKeys, costOf, summarize } from '../../../report/gather.ts';
import { designWords } from '../../../report/study-report.ts';
import { shownDataset } from '../../../report/shown-dataset.ts';
import { runHolder } from '../../../runs/run-lock.ts';
import { estimateEffects } from '../../../study/effects.ts';
import { judgeHypotheses } from '../../../study/hypotheses.ts';
import { readFileResult } from '../../../study/file-results.ts';
import { runIdentity } from '../../../study/identity.ts';
import { planStudy, type PlannedRun, type StudyPlan } from '../../../study/plan.ts';
import { recordedModels } from '../../../study/recorded-models.ts';
import { parseStudyFile } from '../../../study/study-file.ts';
import {
  readStudyState,
  statePath,
  studyFolder,
  studyNames,
  type StudyRun,
  type StudyState,
} from '../../../study/study-state.ts';
import { verdictOf } from '../../../study/verdict.ts';
import { checkConfig } from '../../../train/complete-config.ts';
import { messageOf } from '../../../util/errors.ts';
import { statIfReachable } from '../../../util/regular-file.ts';
import { quoted } from '../../../util/shell.ts';
import type { CellState, RunRow, StudyCell, StudySummary, StudyVariant, StudyView } from '../protocol.ts';
import type { RunIndex } from './run-index.ts';

export interface Studies {
  /** The studies that a run belongs to. */
  of(id: string): readonly string[];
  /** Looks at the folder. @returns whether a study is new, gone or changed */
  scan(): boolean;
  summaries(): StudySummary[];
  /** Undefined if there is no such study. */
  view(name: string): StudyView | undefined;
}

interface Entry {
  readonly stamp: string;
  readonly state: StudyState | undefined;
  readonly problem: string | undefined;
  readonly title: string;
  /** Made when it is asked for. */
  plan?: StudyPlan;
  /** Whether a run computes what the plan says, by name: a number may be given again after a run was removed. */
  readonly checked: Map<string, { readonly createdMs: number; readonly isSame: boolean }>;
}

const none: readonly string[] = [];

/** @param index of the runs, which may ask `of` before it is there */
export function createStudies(runsFolder: string, index: () => RunIndex): Studies {
  const entries = new Map<string, Entry>();
  let byRun = new Map<string, readonly string[]>();

  function read(name: string, stamp: string): Entry {
    const entry = { stamp, state: undefined, problem: undefined, title: name, checked: new Map<string, never>() };
    try {
      const state = readStudyState(runsFolder, name);
      if (state === undefined) return entry;
      return {
        ...entry,
        state,
        title: parseStudyFile(state.file.text, state.file.path, state.dataset.name).source.title ?? name,
      };
    } catch (error) {
      return { ...entry, problem: messageOf(error) };
    }
  }

  function sortByRun(): void {
    byRun = new Map();
    for (const [name, { state }] of entries) {
      for (const { run } of state?.runs ?? []) {
        const known = run === undefined ? none : (byRun.get(run) ?? none);
        if (run !== undefined && !known.includes(name)) byRun.set(run, [...known, name]);
      }
    }
  }

  function summarizeStudy(name: string, { state, problem, stamp, title }: Entry): StudySummary {
    const cells = (state?.runs ?? []).map((run) => cellState(run, index().rows.get(run.run ?? '')));
    const count = (...states: readonly CellState[]) => cells.filter((each) => states.includes(each)).length;
    return {
      name,
      title,
      updatedMs: Date.parse(state?.updatedAt ?? '') || Number(stamp.split('-')[1]) || 0,
      runs: cells.length,
      finished: count('finished'),
      running: count('running'),
      failed: count('failed', 'diverged'),
      ...(problem !== undefined && { problem }),
    };
  }

  function isSameRun(entry: Entry, planned: PlannedRun, row: RunRow): boolean {
    const known = entry.checked.get(row.id);
    if (known?.createdMs === row.createdMs) return known.isSame;
    const isSame = identityOf(index(), row.id) === planned.identity;
    entry.checked.set(row.id, { createdMs: row.createdMs, isSame });
    return isSame;
  }

  function cellOf(entry: Entry, planned: PlannedRun, recorded: StudyRun | undefined): StudyCell {
    const { seed, config, quantization } = planned;
    const named = index().rows.get(recorded?.run ?? '');
    const row = named && isSameRun(entry, planned, named) ? named : undefined;
    const state = recorded === undefined ? 'waiting' : cellState(recorded, row);
    const run = row && index().run(row.id);
    const accuracy =
      state !== 'finished' || run === undefined
        ? undefined
        : quantization === undefined
          ? row?.accuracy
          : readFileResult(run, quantization)?.evaluation.accuracy;
    const reason = recorded?.reason ?? row?.reason;
    return {
      ...{ seed, state, step: row?.step ?? 0, steps: config.steps },
      ...(row !== undefined && { id: row.id }),
      ...(reason !== undefined && state !== 'finished' && { reason }),
      ...(accuracy !== undefined && { accuracy }),
    };
  }

  /** Seconds that a run takes in all, from what is recorded of it; undefined where that says nothing. */
  function durationOf({ id }: StudyCell): number | undefined {
    const row = id === undefined ? undefined : index().rows.get(id);
    if (row?.imagesPerSecond === undefined || row.choices === undefined || row.step === 0) return undefined;
    const stepping = (row.step * row.choices.batchSize) / row.imagesPerSecond;
    const byClock = (row.updatedMs - row.createdMs) / 1000;
    // Evaluations are long in short runs; what is longer still was an interruption, or a copy of the folder.
    const taken = byClock >= stepping && byClock <= 20 * stepping ? byClock : stepping;
    return (taken * row.steps) / row.step;
  }

  function secondsLeft(variants: readonly StudyVariant[]): number | undefined {
    const cells = variants.flatMap(({ runs, operations }) => runs.map((cell) => ({ cell, work: cell.steps * operations })));
    const known = cells.flatMap(({ cell, work }) => {
      const seconds = durationOf(cell);
      return seconds === undefined || work === 0 ? [] : [seconds / work];
    });
    const perWork = known.length === 0 ? undefined : known.reduce((sum, each) => sum + each, 0) / known.length;
    let left = 0;
    let running = 0;
    for (const { runs, operations } of variants) {
      const own = runs.flatMap((cell) => durationOf(cell) ?? []);
      const duration = own.length === 0 ? undefined : own.reduce((sum, each) => sum + each, 0) / own.length;
      for (const cell of runs) {
        if (!isOpen(cell.state)) continue;
        const whole = duration ?? (perWork === undefined ? undefined : perWork * cell.steps * operations);
        if (whole === undefined) return undefined;
        left += whole * (1 - Math.min(1, cell.step / cell.steps));
        if (cell.state === 'running') running++;
      }
    }
    return left / Math.max(1, running);
  }

  return {
    of: (id) => byRun.get(id) ?? none,

    scan() {
      let changed = false;
      const found = new Set<string>();
      for (const name of studyNames(runsFolder)) {
        const file = statIfReachable(statePath(runsFolder, name));
        if (file === undefined) continue;
        found.add(name);
        const stamp = `${file.ino}-${file.mtimeMs}-${file.size}`;
        if (entries.get(name)?.stamp === stamp) continue;
        const before = entries.get(name);
        const after = read(name, stamp);
        const isSamePlan =
          before?.state !== undefined && after.state !== undefined && planKey(before.state) === planKey(after.state);
        entries.set(
          name,
          isSamePlan && before.plan !== undefined ? { ...after, plan: before.plan, checked: before.checked } : after,
        );
        changed = true;
      }
      for (const name of entries.keys()) {
        if (found.has(name)) continue;
        entries.delete(name);
        changed = true;
      }
      if (changed) sortByRun();
      return changed;
    },

    summaries: () => [...entries].map(([name, entry]) => summarizeStudy(name, entry)).sort((a, b) => b.updatedMs - a.updatedMs),

    view(name) {
      const entry = entries.get(name);
      if (entry === undefined) return undefined;
      const summary = summarizeStudy(name, entry);
      const { state } = entry;
      const empty: StudyView = {
        ...summary,
        split: 'test',
        ...{ description: '', design: '', dataset: '', synthetic: false, seeds: [], isRunning: false },
        ...{ variants: [], hypotheses: [], effects: [], command: '' },
      };
      if (state === undefined) return empty;
      try {
        const plan = (entry.plan ??= planStudy(
          parseStudyFile(state.file.text, state.file.path, state.dataset.name),
          state.dataset,
          recordedModels(state, runsFolder),
        ));
        const recorded = new Map(state.runs.map((run) => [`${run.seed} ${run.variant}`, run]));
        const { design } = plan;
        const baseline = plan.runs.find(({ variant }) => variant === (design.reference ?? design.variants[0]!.name))!;
        const variants = design.variants.map(({ name: variant }): StudyVariant => {
          const runs = plan.runs.filter((run) => run.variant === variant);
          const cells = runs.map((run) => cellOf(entry, run, recorded.get(`${run.seed} ${variant}`)));
          const { parameters, operations, bytes } = costOf(runs[0]!.classifier.network, undefined);
          const accuracy = summarize(cells.flatMap((cell) => cell.accuracy ?? []));
          const changes = changedKeys(allKeys(runs[0]!), allKeys(baseline));
          return {
            name: variant,
            changes,
            parameters,
            operations,
            bytes,
            runs: cells,
            ...(accuracy !== undefined && { accuracy }),
          };
        });
        const outcomes = variants.flatMap(({ name: variant, runs }) =>
          runs.flatMap(({ seed, accuracy }) => (accuracy === undefined ? [] : [{ variant, seed, accuracy }])),
        );
        const effects = estimateEffects(design.contrasts, outcomes);
        const left = secondsLeft(variants);
        return {
          ...summary,
          description: plan.description,
          design: designWords[design.name],
          dataset: shownDataset(state.dataset.name),
          synthetic: state.dataset.synthetic,
          split: baseline.config.val ? 'val' : 'test',
          seeds: design.seeds,
          ...(design.reference !== undefined && { reference: design.reference }),
          isRunning: isHeld(studyFolder(runsFolder, name)),
          ...(left !== undefined && { secondsLeft: left }),
          variants,
          hypotheses: judgeHypotheses(design.hypotheses, effects),
          effects: effects.map((effect) => ({ ...effect, verdict: verdictOf(effect) })),
          command: `npx ablate study ${quoted(state.file.path)}`,
        };
      } catch (error) {
        return { ...empty, problem: messageOf(error) };
      }
    },
  };
}

/** What the study says of a run, and what the run itself says by now. */
function cellState({ state, run }: StudyRun, row: RunRow | undefined): CellState {
  if (state === 'stopped') return state;
  if (row !== undefined) return row.state === 'interrupted' && row.step === 0 ? 'waiting' : row.state;
  return run === undefined || state === 'running' ? 'waiting' : state;
}

function isOpen(state: CellState): boolean {
  return state === 'running' || state === 'waiting' || state === 'interrupted';
}

function planKey({ file, dataset }: StudyState): string {
  return JSON.stringify([file, dataset]);
}

function identityOf(index: RunIndex, id: string): string | undefined {
  try {
    return runIdentity(checkConfig(index.config(id)));
  } catch {
    return undefined; // Damaged, or of another version.
  }
}

/** Whether a process works at what is in a folder. */
function isHeld(folder: string): boolean {
  try {
    return runHolder({ path: folder, model: folder, number: undefined }) !== undefined;
  } catch {
    return false;
  }
}
