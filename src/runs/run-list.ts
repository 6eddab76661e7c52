import { allRuns, runName, type Run } from './run-folder.ts';
import { readStatus, type RunState, type RunStatus } from './run-status.ts';

export interface RunFilter {
  /** Only runs of this model. */
  readonly model?: string;
  /** Only runs in this state now. */
  readonly status?: RunState;
}

/** A row of the list of runs. */
export interface RunSummary extends RunStatus, Run {
  /** `tuto/3`. */
  readonly run: string;
}

/**
 * The runs under `root`, by model and number; none if the folder is missing. One small file is read for each run, so that ten
 * thousand take about a second.
 */
export function listRuns(root: string, filter: RunFilter = {}): RunSummary[] {
  const runs = filter.model === undefined ? allRuns(root) : allRuns(root, [filter.model]);
  const summaries = runs.map((run) => ({ run: runName(run), ...run, ...readStatus(run) }));
  return filter.status === undefined ? summaries : summaries.filter(({ status }) => status === filter.status);
}
