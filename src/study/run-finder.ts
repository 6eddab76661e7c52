/**
 * Finds recorded runs by what they compute. The identities of runs are kept in `<runs>/.studies/.identities.json` (no study has a name with a dot in front), as configurations never
 * change; the file is a cache, and without it all configurations are read again.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { latestCheckpoint } from '../runs/checkpoint.ts';
import { allRuns, readConfig, runName, type Run } from '../runs/run-folder.ts';
import { readSafetensorsMetadata } from '../runs/safetensors.ts';
import { readStatus, type RunState } from '../runs/run-status.ts';
import { checkConfig } from '../train/complete-config.ts';
import { readEvaluation } from '../train/recorded-evaluation.ts';
import { AblateError } from '../util/errors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { recordAt } from '../util/json-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { identityFormat, runIdentity } from './identity.ts';
import { studiesFolder } from './study-state.ts';
import { stampOf } from '../util/regular-file.ts';

export interface RunFinder {
  /**
   * The run to use for what `identity` computes: a finished one before one that still runs, that before the one that came furthest.
   * Undefined if there is none, or only on other images.
   *
   * @param fingerprint of the images; undefined accepts any
   * @param isUseful what else must hold of a run
   */
  find(identity: string, fingerprint: string | undefined, isUseful?: (run: Run) => boolean): Run | undefined;
}

const cacheSchema = z.object({
  format: z.literal(identityFormat),
  /** By the name of the run: the stamp of its config.json, as a number may be given again after a run was removed. */
  runs: z.record(
    z.string(),
    z.object({
      stamp: z.string(),
      /** None of a configuration that this version cannot read. */ identity: z.string().optional(),
    }),
  ),
});

type Known = z.output<typeof cacheSchema>['runs'];

/** Looks anew at each `find` for runs that were added since. */
export function createRunFinder(runsFolder: string): RunFinder {
  const cachePath = join(studiesFolder(runsFolder), '.identities.json');
  let known = readCache(cachePath);

  function update(): ReadonlyMap<string | undefined, readonly Run[]> {
    // Of runs that have none, too: nobody asks for it.
    const byIdentity = new Map<string | undefined, Run[]>();
    const current: Known = {};
    let changed = false;
    for (const run of allRuns(runsFolder)) {
      const name = runName(run);
      const stamp = stampOf(join(run.path, 'config.json'));
      if (stamp === undefined) continue;
      let entry = known[name];
      if (entry?.stamp !== stamp) {
        entry = { stamp, identity: identityOf(run) };
        changed = true;
      }
      current[name] = entry;
      byIdentity.set(entry.identity, [...(byIdentity.get(entry.identity) ?? []), run]);
    }
    known = current;
    if (changed) writeCache(cachePath, current);
    return byIdentity;
  }

  return {
    find(identity, fingerprint, isUseful = () => true) {
      const candidates = (update().get(identity) ?? [])
        .filter((run) => isReadable(run, () => isSame(run, fingerprint) && isUseful(run)))
        .map((run) => ({ run, ...readStatus(run) }));
      candidates.sort((a, b) => preference[a.status] - preference[b.status] || b.step - a.step);
      return candidates[0]?.run;
    },
  };
}

const preference: Readonly<Record<RunState, number>> = { finished: 0, running: 1, interrupted: 2, failed: 3 };

/**
 * Whether the run was trained on these images, and was not continued to another number of steps than it was made for. A finished run whose checkpoints were removed still has its evaluation; one that has neither yet may become either.
 */
function isSame(run: Run, fingerprint: string | undefined): boolean {
  if (wasExtended(run)) return false;
  const known = fingerprintOf(run);
  if (known === undefined) return readStatus(run).status !== 'finished';
  return fingerprint === undefined || known === fingerprint;
}

/**
 * What `holds` of a run; it does not of one whose records are damaged or of another user, which is not used and not in the way. The records of one
 * that is trained at this moment may be replaced while they are read: it must not be trained twice.
 */
function isReadable(run: Run, holds: () => boolean): boolean {
  try {
    return holds();
  } catch (error) {
    if (error instanceof AblateError && readStatus(run).status !== 'running') return false;
    throw error;
  }
}

/** Of the images that a run was trained on: undefined as long as nothing says it. */
export function fingerprintOf(run: Run): string | undefined {
  const checkpoint = latestCheckpoint(run);
  return checkpoint === undefined
    ? readEvaluation(run)?.datasetFingerprint
    : readSafetensorsMetadata(checkpoint.path)['datasetFingerprint'];
}

/** Whether a run was continued to another number of steps than it was made for: its schedules are then those of neither. */
export function wasExtended(run: Run): boolean {
  const { steps } = readStatus(run);
  // 0: of a status that cannot be read.
  return steps !== 0 && steps !== (readConfig(run) as { readonly steps?: number }).steps;
}

function identityOf(run: Run): string | undefined {
  try {
    return runIdentity(checkConfig(readConfig(run)));
  } catch (error) {
    // A run of another version, or one that is damaged: it is not used, and is not in the way.
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

function readCache(path: string): Known {
  // Missing, damaged or made by other rules: everything is read again.
  return recordAt(path, cacheSchema)?.runs ?? {};
}

function writeCache(path: string, known: Readonly<Known>): void {
  try {
    makeFolder(join(path, '..'));
    writeFileAtomic(path, JSON.stringify({ format: identityFormat, runs: known }), { durable: false });
  } catch {
    // A folder that cannot be written to: the next call reads again.
  }
}
