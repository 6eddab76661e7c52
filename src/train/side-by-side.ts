/**
 * Several trainings on one engine: side by side where it does that, one after the other where it does not. Each is exactly what `train` makes of it alone: its
 * folder, its records and its bits.
 */
import { singleProcess } from '../cluster/collective.ts';
import { shareLoaders } from '../data/shared-loaders.ts';
import type { Engine } from '../engine/engine.ts';
import { DeviceMemoryError } from '../engine/memory-error.ts';
import { describeNetwork } from '../nn/description.ts';
import { ConfigurationError, DataError } from '../util/errors.ts';
import { classifierToTrain } from './training-start.ts';
import type { TrainOptions, TrainResult } from './train-options.ts';
import { train, trainFrom } from './train.ts';

export type SeveralTrainings = readonly Omit<TrainOptions, 'engine' | 'collective'>[];

/** What has become of a training. `notBegun`: the signal was aborted, or another one could not begin for a reason that holds for all. */
export type Outcome =
  | { readonly state: 'trained'; readonly result: TrainResult }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'notBegun' };

/**
 * Trains them all, those of one network and batch size side by side, as many at a time as the device has memory for. One that fails or diverges does not
 * stop the others.
 *
 * @param onNotice is told what to know of how they are trained
 * @returns an outcome for each, in their order
 * @throws ConfigurationError for a network that the engine does not have
 */
export async function trainAll(
  engine: Engine,
  trainings: SeveralTrainings,
  onNotice: (notice: string) => void = () => undefined,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = trainings.map(() => ({ state: 'notBegun' }));
  let refused = false;
  const trainOne = async (index: number, own: Engine, run: (options: TrainOptions) => Promise<TrainResult>): Promise<void> => {
    try {
      outcomes[index] = { state: 'trained', result: await run({ ...trainings[index]!, engine: own }) };
    } catch (error) {
      outcomes[index] = { state: 'failed', error };
      // What is wrong with a run that goes on is wrong with that run alone.
      const { record } = trainings[index]!;
      const goesOn = record !== undefined && 'resume' in record;
      refused ||= !goesOn && (error instanceof ConfigurationError || error instanceof DataError);
    }
  };
  const trainGroup = async (indices: readonly number[]): Promise<void> => {
    if (refused || indices.some((index) => trainings[index]!.signal?.aborted)) return;
    if (indices.length === 1 || engine.sideBySide === undefined) {
      await trainOne(indices[0]!, engine, train);
      return;
    }
    const engines = engine.sideBySide.open(indices.length);
    const openLoader = shareLoaders();
    await Promise.all(
      indices.map(async (index, lane) => {
        const own = engines[lane]!;
        await trainOne(index, own, (options) => trainFrom(options, openLoader)).finally(() => own.dispose());
      }),
    );
    const memory = indices.map((index) => outcomes[index]!);
    if (!memory.every((outcome) => outcome.state === 'failed' && outcome.error instanceof DeviceMemoryError)) return;
    // Nothing was begun: what the device has memory for is known only once it was tried.
    refused = false;
    const half = Math.ceil(indices.length / 2);
    onNotice(`the device has no memory for ${indices.length} networks at a time: trying ${half}`);
    await trainGroup(indices.slice(0, half));
    await trainGroup(indices.slice(half));
  };
  for (const group of groupsOf(engine, trainings, onNotice)) await trainGroup(group);
  return outcomes;
}

/** Which are trained at the same time, by their positions. */
function groupsOf(engine: Engine, trainings: SeveralTrainings, onNotice: (notice: string) => void): readonly number[][] {
  const { sideBySide } = engine;
  if (sideBySide === undefined || trainings.length === 1) return trainings.map((_, index) => [index]);
  const alike = new Map<string, number[]>();
  const networks = trainings.map((training) => classifierToTrain({ ...training, engine }, singleProcess).network);
  trainings.forEach(({ config: { batchSize, precision } }, index) => {
    const key = JSON.stringify([describeNetwork(networks[index]!), batchSize, precision]);
    alike.set(key, [...(alike.get(key) ?? []), index]);
  });
  return [...alike.values()].flatMap((indices) => {
    const [first] = indices as [number];
    const { batchSize, precision } = trainings[first]!.config;
    // One that does not fit is refused when it is compiled, with what to do.
    const most = Math.max(1, sideBySide.most(networks[first]!, { batchSize, precision }));
    const rounds = Math.ceil(indices.length / most);
    if (rounds > 1) {
      onNotice(
        `${most} networks of ${networks[first]!.name} at a time fit the device's arrays: ${indices.length} take ${rounds} rounds`,
      );
    }
    const size = Math.ceil(indices.length / rounds);
    return Array.from({ length: rounds }, (_, round) => indices.slice(round * size, (round + 1) * size));
  });
}
