import { count, defineModel } from 'ablate/browser';

/** Two convolutions and a mean over the image. */
export default defineModel({
  name: 'page-net',
  settings: { filters: count(8, 'filters of the convolutions') },
  layers(b, { filters }, classes) {
    const x = b.conv('conv1', b.input, { kernel: 5, filters, stride: 2, activation: 'relu' });
    const y = b.conv('conv2', x, { kernel: 3, filters: 2 * filters, stride: 2, activation: 'relu' });
    return b.dense('logits', b.globalAvgPool('average', y), { features: classes });
  },
});
