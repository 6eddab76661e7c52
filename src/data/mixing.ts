/**
 * Examples mixed in pairs, pictures and labels: mixup (Zhang et al., 2018) and cutmix (Yun et al., 2019). As in the authors' code, a batch is mixed
 * with a permutation of itself, all its examples in one proportion. What is drawn is a function of (seed, step) alone, over the batch of all processes together.
 */
import { beta, createDraws, permutation, streamKey } from '../util/random.ts';
import type { Augmentation } from './preprocessing.ts';

/** How the batch of one step is mixed. */
export interface Mix {
  /** For each example of the whole batch, the one that it is mixed with; perhaps itself. */
  readonly partners: Uint32Array;
  /** The partner's part of the label, and with mixup of every pixel. From 0 to 1. */
  readonly share: number;
  /** With cutmix, the pixels that are the partner's: rows from `top` to below `bottom`, columns from `left` to below `right`. */
  readonly box: Box | undefined;
}

export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

type Strengths = Pick<Augmentation, 'mixup' | 'cutmix'>;

export function isMixed(augmentation: Augmentation | undefined): augmentation is Augmentation {
  return augmentation !== undefined && (augmentation.mixup > 0 || augmentation.cutmix > 0);
}

/**
 * Draws how the batch of a step is mixed. With both strengths above 0, it is one of the two, each with probability one half.
 *
 * @param batchSize of all processes together
 * @param sides of the network's input
 */
export function drawMix(
  { mixup, cutmix }: Strengths,
  { seed, step, batchSize }: { readonly seed: number; readonly step: number; readonly batchSize: number },
  [height, width]: readonly [height: number, width: number],
): Mix {
  const partners = permutation(streamKey(seed, 'augment:mix-partners', step), batchSize);
  const draws = createDraws(streamKey(seed, 'augment:mix', step));
  const cuts = mixup > 0 && cutmix > 0 ? draws.uniform() < 0.5 : cutmix > 0;
  // The part that stays: lambda, in both papers.
  const kept = beta(draws, cuts ? cutmix : mixup);
  if (!cuts) return { partners, share: 1 - kept, box: undefined };
  const box = boxOf(Math.sqrt(1 - kept), draws.integer(height), draws.integer(width), [height, width]);
  const area = (box.bottom - box.top) * (box.right - box.left);
  return { partners, share: area / (height * width), box };
}

/** A box whose sides are `part` of the picture's, around a place, cut off at the border. */
function boxOf(part: number, y: number, x: number, [height, width]: readonly [number, number]): Box {
  const up = Math.floor(part * height) >> 1;
  const aside = Math.floor(part * width) >> 1;
  return {
    ...{ top: Math.max(y - up, 0), bottom: Math.min(y + up, height) },
    ...{ left: Math.max(x - aside, 0), right: Math.min(x + aside, width) },
  };
}

/**
 * Writes one example mixed with another.
 *
 * @param own `[C, height, width]` at `ownOffset`
 * @param other its partner's, at `otherOffset`
 * @param output where the mixed one is written: at `offset`
 */
export function writeMixed(
  { share, box }: Mix,
  [channels, height, width]: readonly [channels: number, height: number, width: number],
  [own, ownOffset]: readonly [Float32Array, number],
  [other, otherOffset]: readonly [Float32Array, number],
  output: Float32Array,
  offset: number,
): void {
  const length = channels * height * width;
  if (box === undefined) {
    for (let i = 0; i < length; i++) output[offset + i] = (1 - share) * own[ownOffset + i]! + share * other[otherOffset + i]!;
    return;
  }
  output.set(own.subarray(ownOffset, ownOffset + length), offset);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = box.top; y < box.bottom; y++) {
      const row = (channel * height + y) * width;
      output.set(other.subarray(otherOffset + row + box.left, otherOffset + row + box.right), offset + row + box.left);
    }
  }
}
