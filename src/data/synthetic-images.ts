/**
 * Ten classes of drawn shapes and textures as 32 x 32 RGB images, generated from a seed: a stand-in for where no real data can be had.
 *
 * Every image shows one object of its class on a shaded background with clutter. Place, size, rotation, colours, clutter and noise vary
 * freely; each class only leans towards a hue, as real classes do. Colour alone therefore gives a linear model part of the way,
 * and the rest needs features of shape.
 */
import { integer, normal, streamKey, uint32, uniform } from '../util/random.ts';
import type { ImageSet } from './dataset.ts';

const side = 32;
export const syntheticShape = [3, side, side] as const;
const planeLength = side * side;

/**
 * Whether the point (u, v) of the object's own frame, in which the object fills about [-1, 1] x [-1, 1], belongs to it, as a distance to
 * its border: positive inside. Textures are cut out by a disc.
 */
type Inside = (u: number, v: number) => number;

const disc: Inside = (u, v) => 1 - length(u, v);

const objects: readonly { readonly name: string; readonly inside: Inside }[] = [
  { name: 'disc', inside: disc },
  { name: 'ring', inside: (u, v) => 0.26 - Math.abs(length(u, v) - 0.74) },
  { name: 'square', inside: (u, v) => 0.85 - Math.max(Math.abs(u), Math.abs(v)) },
  { name: 'triangle', inside: (u, v) => Math.min(0.55 + v, 0.55 - 0.5 * v - 0.866 * Math.abs(u)) },
  {
    name: 'cross',
    inside: (u, v) => Math.min(0.28 - Math.min(Math.abs(u), Math.abs(v)), 1 - Math.max(Math.abs(u), Math.abs(v))),
  },
  { name: 'star', inside: star },
  { name: 'crescent', inside: (u, v) => Math.min(disc(u, v), length(u - 0.5, v) - 0.75) },
  { name: 'stripes', inside: (u, v) => Math.min(disc(u, v), wave(u)) },
  { name: 'checks', inside: (u, v) => Math.min(disc(u, v), wave(u) * wave(v) * 4) },
  { name: 'dots', inside: (u, v) => Math.min(disc(u, v), 0.22 - length(toCell(u), toCell(v))) },
];

/** `Math.hypot` is ten times slower. */
function length(u: number, v: number): number {
  return Math.sqrt(u * u + v * v);
}

/** Five points: the radius of the border falls from 1 at each point to 0.4 between two. */
function star(u: number, v: number): number {
  const turn = (Math.atan2(v, u) / (2 * Math.PI)) * 5;
  const fromPoint = 2 * Math.abs(turn - Math.round(turn));
  return 1 - 0.6 * fromPoint - length(u, v);
}

/** Alternates between about +0.25 and -0.25 with period 0.8. */
function wave(u: number): number {
  return 0.25 * Math.sin((u * 2 * Math.PI) / 0.8);
}

/** The coordinate within cells of 0.62, from the cell's middle. */
function toCell(u: number): number {
  return (u / 0.62 - Math.round(u / 0.62)) * 0.62;
}

export const syntheticClasses: readonly string[] = objects.map((object) => object.name);

/**
 * Draws all images of a set, whose memory is there: of `syntheticShape`, the classes taking turns, so that every set is balanced.
 *
 * @param split which images: those of `train` are none of `test`
 */
export function drawSyntheticImages({ count, images, labels }: ImageSet, seed: number, split: 'train' | 'test'): void {
  const canvas = new Float32Array(3 * planeLength);
  const bytes = new Uint8ClampedArray(canvas.length);
  for (let image = 0; image < count; image++) {
    const label = image % objects.length;
    const draws = drawsFrom(streamKey(seed, `synthetic:${split}`, image));
    paintBackground(canvas, draws);
    paintClutter(canvas, draws);
    paintObject(canvas, label, draws);
    addNoise(canvas, bytes, draws);
    images.set(bytes, image * bytes.length);
    labels[image] = label;
  }
}

/** The draws of one image, one after the other. */
interface Draws {
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  integerBelow(bound: number): number;
  normal(): number;
  bits(): number;
}

function drawsFrom(key: number): Draws {
  let index = 0;
  return {
    between: (low, high) => low + (high - low) * uniform(key, index++),
    integerBelow: (bound) => integer(key, index++, bound),
    // Takes draws 2 * index and 2 * index + 1 of a stream, so it gets one of its own.
    normal: () => normal(uint32(key, index++), 0),
    bits: () => uint32(key, index++),
  };
}

type Colour = readonly [red: number, green: number, blue: number];

/** @param hue in turns: 0 red, 1/3 green, 2/3 blue */
function colourOf(hue: number, saturation: number, brightness: number): Colour {
  const channel = (offset: number): number => {
    const wheel = 0.5 + 0.5 * Math.cos(2 * Math.PI * (hue - offset));
    return 255 * brightness * (1 - saturation + saturation * wheel);
  };
  return [channel(0), channel(1 / 3), channel(2 / 3)];
}

/** A colour that changes linearly across the image. */
function paintBackground(canvas: Float32Array, draws: Draws): void {
  const colour = colourOf(draws.between(0, 1), draws.between(0, 0.5), draws.between(0.2, 0.8));
  const slopeX = draws.between(-2, 2);
  const slopeY = draws.between(-2, 2);
  for (let channel = 0; channel < 3; channel++) {
    const base = colour[channel]!;
    for (let y = 0; y < side; y++) {
      const row = channel * planeLength + y * side;
      for (let x = 0; x < side; x++) canvas[row + x] = base + slopeX * (x - side / 2) + slopeY * (y - side / 2);
    }
  }
}

/** One to four small discs and bars of any colour, which are no object of any class. */
function paintClutter(canvas: Float32Array, draws: Draws): void {
  const pieces = 1 + draws.integerBelow(4);
  for (let piece = 0; piece < pieces; piece++) {
    const isBar = draws.integerBelow(2) === 1;
    const bar: Inside = (u, v) => Math.min(1 - Math.abs(u), 0.25 - Math.abs(v));
    paint(canvas, isBar ? bar : disc, {
      x: draws.between(0, side),
      y: draws.between(0, side),
      radius: isBar ? draws.between(3, 6) : draws.between(1.5, 3),
      angle: draws.between(0, 2 * Math.PI),
      colour: colourOf(draws.between(0, 1), draws.between(0.2, 1), draws.between(0.2, 1)),
    });
  }
}

/** The object of the image's class: seldom aligned, of a hue near its class's. */
function paintObject(canvas: Float32Array, label: number, draws: Draws): void {
  const radius = draws.between(8, 13);
  const room = side / 2 - radius + 2;
  const hue = label / objects.length + 0.1 * draws.normal();
  paint(canvas, objects[label]!.inside, {
    x: side / 2 + draws.between(-room, room),
    y: side / 2 + draws.between(-room, room),
    radius,
    angle: 0.25 * draws.normal(),
    colour: colourOf(hue, draws.between(0.4, 1), draws.between(0.5, 1)),
  });
}

interface Placement {
  readonly x: number;
  readonly y: number;
  /** Pixels in one unit of the object's frame. */
  readonly radius: number;
  readonly angle: number;
  readonly colour: Colour;
}

/** Draws an object over what is there, its border softened over a pixel. */
function paint(canvas: Float32Array, inside: Inside, placement: Placement): void {
  const { x: centreX, y: centreY, radius, angle, colour } = placement;
  const cosine = Math.cos(angle) / radius;
  const sine = Math.sin(angle) / radius;
  const reach = radius * 1.45;
  const lastX = Math.min(side - 1, Math.ceil(centreX + reach));
  const lastY = Math.min(side - 1, Math.ceil(centreY + reach));
  for (let y = Math.max(0, Math.floor(centreY - reach)); y <= lastY; y++) {
    for (let x = Math.max(0, Math.floor(centreX - reach)); x <= lastX; x++) {
      const right = x - centreX;
      const down = y - centreY;
      const distance = inside(right * cosine + down * sine, down * cosine - right * sine) * radius;
      const cover = Math.min(1, Math.max(0, distance + 0.5));
      if (cover === 0) continue;
      for (let channel = 0; channel < 3; channel++) {
        const at = channel * planeLength + y * side + x;
        canvas[at] = canvas[at]! + cover * (colour[channel]! - canvas[at]!);
      }
    }
  }
}

/** Rounds the canvas to bytes, each pixel and channel with uniform noise of an amplitude of its image's. */
function addNoise(canvas: Float32Array, bytes: Uint8ClampedArray, draws: Draws): void {
  const amplitude = draws.between(5, 30);
  const key = draws.bits();
  const scale = amplitude / 127.5;
  for (let pixel = 0; pixel < planeLength; pixel++) {
    const bits = uint32(key, pixel);
    for (let channel = 0, at = pixel; channel < 3; channel++, at += planeLength) {
      bytes[at] = canvas[at]! + ((bits >>> (8 * channel)) & 0xff) * scale - amplitude;
    }
  }
}
