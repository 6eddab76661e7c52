/**
 * ONNX Runtime for Node, which nothing else imports: by itself it would send to Microsoft what it runs and on which machine, the metadata of
 * each file included, and leave files in the user's cache and the temporary folder. It asks the environment once, when it is loaded.
 */
import { isMainThread } from 'node:worker_threads';
import { environmentVariable, setEnvironmentVariable } from '../util/env.ts';
import { AblateError, DataError, messageOf } from '../util/errors.ts';
import { requireThreads } from '../util/limits.ts';
import { imageInput, logitsOutput, probabilitiesOutput } from './tensor-names.ts';

silenceTelemetry();
const { env, InferenceSession, Tensor } = await import('onnxruntime-node');
// Errors are thrown; by itself it would write them to the terminal, too, coloured, and beside them warnings about its own optimizations.
env.logLevel = 'fatal';

/** For tests that run something else than a frozen file; they too must not import the package. */
export { InferenceSession, Tensor };

/** @throws AblateError in a worker thread, whose environment is a copy that native code does not see, if the main thread has not done it */
function silenceTelemetry(): void {
  const variable = 'ORT_DISABLE_TELEMETRY';
  if (isMainThread) setEnvironmentVariable(variable, '1');
  else if (environmentVariable(variable) !== '1') {
    throw new AblateError(`a worker thread cannot keep ONNX Runtime from sending telemetry: ${variable} is not set`, {
      fix: `start the program with ${variable}=1`,
    });
  }
}

export interface RuntimeOptions {
  /** Threads within an operator, a positive integer; default 1: networks this small gain little from more at batch 1. */
  readonly threads?: number;
}

/** Images of one size. */
export interface ImageBatch {
  /** `[count, height, width, C]`, grey or RGB, 0-255. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
}

/** Both `[count, classes]`. */
export interface Predictions {
  readonly logits: Float32Array;
  readonly probabilities: Float32Array;
}

export interface RuntimeSession {
  run(batch: ImageBatch): Promise<Predictions>;
  /** Other outputs of the file than a frozen file's own, by name: float32 tensors. */
  read(batch: ImageBatch, outputs: readonly string[]): Promise<ReadonlyMap<string, Float32Array>>;
  /** Releases the native session, which must not be used afterwards. */
  dispose(): Promise<void>;
}

/**
 * Loads the bytes of a frozen file.
 *
 * @param source what to call the file in errors
 * @throws ConfigurationError for a wrong number of threads; DataError if ONNX Runtime refuses the file
 */
export async function openSession(bytes: Uint8Array, source: string, options: RuntimeOptions = {}): Promise<RuntimeSession> {
  const { threads = 1 } = options;
  requireThreads(threads);
  let session: Awaited<ReturnType<typeof InferenceSession.create>>;
  try {
    session = await InferenceSession.create(bytes, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 4, // Fatal, as above: sessions have their own.
    });
  } catch (error) {
    throw new DataError(`ONNX Runtime cannot load ${source}: ${reasonOf(error)}`, {
      fix: 'freeze it again',
      cause: error,
    });
  }
  const read = async ({ pixels, count, height, width }: ImageBatch, outputs: readonly string[]) => {
    const image = new Tensor('uint8', pixels, [count, height, width, pixels.length / (count * height * width)]);
    const results = await session.run({ [imageInput]: image }, outputs).catch((error: unknown) => {
      throw new AblateError(`ONNX Runtime cannot run ${source} on a batch of ${count}: ${reasonOf(error)}`, {
        fix: count === 1 ? 'freeze it again' : 'give it fewer images at a time, or freeze it again',
        cause: error,
      });
    });
    return new Map(outputs.map((name) => [name, results[name]!.data as Float32Array]));
  };
  return {
    async run(batch) {
      const results = await read(batch, [logitsOutput, probabilitiesOutput]);
      return { logits: results.get(logitsOutput)!, probabilities: results.get(probabilitiesOutput)! };
    },
    read,
    dispose: () => session.release(),
  };
}

/** What ONNX Runtime says, without the places in its own source that it puts before it. */
function reasonOf(error: unknown): string {
  const last = messageOf(error)
    .split(/\[ONNXRuntimeError\] : \d+ : \w+ : /)
    .at(-1)!;
  return last.replace(/^\S+\.cc:\d+ \w+ /, '').trim();
}

/** The version of ONNX Runtime. */
export function runtimeVersion(): string {
  return env.versions.node ?? 'unknown';
}
