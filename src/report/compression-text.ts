/** The tables and sentences of a compression, for the terminal, Markdown and HTML alike. */
import type { Stage, StageFile } from '../compress/pipeline.ts';
import type { DeviceSize, Reached, StopReason } from '../compress/rounds.ts';
import {
  formatAccuracy,
  formatBytes,
  formatCount,
  formatMilliseconds,
  formatOperations,
  formatPredicted,
  formatPredictedMs,
} from '../util/format.ts';
import type { CompressionData } from './compression-data.ts';
import { formatPercent } from './format.ts';
import type { Table } from './tables.ts';

/** A row for each file: each network in float32 and quantized. */
export function stagesTable({ stages }: Pick<CompressionData, 'stages'>): Table {
  const row = ({ name, parameters, operations }: Stage, form: string, file: StageFile) => [
    name,
    form,
    formatCount(parameters),
    formatOperations(operations),
    formatBytes(file.bytes),
    file.latencyMs.toFixed(3),
    formatPercent(file.validationAccuracy),
    file.dropPoints.toFixed(2).replace('-0.00', '0.00'),
    formatPercent(file.testAccuracy),
  ];
  const header = ['network', 'as', 'parameters', 'operations', 'file', 'latency ms', 'validation %', 'drop', 'test %'];
  const onDevice = deviceColumns(stages);
  return {
    header: [...header, ...onDevice.map(([name]) => name)],
    rows: stages.flatMap((stage) => [
      [...row(stage, 'float32', stage.float32), ...onDevice.map(() => '')],
      [...row(stage, 'int8', stage.int8), ...onDevice.map(([, cell]) => cell(stage.device!))],
    ]),
    alignments: ['left', 'left', ...Array.from({ length: 7 + onDevice.length }, () => 'right' as const)],
  };
}

/** What the networks take on a microcontroller, where that is limited. */
function deviceColumns(stages: readonly Stage[]): (readonly [name: string, cell: (device: DeviceSize) => string])[] {
  if (!stages.every(({ device }) => device !== undefined)) return [];
  const isTimed = stages.some(({ device }) => device!.deviceMs > 0);
  return [
    ['flash', ({ flashBytes }) => formatBytes(flashBytes)],
    ['RAM', ({ ramBytes }) => formatBytes(ramBytes)],
    ...(isTimed ? [['ms there', ({ deviceMs }: DeviceSize) => formatPredicted(deviceMs)] as const] : []),
  ];
}

/** What was asked for, and whether the result has it. */
export function targetsTable({ targets }: Pick<CompressionData, 'targets'>): Table {
  return {
    header: ['target', 'at most', 'reached', ''],
    rows: targets.map(({ target, limit, value, met }) => {
      const { name, format } = targetWords[target];
      return [name, format(limit), format(value), met ? 'met' : 'missed'];
    }),
    alignments: ['left', 'right', 'right', 'left'],
  };
}

export const targetWords: Readonly<Record<Reached['target'], { name: string; format: (value: number) => string }>> = {
  operations: { name: 'operations of the original', format: formatAccuracy },
  bytes: { name: 'bytes of the file', format: formatCount },
  latencyMs: { name: 'latency of one image', format: formatMilliseconds },
  flashBytes: { name: 'flash of a microcontroller', format: formatBytes },
  ramBytes: { name: 'RAM of a microcontroller', format: formatBytes },
  deviceMs: { name: 'time of one image on a microcontroller, predicted', format: formatPredictedMs },
  maxDrop: { name: 'drop on validation images', format: (value) => `${value.toFixed(2)} points` },
};

/** The layers of the result. */
export function layersTable({ layers }: Pick<CompressionData, 'layers'>): Table {
  return {
    header: ['layer', 'filters before', 'after', 'weights', 'zero %', 'drop alone', 'divergence alone', 'stored as'],
    rows: layers.map(({ name, before, after, weights, sparsity, quantized, dropPoints, divergence }) => [
      name,
      formatCount(before),
      formatCount(after),
      formatCount(weights),
      formatPercent(sparsity),
      dropPoints.toFixed(2).replace('-0.00', '0.00'),
      divergence.toExponential(1),
      quantized ? 'int8' : 'float32',
    ]),
    alignments: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  };
}

export const layersExplanation =
  'Filters of convolutions, features of dense layers. Zero: part of the float32 weights that pruning set to zero. Alone: what quantizing only this layer costs on the validation images, in points of accuracy ' +
  "and as the mean Kullback-Leibler divergence from the float32 network's probabilities, in nats.";

const reasons: Readonly<Record<StopReason, string>> = {
  limits: 'the first that keeps all limits',
  drop: 'the next one exceeds the drop',
  rounds: 'no more rounds were allowed',
  smallest: 'no filter was left to remove',
};

/** One sentence: which network is the result, and why. */
export function conclusion({ stages, result, reason }: Pick<CompressionData, 'stages' | 'result' | 'reason'>): string {
  const { name, operations, int8 } = stages[result]!;
  const network = result === 0 ? 'The result is the original, only quantized' : `The result is ${name}, quantized`;
  const part = formatAccuracy(operations / stages[0]!.operations);
  return (
    `${network}: ${part} of the operations, ${formatBytes(int8.bytes)}, ${formatMilliseconds(int8.latencyMs)} for one image, ` +
    `${formatAccuracy(int8.testAccuracy)} of the test images; ${reasons[reason]}.`
  );
}

/** What was compressed how. */
export function description(data: CompressionData): string {
  const { source, dataset, steps, shrink, seed, validationImages, testImages, stages, device } = data;
  const core = device === undefined ? '' : `, its time predicted for ${device}`;
  const there = stages[0]?.device === undefined ? '' : ` What a network takes on a microcontroller is that of its C code${core}.`;
  return (
    `${source} on ${dataset}. A whole round leaves ${formatAccuracy(shrink)} of the operations and trains ${formatCount(steps)} steps with seed ${seed}. ` +
    `Drops are from the original in float32, on ${formatCount(validationImages)} validation images; ` +
    `the ${formatCount(testImages)} test images decided nothing. Latencies are medians of one image with one thread in ONNX Runtime.${there}`
  );
}

/** What the reader must know. */
export function notesOf({ synthetic, sourceHeldOut, targets, stages, result }: CompressionData): string[] {
  const missed = targets.filter(({ met }) => !met).map(({ target }) => targetWords[target].name);
  const { floatLayers } = stages[result]!.int8;
  return [
    ...(synthetic ? ['The images are synthetic: drawn by this program, not photographs.'] : []),
    ...(missed.length > 0 ? [`Missed: ${missed.join(', ')}.`] : []),
    ...(floatLayers.length > 0 ? [`Left in float32, to keep the drop: ${floatLayers.join(', ')}.`] : []),
    ...(sourceHeldOut
      ? []
      : [
          'The original was trained on the validation images too. That flatters its accuracy there, so drops look larger than they are.',
        ]),
    'Each round was trained once: there are no intervals, and small differences may be chance.',
  ];
}
