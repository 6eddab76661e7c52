import type { Window2d } from '../../../nn/shape.ts';

/** The attributes that convolutions and pools have in common. ONNX orders the padding like ours: begin of each axis, then end. */
export function windowAttributes({ kernel, stride, padding }: Window2d) {
  return { kernel_shape: kernel, strides: stride, pads: padding };
}
