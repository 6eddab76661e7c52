/** What `ablate compress` shows on stderr meanwhile. */
import { singleProcess } from '../cluster/collective.ts';
import type { CompressHooks } from '../compress/pipeline.ts';
import type { Engine } from '../engine/engine.ts';
import { formatAccuracy, formatBytes, formatCount, formatMilliseconds } from '../util/format.ts';
import { note } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { trainingDisplay } from './training-display.ts';

export function compressionDisplay(engine: Engine): { readonly hooks: CompressHooks; readonly finish: () => void } {
  let finish = (): void => undefined;
  let counted: Progress | undefined;
  const count = (unit: string) => (done: number, total: number, detail: string) => {
    counted ??= createProgress({ unit, total });
    counted.update(done, detail);
    if (done < total) return;
    counted.finish();
    counted = undefined;
  };
  const countLayers = count('layer');
  const countFiles = count('network on test images');
  const hooks: CompressHooks = {
    training(_, config) {
      const display = trainingDisplay(config, singleProcess, engine);
      ({ finish } = display);
      return display.hooks;
    },
    onNetwork(round, { frozen, int8 }, original, reused) {
      finish();
      const { parameters, operations } = frozen.metadata;
      const drop = 100 * (original.float32.validationAccuracy - int8.validationAccuracy);
      const facts = [
        `${formatCount(parameters)} parameters`,
        `${formatAccuracy(operations / original.frozen.metadata.operations)} of the operations`,
        formatBytes(int8.bytes),
        formatMilliseconds(int8.latencyMs),
        `drop ${drop.toFixed(2)} points`,
      ];
      const name = round === 0 ? 'the original' : `round ${round}`;
      note(`${name}, quantized${reused ? ' (trained before)' : ''}: ${facts.join(', ')}`);
    },
    onLayer: countLayers,
    onTest: (done, total) => {
      countFiles(done, total, '');
    },
  };
  return {
    hooks,
    finish: () => {
      finish();
      counted?.finish();
    },
  };
}
