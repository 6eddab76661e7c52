import type { Stage, StageFile } from '../../compress/pipeline.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { frontPanel } from './front-panel.ts';

/** Accuracy on test images against the size of the file, and against latency: each network in float32 and quantized. */
export function compressionFigures(stages: readonly Stage[]): Figure[] {
  return [
    figure(stages, {
      name: 'accuracy-bytes',
      title: 'Accuracy against the size of the file',
      cost: ({ bytes }) => bytes,
      axis: 'bytes of the file',
      format: '~s',
    }),
    figure(stages, {
      name: 'accuracy-latency',
      title: 'Accuracy against latency',
      cost: ({ latencyMs }) => latencyMs,
      axis: 'latency of one image, one thread, ms',
      format: '~g',
    }),
  ];
}

interface Aspect {
  readonly name: string;
  readonly title: string;
  readonly cost: (file: StageFile) => number;
  readonly axis: string;
  readonly format: string;
}

function figure(stages: readonly Stage[], { name, title, cost, axis, format }: Aspect): Figure {
  const points = stages.flatMap((stage) =>
    (['float32', 'int8'] as const).map((series) => ({
      name: `${stage.name}, ${series}`,
      series,
      cost: cost(stage[series]),
      accuracy: 100 * stage[series].testAccuracy,
    })),
  );
  return {
    name,
    title,
    description:
      'Each point is a network as one file, on the test images. Named and joined: the Pareto front, those that no other beats in both accuracy and cost.',
    spec: frontPanel(points, { title: axis, format, series: ['float32', 'int8'] }) as unknown as TopLevelSpec,
  };
}
