/**
 * A network of your own. Try it, then change it:
 *
 *     npx ablate info FILE                      its layers, parameters and operations
 *     npx ablate train FILE --recipe modern     trains it on CIFAR-10; --data images:<folder> on pictures of yours
 *     npx ablate train FILE --set filters=32    with another setting; a study can vary them too
 *
 * A run keeps its network: evaluating, freezing and pruning it need this file no more.
 */
import { count, defineModel, flag, type NetworkBuilder, type Tensor } from 'ablate';

/** Two convolutions beside the identity, the channels weighed at the end where `squeeze` is given (Hu et al., 2018). */
function block(b: NetworkBuilder, name: string, x: Tensor, squeeze: boolean): Tensor {
  const channels = x.shape[0]!;
  const normalized = (part: string, input: Tensor): Tensor =>
    b.batchNorm(`${name}/${part}/norm`, b.conv(`${name}/${part}`, input, { kernel: 3, filters: channels, bias: false }));
  let y = normalized('conv2', b.activation(`${name}/relu1`, normalized('conv1', x), 'relu'));
  if (squeeze) {
    const narrow = b.dense(`${name}/narrow`, b.globalAvgPool(`${name}/average`, y), {
      features: Math.max(1, channels / 4),
      activation: 'relu',
    });
    y = b.multiply(`${name}/weighed`, y, b.dense(`${name}/weights`, narrow, { features: channels, activation: 'sigmoid' }));
  }
  return b.activation(`${name}/relu2`, b.add(`${name}/sum`, x, y), 'relu');
}

export default defineModel({
  name: 'NAME',
  summary: 'two residual blocks with squeeze and excitation',
  settings: {
    filters: count(16, 'filters of the first block; the second has twice as many'),
    squeeze: flag(true, 'whether the blocks weigh their channels'),
  },
  layers(b, { filters, squeeze }, classes) {
    let x = b.conv('conv1', b.input, { kernel: 3, filters, activation: 'relu' });
    x = block(b, 'block1', x, squeeze);
    x = b.conv('halve', x, { kernel: 3, filters: 2 * filters, stride: 2, activation: 'relu' });
    x = block(b, 'block2', x, squeeze);
    return b.dense('logits', b.globalAvgPool('average', x), { features: classes });
  },
});
