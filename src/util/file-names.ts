/** What kind of file it is, by the end of its name. */

/** A file of weights, which may be compressed. */
export const weightsFileName = /\.safetensors(\.gz)?$/;

/** A frozen file, which may be compressed. */
export const frozenFileName = /\.onnx(\.gz)?$/;
