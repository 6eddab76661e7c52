import { imageInput, requireThat, singleInput } from '../checks.ts';
import type { Inferred, NoOptions } from '../layer.ts';
import { formatShape, sizeOf, type Shape } from '../shape.ts';

/** Joins images of the same height and width along their channels. */
export function inferConcat(name: string, _: NoOptions, inputs: readonly Shape[]): Inferred<'concat'> {
  requireThat(inputs.length >= 2, name, 'number of inputs', inputs.length, 'at least 2');
  const [, height, width] = imageInput([inputs[0]!], name);
  let channels = 0;
  for (const shape of inputs) {
    const [c, h, w] = imageInput([shape], name);
    requireThat(h === height && w === width, name, 'input shape', formatShape(shape), `?x${height}x${width}, as its first input`);
    channels += c;
  }
  return structural([channels, height, width]);
}

/** `[C, H, W]` to `[C * H * W]`, in that order. */
export function inferFlatten(name: string, _: NoOptions, inputs: readonly Shape[]): Inferred<'flatten'> {
  return structural([sizeOf(singleInput(inputs, name))]);
}

function structural(outputShape: Shape): Inferred<'concat'> & Inferred<'flatten'> {
  return { attributes: {}, outputShape, parameters: [], operations: 0, multiplyAdds: 0 };
}
