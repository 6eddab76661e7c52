/** Places the names of points in a plot so that they cover neither each other nor the points, as far as there is room. */

export interface Placed {
  readonly name: string;
  /** Middle left of the text, in pixels from the plot's top left corner. */
  readonly x: number;
  readonly y: number;
}

/** What texts must not cover. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const letterWidth = 6.4;
const lineHeight = 13;
const gap = 7;
/** In gaps: further from its point, a name might be taken for that of another. */
const farthest = 6;
const farthestOptional = 2;

/**
 * Tries right, left, above and below of each point, nearest first; where everything is taken, the place with the least overlap. An optional name is left out
 * where there is no free place near its point.
 *
 * @param points in pixels; those with `name` get a text, in this order
 * @param obstacles such as lines
 */
export function placeLabels(
  points: readonly { readonly name?: string; readonly optional?: boolean; readonly x: number; readonly y: number }[],
  size: { readonly width: number; readonly height: number },
  obstacles: readonly Box[] = [],
): Placed[] {
  const taken: Box[] = [...obstacles, ...points.map(({ x, y }) => ({ left: x - 4, top: y - 4, right: x + 4, bottom: y + 4 }))];
  return points.flatMap(({ name, optional = false, x, y }) => {
    if (name === undefined) return [];
    const width = name.length * letterWidth;
    const distances = Array.from({ length: optional ? farthestOptional : farthest }, (_, i) => i + 1);
    const candidates = distances.flatMap((distance) => {
      const off = gap * distance;
      return [
        [x + off, y],
        [x - off - width, y],
        [x - width / 2, y - off - 4],
        [x - width / 2, y + off + 4],
        [x + off, y - off],
        [x + off, y + off],
        [x - off - width, y - off],
        [x - off - width, y + off],
      ] as const;
    });
    const boxes = candidates.map(([left, middle]) => ({
      left,
      top: middle - lineHeight / 2,
      right: left + width,
      bottom: middle + lineHeight / 2,
    }));
    const costs = boxes.map((box) => outside(box, size) * 3 + taken.reduce((sum, other) => sum + overlap(box, other), 0));
    const least = Math.min(...costs);
    if (optional && least > 0) return [];
    const best = costs.indexOf(least);
    taken.push(boxes[best]!);
    return [{ name, x: candidates[best]![0], y: candidates[best]![1] }];
  });
}

/** The line that joins a front, which no text should cover: from each point to the right, then up to the next. */
export function stepsBetween(front: readonly { readonly x: number; readonly y: number }[]): Box[] {
  const inOrder = [...front].sort((a, b) => a.x - b.x);
  return inOrder.slice(1).flatMap((next, i) => {
    const { x, y } = inOrder[i]!;
    return [
      { left: x, right: next.x, top: y - 1, bottom: y + 1 },
      { left: next.x - 1, right: next.x + 1, top: next.y, bottom: y },
    ];
  });
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Area of the box that lies outside of the plot. */
function outside(box: Box, { width, height }: { readonly width: number; readonly height: number }): number {
  const inside = overlap(box, { left: 0, top: 0, right: width, bottom: height });
  return (box.right - box.left) * (box.bottom - box.top) - inside;
}
