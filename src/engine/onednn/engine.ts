/** The product engine: oneDNN, called through FFI. */
import type { Network } from '../../nn/network.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { cpuInfo } from '../../util/cpu.ts';
import { setEnvironmentVariable } from '../../util/env.ts';
import type { CompileOptions, Engine, ForwardOptions, InferencePlan, TrainingPlan } from '../engine.ts';
import { compileNetwork, type CompiledNetwork } from './compile.ts';
import { loadLibrary } from './native.ts';
import { probeOnednn } from './probe.ts';
import type { Operation } from './program.ts';
import { openV2 } from './v2.ts';

export interface OnednnEngineOptions {
  /** OpenMP threads, a positive integer; physical cores by default. Fixed by the first engine of a process. */
  readonly threads?: number;
}

/** A plan whose operations can be timed one by one. */
export interface ProfiledPlan {
  readonly forwardOperations: readonly Operation[];
  readonly backwardOperations: readonly Operation[];
}

export interface OnednnEngine extends Engine {
  readonly threads: number;
  readonly libraryVersion: string;
  compileTraining(network: Network, options: CompileOptions): TrainingPlan & ProfiledPlan;
  compileInference(network: Network, options: CompileOptions): InferencePlan & ProfiledPlan;
}

/**
 * Loads oneDNN.
 *
 * @throws AblateError where the library is missing (with the command that installs it), ConfigurationError for a wrong number of threads.
 */
export function createOnednnEngine(options: OnednnEngineOptions = {}): OnednnEngine {
  const threads = options.threads ?? defaultThreads();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new ConfigurationError(`threads (=${String(threads)}) must be a positive integer`);
  }
  // OpenMP reads it once, when its library is loaded.
  setEnvironmentVariable('OMP_NUM_THREADS', String(threads));
  const { library } = loadLibrary();
  const libraryVersion = probeOnednn().version ?? 'unknown';

  const compile = (network: Network, { batchSize, precision = 'f32' }: CompileOptions, training: boolean) => {
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new ConfigurationError(`batch size (=${String(batchSize)}) must be a positive integer`);
    }
    if (precision !== 'f32') {
      throw new ConfigurationError(`precision (=${precision}) must be f32: the oneDNN engine has no other yet`);
    }
    const dnnl = openV2(library, libraryVersion);
    const compiled = compileNetwork(dnnl, network, batchSize, training);
    return {
      ...planOf(network, batchSize, compiled),
      dispose: () => {
        dnnl.dispose();
      },
    };
  };

  return {
    name: 'onednn',
    threads,
    libraryVersion,
    compileTraining: (network, compileOptions) => compile(network, compileOptions, true),
    compileInference: (network, compileOptions) => compile(network, compileOptions, false),
  };
}

/** Physical cores, as far as this process may use them. */
function defaultThreads(): number {
  const { physicalCores, availableCores } = cpuInfo();
  return Math.min(physicalCores, availableCores);
}

const noRandomness: ForwardOptions = { seed: 0, step: 0 };

function planOf(network: Network, batchSize: number, compiled: CompiledNetwork) {
  const { forward, backward, input } = compiled;
  let bound: Float32Array = input;
  return {
    network,
    batchSize,
    precision: 'f32' as const,
    parameters: compiled.parameters,
    get input() {
      return bound;
    },
    output: compiled.output,
    outputGradient: compiled.outputGradient,
    memoryBytes: compiled.memoryBytes,
    forwardOperations: forward,
    backwardOperations: backward,
    bindInput(buffer: Float32Array) {
      if (buffer === bound) return;
      compiled.bindInput(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
      bound = buffer;
    },
    forward(options: ForwardOptions = noRandomness) {
      for (const operation of forward) operation.run(options);
    },
    backward() {
      for (const operation of backward) operation.run(noRandomness);
    },
  };
}
