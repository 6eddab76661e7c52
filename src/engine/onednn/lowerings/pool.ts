/** Max, average and global average pooling. */
import type { LoweringContext, Lowering, Lowered } from '../context.ts';
import type { Window2d } from '../../../nn/shape.ts';
import type { PostOperation } from '../dnnl.ts';
import type { Value } from '../program.ts';
import { reluBackward } from './activation.ts';

export const lowerMaxPool: Lowering<'maxPool'> = (context, layer, [x]) => {
  const pooled = pool(context, layer.name, 'max', layer.attributes, x!, layer.outputShape);
  if (!context.masksEarlierRelus(layer.name)) return pooled;
  // A ReLU commutes with the maximum: its gradient is masked here, on the smaller tensor, in place of before the pooling.
  return {
    output: pooled.output,
    backward: (gradient, needs) => pooled.backward!(reluBackward(context, layer.name, pooled.output, gradient), needs),
  };
};

export const lowerAvgPool: Lowering<'avgPool'> = (context, layer, [x]) =>
  pool(context, layer.name, 'average', layer.attributes, x!, layer.outputShape);

export const lowerGlobalAvgPool: Lowering<'globalAvgPool'> = (context, layer, [x]) => {
  const [channels, height, width] = layer.inputShapes[0] as readonly [number, number, number];
  const window = { kernel: [height, width], stride: [1, 1], padding: [0, 0, 0, 0] } as const;
  return pool(context, layer.name, 'average', window, x!, [channels, 1, 1]);
};

/** `[N, C, H, W]` to `[N, C, 1, 1]`: the sum over the pixels, as their average times their number. For blocked layouts oneDNN has no faster one. */
export function sumOverPixels({ program }: LoweringContext, layer: string, x: Value): Value {
  const { dims, dataType } = x.descriptor;
  const [batch, channels, height, width] = dims as readonly [number, number, number, number];
  const dst = program.dnnl.any([batch, channels, 1, 1], dataType);
  const window = { kernel: [height, width], strides: [1, 1], padding: [0, 0, 0, 0] } as const;
  const spec = { kind: 'pooling', algorithm: 'average', training: false, src: x.descriptor, dst, ...window } as const;
  const times: PostOperation = { type: 'eltwise', algorithm: 'linear', alpha: height * width };
  const primitive = program.primitive(layer, [spec], { postOperations: [times] });
  const sums = program.value(primitive.descriptor('dst'));
  program.emit(layer, 'elementwise', primitive, { src: x, dst: sums });
  return sums;
}

function pool(
  context: LoweringContext,
  layer: string,
  algorithm: 'max' | 'average',
  window: Pick<Window2d, 'kernel' | 'stride' | 'padding'>,
  x: Value,
  outputShape: readonly number[],
): Lowered {
  const { program } = context;
  const { dnnl } = program;
  const geometry = { algorithm, kernel: window.kernel, strides: window.stride, padding: window.padding } as const;
  const dst = dnnl.any([context.batchSize, ...outputShape], x.descriptor.dataType);
  const forward = program.primitive(layer, [
    { kind: 'pooling', training: context.training, src: x.descriptor, dst, ...geometry },
  ]);
  const output = program.value(forward.descriptor('dst'));
  const workspaceDescriptor = forward.descriptor('workspace');
  const workspace = workspaceDescriptor.sizeBytes > 0 ? { workspace: program.value(workspaceDescriptor) } : {};
  program.emit(layer, 'elementwise', forward, { src: x, dst: output, ...workspace });
  return {
    output,
    backward: (gradient) => {
      const diffDst = program.inLayout(layer, gradient, output.descriptor);
      const spec = { kind: 'poolingBackward', diffSrc: x.descriptor, diffDst: diffDst.descriptor, ...geometry } as const;
      const primitive = program.primitive(layer, [spec], { forward });
      const dx = program.value(x.descriptor);
      program.emit(layer, 'elementwise', primitive, { diffDst, diffSrc: dx, ...workspace });
      return [dx];
    },
  };
}
