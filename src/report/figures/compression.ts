import type { Stage } from '../../compress/pipeline.ts';
import type { DeviceSize } from '../../compress/rounds.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { frontPanel } from './front-panel.ts';

/**
 * Accuracy on test images against the size of the file, and against latency: each network in float32 and quantized. Where a microcontroller is
 * meant, also against what the quantized networks take there.
 */
export function compressionFigures(stages: readonly Stage[]): Figure[] {
  const onDevice = stages.every(({ device }) => device !== undefined) ? deviceAspects : [];
  return [...fileAspects, ...onDevice].flatMap((aspect) => figure(stages, aspect) ?? []);
}

type Series = 'float32' | 'int8';

interface Aspect {
  readonly name: string;
  readonly title: string;
  /** Undefined where a network has none. */
  readonly cost: (stage: Stage, series: Series) => number | undefined;
  readonly axis: string;
  readonly format: string;
}

const fileAspects: readonly Aspect[] = [
  {
    name: 'accuracy-bytes',
    title: 'Accuracy against the size of the file',
    cost: (stage, series) => stage[series].bytes,
    axis: 'bytes of the file',
    format: '~s',
  },
  {
    name: 'accuracy-latency',
    title: 'Accuracy against latency',
    cost: (stage, series) => stage[series].latencyMs,
    axis: 'latency of one image in ONNX Runtime, one thread, ms',
    format: '~g',
  },
];

const deviceAspects: readonly Aspect[] = [
  deviceAspect('flash', 'Accuracy against flash', ({ flashBytes }) => flashBytes, 'bytes of flash on a microcontroller', '~s'),
  deviceAspect('ram', 'Accuracy against RAM', ({ ramBytes }) => ramBytes, 'bytes of RAM on a microcontroller', '~s'),
  deviceAspect(
    'device-time',
    'Accuracy against the time on a microcontroller',
    ({ deviceMs }) => deviceMs || undefined,
    'predicted time of one image on a microcontroller, ms',
    '~g',
  ),
];

function deviceAspect(
  name: string,
  title: string,
  cost: (device: DeviceSize) => number | undefined,
  axis: string,
  format: string,
): Aspect {
  const ofStage: Aspect['cost'] = ({ device }, series) =>
    device === undefined || series === 'float32' ? undefined : cost(device);
  return { name: `accuracy-${name}`, title, cost: ofStage, axis, format };
}

function figure(stages: readonly Stage[], { name, title, cost, axis, format }: Aspect): Figure | undefined {
  const points = stages.flatMap((stage) =>
    (['float32', 'int8'] as const).flatMap((series) => {
      const value = cost(stage, series);
      if (value === undefined) return [];
      return [{ name: `${stage.name}, ${series}`, series, cost: value, accuracy: 100 * stage[series].testAccuracy }];
    }),
  );
  if (points.length === 0) return undefined;
  const series = [...new Set(points.map((point) => point.series))];
  return {
    name,
    title,
    description:
      'Each point is a network as one file, on the test images. Named and joined: the Pareto front, those that no other beats in both accuracy and cost.',
    spec: frontPanel(points, { title: axis, format, series }) as unknown as TopLevelSpec,
  };
}
