import { ConfigurationError, messageOf } from '../../util/errors.ts';
import { requirePositiveInteger, requireThat } from '../checks.ts';
import type { CustomFacts, CustomLayer, CustomOptions, CustomParameter } from '../custom.ts';
import type { Inferred } from '../layer.ts';
import { describeInitializers, isInitializer, type ParameterSpec } from '../parameter.ts';
import { formatShape, sizeOf, type Shape } from '../shape.ts';

/** As a network's description has it: what the functions of the custom layer say, so that they are needed to compute alone. */
export interface CustomLayerOptions {
  /** Name of the custom layer. */
  readonly type: string;
  readonly options?: CustomOptions;
  readonly outputShape: Shape;
  readonly parameters?: readonly CustomParameter[];
  readonly operations?: number;
}

/**
 * What a custom layer says of itself for these inputs; `inferCustom` checks it.
 *
 * @param name of the layer, for errors
 * @throws ConfigurationError for what its functions throw
 */
export function describeCustomLayer(name: string, layer: CustomLayer, facts: CustomFacts): CustomLayerOptions {
  const { inputShapes, options } = facts;
  const said = <T>(what: 'outputShape' | 'parameters' | 'operations', ask: () => T): T => {
    try {
      return ask();
    } catch (error) {
      throw new ConfigurationError(`layer "${name}": ${what} of the custom layer "${layer.name}" threw ${messageOf(error)}`, {
        cause: error,
      });
    }
  };
  const outputShape = said('outputShape', () => layer.outputShape?.(facts)) ?? inputShapes[0] ?? [];
  const parameters = said('parameters', () => layer.parameters?.(facts)) ?? [];
  const operations = said('operations', () => layer.operations?.(facts)) ?? 0;
  return {
    type: layer.name,
    ...(Object.keys(options).length > 0 && { options }),
    outputShape,
    ...(parameters.length > 0 && { parameters }),
    ...(operations !== 0 && { operations }),
  };
}

/** Any shapes, parameters and operations. Multiply-adds are those of convolutions and dense layers: none. */
export function inferCustom(
  name: string,
  { type, options = {}, outputShape, parameters = [], operations = 0 }: CustomLayerOptions,
  inputShapes: readonly Shape[],
): Inferred<'custom'> {
  requireThat(inputShapes.length >= 1, name, 'number of inputs', inputShapes.length, 'at least 1');
  requirePlain(name, options);
  requireShape(name, 'outputShape', outputShape);
  const isCount = Number.isInteger(operations) && operations >= 0;
  requireThat(isCount, name, 'operations', operations, 'a number of operations for one example');
  const specs = parameters.map((parameter) => specOf(name, parameter));
  const names = specs.map((spec) => spec.name);
  requireThat(new Set(names).size === names.length, name, 'parameters', names, 'of different names');
  return { attributes: { type, options }, outputShape, parameters: specs, operations, multiplyAdds: 0 };
}

function specOf(layer: string, { name, shape, initial, decay = false }: CustomParameter): ParameterSpec {
  const isName = typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_]*$/.test(name);
  requireThat(isName, layer, 'name of a parameter', name, 'letters, digits and "_"');
  requireShape(layer, `shape of ${name}`, shape);
  requireThat(shape.length <= 5, layer, `shape of ${name}`, formatShape(shape), 'of at most five dimensions');
  const isValue = typeof initial === 'number' ? Number.isFinite(initial) : isInitializer(initial);
  requireThat(isValue, layer, `initial value of ${name}`, initial, `a number, or ${describeInitializers()}`);
  const [first = 1, second = 1, ...kernel] = shape;
  const area = sizeOf(kernel);
  return {
    name: `${layer}.${name}`,
    layer,
    role: decay ? 'weight' : 'scale',
    kind: 'trainable',
    shape,
    fanIn: second * area,
    fanOut: first * area,
    initializer: typeof initial === 'number' ? { type: 'constant', value: initial } : initial,
    regularized: false,
  };
}

function requireShape(layer: string, what: string, shape: unknown): asserts shape is Shape {
  requireThat(Array.isArray(shape) && shape.length > 0, layer, what, shape, 'a list of positive integers');
  for (const extent of shape as readonly number[]) requirePositiveInteger(extent, layer, what);
}

/** What JSON would lose or change is refused: a network is written with these. */
function requirePlain(layer: string, options: unknown): void {
  const isPlain = (value: unknown): boolean => {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
    if (typeof value === 'number') return Number.isFinite(value);
    if (Array.isArray(value)) return value.every(isPlain);
    return typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
  };
  const allowed = 'plain data: text, finite numbers, true, false, null, lists and objects of these';
  requireThat(isPlain(options), layer, 'options', options, allowed);
}
