/** Whether an ONNX file, which other programs may have touched since it was frozen, can be run as a frozen file. */
import { DataError } from '../util/errors.ts';
import type { CheckedModel, HeldTensor } from './onnx/schema.ts';
import { imageInput, logitsOutput, probabilitiesOutput } from './tensor-names.ts';

/**
 * @param source what to call the file in errors
 * @throws DataError if the input or an output is missing, the outputs are not one for each class, or weights are not in the file or not
 *   finite
 */
export function requireRunnable(model: CheckedModel, classes: number, source: string): void {
  requireTensors(model, classes, source);
  const elsewhere = model.tensors.find(({ externalData }) => externalData.length > 0);
  if (elsewhere !== undefined) {
    throw new DataError(
      `${source} keeps its weights (${nameOf(elsewhere)}) in another file, and a frozen file holds them itself`,
      {
        fix: "put them into one file, in Python: onnx.save(onnx.load('model.onnx'), 'single.onnx')",
      },
    );
  }
  const broken = model.tensors.find((tensor) => !isFinite(tensor));
  if (broken !== undefined) {
    throw new DataError(`${source} has values in ${nameOf(broken)} that are not finite`, { fix: 'freeze other weights' });
  }
}

function requireTensors({ inputs, outputs }: CheckedModel, classes: number, source: string): void {
  if (!inputs.some(({ name }) => name === imageInput)) {
    throw new DataError(`${source} has no input ${imageInput}`, { fix: 'freeze it again' });
  }
  for (const wanted of [logitsOutput, probabilitiesOutput]) {
    const output = outputs.find(({ name }) => name === wanted);
    if (output === undefined) throw new DataError(`${source} has no output ${wanted}`, { fix: 'freeze it again' });
    const { shape = [] } = output;
    if (shape.length === 2 && shape[1] === classes) continue;
    throw new DataError(
      `${source} has the names of ${classes} classes, and ${wanted} of shape [${shape.join(', ')}], which must be [N, ${classes}]`,
      { fix: 'freeze it again' },
    );
  }
}

function nameOf({ name }: HeldTensor): string {
  return name === undefined || name === '' ? 'a tensor' : name;
}

/**
 * Types of floating-point numbers (TensorProto.DataType): bytes, and the exponent's bits in the two highest of them. Where all of these are
 * set, a number is infinite or none (IEEE 754).
 */
const floatTypes = new Map([
  [1, { size: 4, exponent: 0x7f80 }],
  [10, { size: 2, exponent: 0x7c00 }],
  [11, { size: 8, exponent: 0x7ff0 }],
  [16, { size: 2, exponent: 0x7f80 }],
]);

function isFinite({ dataType = 0, rawData = new Uint8Array(), floatData, doubleData }: HeldTensor): boolean {
  const type = floatTypes.get(dataType);
  if (type === undefined) return true;
  const { size, exponent } = type;
  for (let end = size; end <= rawData.length; end += size) {
    const highest = 256 * rawData[end - 1]! + rawData[end - 2]!;
    if ((highest & exponent) === exponent) return false;
  }
  return [...floatData, ...doubleData].every(Number.isFinite);
}
