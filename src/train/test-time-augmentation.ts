import { plainView, type EvaluationView } from '../data/transform.ts';

export const ttaLevels = ['none', 'mirror', 'mirror+shift'] as const;

export type TtaLevel = (typeof ttaLevels)[number];

/** A view of each image and the weight of its logits. */
export interface WeightedView {
  readonly view: EvaluationView;
  readonly weight: number;
}

/**
 * The views of a level; their weights add up to 1. `mirror`: the image and its mirror image. `mirror+shift`: half of that, and a quarter each
 * of both moved by one pixel down and right, and up and left, the border filled by reflection (airbench94's levels 0, 1 and 2).
 */
export function viewsOf(level: TtaLevel): readonly WeightedView[] {
  switch (level) {
    case 'none':
      return [{ view: plainView, weight: 1 }];
    case 'mirror':
      return mirrored([0, 0], 1);
    case 'mirror+shift':
      return [...mirrored([0, 0], 0.5), ...mirrored([1, 1], 0.25), ...mirrored([-1, -1], 0.25)];
    default:
      return level satisfies never;
  }
}

function mirrored(shift: EvaluationView['shift'], weight: number): readonly WeightedView[] {
  return [false, true].map((mirror) => ({ view: { mirror, shift }, weight: weight / 2 }));
}
