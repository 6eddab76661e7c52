/** ONNX Runtime for the browser, which nothing else on the page imports. */
import { env, InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import { imageInput, probabilitiesOutput } from '../../../deploy/tensor-names.ts';

/** More threads than this do not help networks of this size. */
const maximumThreads = 4;

/** Threads that the runtime uses: one where the browser does not let the page have more. */
export const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, maximumThreads) : 1;

env.wasm.wasmPaths = new URL('./runtime/', document.baseURI).href;
env.wasm.numThreads = threads;

export interface Classifier {
  /** Probabilities of all classes for one image `[H, W, C]`. */
  classify(pixels: Uint8Array, shape: readonly [channels: number, height: number, width: number]): Promise<Float32Array>;
  dispose(): Promise<void>;
}

export async function loadClassifier(bytes: Uint8Array): Promise<Classifier> {
  const session = await InferenceSession.create(bytes, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  return {
    async classify(pixels, [channels, height, width]) {
      const results = await session.run({ [imageInput]: new Tensor('uint8', pixels, [1, height, width, channels]) });
      return results[probabilitiesOutput]!.data as Float32Array;
    },
    dispose: () => session.release(),
  };
}
