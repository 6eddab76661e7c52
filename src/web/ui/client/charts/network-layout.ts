/**
 * Places the layers of a network so that every arrow goes down (after Sugiyama et al., 1981): rows by the longest way from the input, an order
 * within each row that crosses few arrows, and places kept free where an arrow passes by.
 */
import type { ShownLayer } from '../../protocol.ts';

export interface PlacedLayer {
  readonly layer: ShownLayer;
  /** Middle of its box. */
  readonly x: number;
  readonly y: number;
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  /** The places it goes through, from the lower edge of a box to the upper edge of another. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface NetworkLayout {
  readonly layers: readonly PlacedLayer[];
  readonly arrows: readonly Arrow[];
  /** Middle of the box of the input. */
  readonly inputX: number;
  readonly width: number;
  readonly height: number;
}

export const box = { width: 184, height: 46 };
const gap = { x: 20, y: 26 };
/** Of an arrow that passes a row. */
const passing = 18;
const sweeps = 6;

interface Node {
  /** Undefined for a place that an arrow passes. */
  readonly layer: ShownLayer | undefined;
  readonly row: number;
  readonly width: number;
  readonly above: Node[];
  readonly below: Node[];
  x: number;
}

/** @param inputName how layers call the input */
export function layOut(layers: readonly ShownLayer[], inputName: string): NetworkLayout {
  const nodes = new Map<string, Node>();
  const rows: Node[][] = [];
  const place = (layer: ShownLayer | undefined, row: number): Node => {
    const node: Node = { layer, row, width: layer === undefined && row > 0 ? passing : box.width, above: [], below: [], x: 0 };
    (rows[row] ??= []).push(node);
    return node;
  };
  const link = (a: Node, b: Node) => {
    a.below.push(b);
    b.above.push(a);
  };
  nodes.set(inputName, place(undefined, 0));
  const ways: { readonly from: string; readonly to: string; readonly nodes: readonly Node[] }[] = [];
  for (const layer of layers) {
    const sources = layer.inputs.flatMap((name) => {
      const node = nodes.get(name);
      return node === undefined ? [] : [{ name, node }];
    });
    const row = 1 + Math.max(0, ...sources.map(({ node }) => node.row));
    const own = place(layer, row);
    nodes.set(layer.name, own);
    for (const { name, node } of sources) {
      const way = [node];
      for (let between = node.row + 1; between < row; between++) way.push(place(undefined, between));
      way.push(own);
      way.slice(1).forEach((next, i) => {
        link(way[i]!, next);
      });
      ways.push({ from: name, to: layer.name, nodes: way });
    }
  }
  const middle = (row: readonly Node[]) => {
    const width = row.reduce((sum, node) => sum + node.width, 0) + gap.x * (row.length - 1);
    let x = -width / 2;
    for (const node of row) {
      node.x = x + node.width / 2;
      x += node.width + gap.x;
    }
  };
  rows.forEach(middle);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const row of isDown ? rows : [...rows].reverse()) {
      const wanted = new Map(row.map((node) => [node, meanX(isDown ? node.above : node.below, node.x)]));
      row.sort((a, b) => wanted.get(a)! - wanted.get(b)!);
      middle(row);
    }
  }
  const [left, right] = [
    Math.min(...rows.flat().map(({ x, width }) => x - width / 2)),
    Math.max(...rows.flat().map(({ x, width }) => x + width / 2)),
  ];
  const xOf = ({ x }: Node) => x - left;
  const yOf = (row: number) => row * (box.height + gap.y) + box.height / 2;
  return {
    layers: [...nodes.values()].flatMap((node) =>
      node.layer === undefined ? [] : [{ layer: node.layer, x: xOf(node), y: yOf(node.row) }],
    ),
    arrows: ways.map(({ from, to, nodes: way }) => ({
      from,
      to,
      points: way.map((node, i) => {
        const edge = i === 0 ? box.height / 2 : i === way.length - 1 ? -box.height / 2 : 0;
        return [xOf(node), yOf(node.row) + edge] as const;
      }),
    })),
    inputX: xOf(nodes.get(inputName)!),
    width: right - left,
    height: rows.length * (box.height + gap.y) - gap.y,
  };
}

function meanX(nodes: readonly Node[], otherwise: number): number {
  return nodes.length === 0 ? otherwise : nodes.reduce((sum, { x }) => sum + x, 0) / nodes.length;
}
