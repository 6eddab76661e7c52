/** How a convolution's output pixels lie over its input, as numbers and as text. */
/** What the products need to know of a convolution. A dense layer is one of a single pixel. */
export interface Geometry {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** At the top and left. */
  readonly padding: readonly [number, number];
  readonly input: readonly [number, number];
  readonly output: readonly [number, number];
  /** Of a group. */
  readonly channels: number;
  readonly filters: number;
  readonly groups: number;
}

/** Texts that find a pixel: `at` is its number, if `inside`; lines before, which define both. */
export interface PixelText {
  readonly prepare: string;
  readonly inside?: string;
}

/** The input pixel of output pixel `pixel` under tap `tap`. */
export function inputPixelText(geometry: Geometry, pixel: string, tap: string): PixelText {
  if (isPointwise(geometry)) return { prepare: `  let at = ${pixel};` };
  const { kernel, stride, padding, input, output } = geometry;
  const [height, width] = input;
  return {
    prepare: `  let y = i32(${pixel} / ${output[1]}u % ${output[0]}u * ${stride[0]}u + ${tap} / ${kernel[1]}u) - ${padding[0]};
  let x = i32(${pixel} % ${output[1]}u * ${stride[1]}u + ${tap} % ${kernel[1]}u) - ${padding[1]};
  let at = (${pixel} / ${output[0] * output[1]}u * ${height}u + u32(y)) * ${width}u + u32(x);`,
    inside: `(y >= 0) & (y < ${height}) & (x >= 0) & (x < ${width})`,
  };
}

/** The output pixel which sees input pixel `pixel` under tap `tap`. */
export function outputPixelText(geometry: Geometry, pixel: string, tap: string): PixelText {
  if (isPointwise(geometry)) return { prepare: `  let at = ${pixel};` };
  const { kernel, stride, padding, input, output } = geometry;
  const [height, width] = output;
  const strided = (axis: 0 | 1, name: string) => (stride[axis] === 1 ? '' : ` & (${name} % ${stride[axis]} == 0)`);
  return {
    prepare: `  let down = i32(${pixel} / ${input[1]}u % ${input[0]}u) + ${padding[0]} - i32(${tap} / ${kernel[1]}u);
  let right = i32(${pixel} % ${input[1]}u) + ${padding[1]} - i32(${tap} % ${kernel[1]}u);
  let y = down / ${stride[0]};
  let x = right / ${stride[1]};
  let at = (${pixel} / ${input[0] * input[1]}u * ${height}u + u32(y)) * ${width}u + u32(x);`,
    inside: `(down >= 0) & (y < ${height}) & (right >= 0) & (x < ${width})${strided(0, 'down')}${strided(1, 'right')}`,
  };
}

/** Whether output pixels are input pixels. */
function isPointwise({ kernel, stride, padding, input, output }: Geometry): boolean {
  const isOne = [...kernel, ...stride].every((n) => n === 1) && padding.every((n) => n === 0);
  return isOne && input[0] === output[0] && input[1] === output[1];
}
