import { formatCount } from '../util/format.ts';
import { alignColumns } from '../util/text-table.ts';
import { kindOf, type Layer } from './layer.ts';
import { countMultiplyAdds, countOperations, countParameters, inputName, type Network } from './network.ts';
import { formatShape } from './shape.ts';

/** Parameters are float32. */
const bytesPerParameter = 4;

/**
 * The network as an aligned table for people: a line per layer with its kind, output shape, parameters, operations and
 * multiply-adds for one example, then the totals and the bytes of the parameters (running statistics are not counted).
 */
export function networkTable(network: Network): string {
  const parameters = countParameters(network.parameters);
  const rows = [
    ['layer', 'kind', 'output', 'parameters', 'operations', 'multiply-adds'],
    [inputName, '', formatShape(network.inputShape), '', '', ''],
    ...network.layers.map(layerRow),
    ['total', '', '', formatCount(parameters), formatCount(countOperations(network)), formatCount(countMultiplyAdds(network))],
  ];
  const table = alignColumns(rows, ['left', 'left', 'left', 'right', 'right', 'right']);
  return `${network.name}\n\n${table}\n\n${formatCount(parameters * bytesPerParameter)} bytes of parameters`;
}

/** A zero is left out: most layers have no parameters, and some no operations. */
function layerRow(layer: Layer): readonly string[] {
  const count = (value: number) => (value === 0 ? '' : formatCount(value));
  const { name, outputShape, operations, multiplyAdds } = layer;
  const parameters = countParameters(layer.parameters);
  return [name, kindOf(layer), formatShape(outputShape), count(parameters), count(operations), count(multiplyAdds)];
}
