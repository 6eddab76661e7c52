/** Constant tensors of an ONNX graph as typed arrays, and back. */
import { dataTypes, type DataType, type TensorProto } from '../../deploy/onnx/schema.ts';

/** The values of a float32 tensor. Copied, because those in a file's bytes are not aligned. */
export function floatsOf({ rawData }: TensorProto): Float32Array {
  return new Float32Array(new Uint8Array(rawData).buffer);
}

/** A constant tensor; `data` is of the element type that `type` says. */
export function constantTensor(name: string, type: DataType, dims: readonly number[], data: ArrayBufferView): TensorProto {
  return { name, dims, dataType: dataTypes[type], rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
