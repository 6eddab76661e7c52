/** The pictures of data sets, and what networks make of them: a process for them is started when they are first asked for, and ended when nobody looks any more. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { latestCheckpoint } from '../../../runs/checkpoint.ts';
import type { Run } from '../../../runs/run-folder.ts';
import type { TrainingConfig } from '../../../train/config-schema.ts';
import { readPredictions, worstFirst, type PredictionFilter, type RecordedPredictions } from '../../../train/predictions.ts';
import { DataError } from '../../../util/errors.ts';
import { startProcess } from '../../../util/start-process.ts';
import type { ShownActivations, ShownLayerTimes, ShownPredictions } from '../protocol.ts';
import type { LayerTimesTask, PictureAnswer, PictureTask } from './picture-process.ts';

export interface Pictures {
  /** Undefined for a run that kept no predictions. */
  predictions(run: Run, filter: PredictionFilter, first: number, count: number): ShownPredictions | undefined;
  /** An image of the split that the run was evaluated on, as PNG. @throws DataError if it cannot be had */
  picture(run: Run, config: TrainingConfig, image: number): Promise<Uint8Array>;
  /** By its newest checkpoint. @throws DataError if they cannot be had */
  activations(run: Run, config: TrainingConfig, image: number): Promise<ShownActivations>;
  /** How long the layers of a run's network take. @throws DataError if they cannot be timed */
  layerTimes(run: Run, batchSize: number): Promise<ShownLayerTimes>;
  close(): Promise<void>;
}

/** Images in memory are many: what nobody has asked for in so long is given up. */
const idleMs = 120_000;
/** Runs whose predictions are kept, for so long, as a page asks for many pictures of one. */
const runsKept = 8;
const predictionsMs = 2000;

/** @param dataDir where the images are; undefined: where a training would look */
export function createPictures(dataDir: string | undefined): Pictures {
  const predictionsOf = new Map<string, { readonly predictions: RecordedPredictions | undefined; readonly readMs: number }>();
  let child: ChildProcess | undefined;
  /** Settles with the last task that was asked for. */
  let tasks: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function giveUp(): Promise<void> {
    clearTimeout(timer);
    const ended = child;
    child = undefined;
    // Undefined where there is none, and null while it runs.
    if (ended?.exitCode !== null || ended.signalCode !== null) return;
    ended.kill();
    await once(ended, 'exit');
  }

  function ask<T extends string | ShownActivations | ShownLayerTimes>(task: PictureTask | LayerTimesTask): Promise<T> {
    const answer = tasks.then(() => answerTo<T>(task));
    tasks = answer.catch(() => undefined);
    return answer;
  }

  function answerTo<T>(task: PictureTask | LayerTimesTask): Promise<T> {
    clearTimeout(timer);
    timer = setTimeout(() => void giveUp(), idleMs);
    timer.unref();
    const asked = (child ??= startProcess(import.meta.url, 'picture-process', []));
    return new Promise<T>((resolve, reject) => {
      const settle = (end: () => void) => {
        asked.off('message', onAnswer).off('exit', onExit).off('error', onError);
        end();
      };
      const onAnswer = (said: PictureAnswer) => {
        settle(() => {
          if ('result' in said) resolve(said.result as T);
          else reject(said.isDefect ? new Error(said.problem) : new DataError(said.problem));
        });
      };
      const onExit = () => {
        if (child === asked) child = undefined;
        settle(() => reject(new DataError('the pictures cannot be had now')));
      };
      const onError = (error: Error) => {
        if (child === asked) child = undefined;
        settle(() => reject(error));
      };
      asked.on('message', onAnswer).on('exit', onExit).on('error', onError);
      asked.send(task);
    });
  }

  function recorded(run: Run): RecordedPredictions | undefined {
    const known = predictionsOf.get(run.path);
    if (known !== undefined && performance.now() - known.readMs < predictionsMs) return known.predictions;
    const predictions = readPredictions(run);
    predictionsOf.delete(run.path);
    predictionsOf.set(run.path, { predictions, readMs: performance.now() });
    for (const path of [...predictionsOf.keys()].slice(0, -runsKept)) predictionsOf.delete(path);
    return predictions;
  }

  function taskOf(run: Run, { dataset, val }: TrainingConfig, image: number): PictureTask {
    const { split = val ? 'val' : 'test', datasetFingerprint } = recorded(run) ?? {};
    return { dataset, dataDir, split, useVal: val, fingerprint: datasetFingerprint, image };
  }

  return {
    predictions(run, filter, first, count) {
      const predictions = recorded(run);
      if (predictions === undefined) return undefined;
      const found = worstFirst(predictions, filter);
      return { total: found.length, items: found.slice(first, first + count) };
    },

    async picture(run, config, image) {
      return Buffer.from(await ask<string>(taskOf(run, config, image)), 'base64');
    },

    async activations(run, config, image) {
      const checkpoint = latestCheckpoint(run);
      if (checkpoint === undefined) throw new DataError('there is no checkpoint yet');
      return await ask<ShownActivations>({ ...taskOf(run, config, image), checkpoint: checkpoint.path });
    },

    layerTimes: (run, batchSize) => ask<ShownLayerTimes>({ run, batchSize }),

    close: giveUp,
  };
}
