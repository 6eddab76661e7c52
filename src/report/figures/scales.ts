/** Scales of plots of accuracy against cost, on pixels. Knows nothing of how they are drawn: reports and the live page share it. */

export interface Scale {
  readonly domain: readonly [low: number, high: number];
  toPixel(value: number): number;
  fromPixel(pixel: number): number;
}

/** @param length of the axis, in pixels */
export function logarithmic(values: readonly number[], length: number): Scale {
  const logs = values.map(Math.log);
  const room = 0.12 * Math.max(Math.max(...logs) - Math.min(...logs), 0.2);
  const [low, high] = [Math.min(...logs) - room, Math.max(...logs) + room];
  return {
    domain: [Math.exp(low), Math.exp(high)],
    toPixel: (value) => (length * (Math.log(value) - low)) / (high - low),
    fromPixel: (pixel) => Math.exp(low + (pixel / length) * (high - low)),
  };
}

/** @param length of the axis, in pixels */
export function linear(values: readonly number[], length: number): Scale {
  const room = 0.15 * Math.max(Math.max(...values) - Math.min(...values), 0.5);
  const [low, high] = [Math.min(...values) - room, Math.max(...values) + room];
  return {
    domain: [low, high],
    toPixel: (value) => (length * (value - low)) / (high - low),
    fromPixel: (pixel) => low + (pixel / length) * (high - low),
  };
}

/** Up to about six round values on a logarithmic axis: in each power of ten, fewer where there are many; between near ends, equal steps. */
export function ticksWithin([low, high]: readonly [number, number]): number[] {
  const mantissas = high / low > 100 ? [1] : high / low > 4 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const mantissa of mantissas) {
      const tick = mantissa * 10 ** power;
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks.length >= 3 ? ticks : equalTicks(low, high);
}

/** Three to six multiples of 1, 2 or 5 times a power of ten. */
export function equalTicks(low: number, high: number): number[] {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((mantissa) => mantissa * power).find((each) => each >= rough * 0.75) ?? rough;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
