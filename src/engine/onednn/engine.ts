/** The product engine: oneDNN, called through FFI. */
import type { Network } from '../../nn/network.ts';
import { ConfigurationError } from '../../util/errors.ts';
import { leastBytes } from '../../nn/memory.ts';
import { requireMemory, requireThreads } from '../../util/limits.ts';
import { defaultThreads } from '../../util/cpu.ts';
import { requireFunctions } from '../custom-layer.ts';
import { batchLoss } from '../loss.ts';
import type {
  CompileOptions,
  Engine,
  ForwardOptions,
  InferencePlan,
  LossOptions,
  Precision,
  Targets,
  TrainingOptions,
  TrainingPlan,
  VectorMath,
} from '../engine.ts';
import { valuesOf } from './array.ts';
import { compileNetwork, type CompiledNetwork } from './compile.ts';
import { loadLibrary } from './native.ts';
import { probeOnednn, type OnednnProbe } from './probe.ts';
import type { Operation } from './program.ts';
import { openDnnl } from './open.ts';
import { keepSignalsAway } from './signals.ts';
import { createVectorMath } from './vector-math.ts';

export interface OnednnEngineOptions {
  /** OpenMP threads, a positive integer; default `defaultThreads()`. */
  readonly threads?: number;
}

/** A plan whose operations can be timed one by one. */
export interface ProfiledPlan {
  readonly forwardOperations: readonly Operation[];
  readonly backwardOperations: readonly Operation[];
}

export interface OnednnEngine extends Engine {
  readonly libraryVersion: string;
  compileTraining(network: Network, options: TrainingOptions): Promise<TrainingPlan & ProfiledPlan>;
  compileInference(network: Network, options: CompileOptions): Promise<InferencePlan & ProfiledPlan>;
}

/**
 * Loads oneDNN.
 *
 * @throws AblateError where the library is missing (with the command that installs it), ConfigurationError for a wrong number of threads.
 */
export function createOnednnEngine(options: OnednnEngineOptions = {}): OnednnEngine {
  const threads = options.threads ?? defaultThreads();
  requireThreads(threads);
  const { library } = loadLibrary();
  keepSignalsAway();
  const probe = probeOnednn();
  const libraryVersion = probe.version ?? 'unknown';

  // Rejects, as it does where kernels are compiled in the background.
  // eslint-disable-next-line @typescript-eslint/require-await -- a network that cannot be compiled rejects
  const compile = async (network: Network, options: TrainingOptions, training: boolean) => {
    const { batchSize, precision = 'f32', sharedBatch, loss = {} } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new ConfigurationError(`batch size (=${String(batchSize)}) must be a positive integer`);
    }
    requireFunctions(network);
    if (precision === 'f16') refuseFloat16();
    if (precision === 'bf16') requireBf16(probe);
    const needs = (bytes: number) => {
      requireMemory(bytes, `network "${network.name}" in batches of ${batchSize}`, 'use smaller batches, or smaller layers');
    };
    needs(leastBytes(network, { batchSize, training }));
    const dnnl = openDnnl(library, libraryVersion, threads);
    try {
      const compiled = compileNetwork(dnnl, network, {
        batchSize,
        precision,
        training,
        threads,
        sharedBatch,
        requireMemory: needs,
      });
      return planOf({ network, batchSize, precision, loss, compiled, vectorMath: createVectorMath(dnnl) }, () => dnnl.dispose());
    } catch (error) {
      dnnl.dispose();
      throw error;
    }
  };

  return {
    name: 'onednn',
    description: `oneDNN ${libraryVersion} (${probe.isa ?? 'unknown instructions'})`,
    threads,
    versions: { onednn: libraryVersion },
    libraryVersion,
    dispose: () => undefined,
    compileTraining: (network, compileOptions) => compile(network, compileOptions, true),
    compileInference: (network, compileOptions) => compile(network, compileOptions, false),
  };
}

function refuseFloat16(): never {
  throw new ConfigurationError('precision (="f16") must be "f32" or "bf16" on the engine onednn: float16 is for graphics cards', {
    fix: '--engine webgpu on a graphics card that has it, --precision f32, or --precision bf16 where the processor has that',
  });
}

/** @throws ConfigurationError where the processor has no bf16 dot product: oneDNN would emulate it, slower than float32. */
function requireBf16({ isa = 'unknown' }: OnednnProbe): void {
  if (supportsBf16(isa)) return;
  throw new ConfigurationError(`precision (=bf16) needs a processor with AVX512_BF16 or AMX; oneDNN sees ${isa} here`, {
    fix: 'use --precision f32 (prune and compress: --set precision=f32); a run in bf16 is only continued where there is one',
  });
}

/** Whether bf16 kernels run natively on the instruction set that `probeOnednn` names. */
export function supportsBf16(isa: string): boolean {
  return ['avx512_core_bf16', 'avx512_core_fp16', 'avx512_core_amx', 'avx512_core_amx_fp16'].includes(isa);
}

const noRandomness: ForwardOptions = { seed: 0, step: 0 };

interface PlanParts {
  readonly network: Network;
  readonly batchSize: number;
  readonly precision: Precision;
  readonly loss: LossOptions;
  readonly compiled: CompiledNetwork;
  readonly vectorMath: VectorMath;
}

function planOf(parts: PlanParts, dispose: () => void): TrainingPlan & InferencePlan & ProfiledPlan {
  const { network, batchSize, precision, loss, compiled, vectorMath } = parts;
  const { forward, backward, finalFrom, input, output, outputGradient } = compiled;
  const [logits, logitsGradient] = [valuesOf(output), valuesOf(outputGradient)];
  let bound: Float32Array = input;
  let losses: number[] = [];
  return {
    network,
    batchSize,
    precision,
    parameters: compiled.parameters,
    get input() {
      return bound;
    },
    output,
    outputGradient,
    memoryBytes: compiled.memoryBytes,
    forwardOperations: forward,
    backwardOperations: backward,
    vectorMath,
    stepsInFlight: 1,
    bindInput(buffer: Float32Array) {
      if (buffer === bound) return;
      compiled.bindInput(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength));
      bound = buffer;
    },
    forward(options: ForwardOptions = noRandomness) {
      for (const operation of forward) operation.run(options);
    },
    computeLoss({ teacherLogits, ...targets }: Targets) {
      const hostTargets = { ...targets, teacherLogits: teacherLogits && valuesOf(teacherLogits) };
      losses.push(batchLoss(logits, hostTargets, loss, logitsGradient));
    },
    takeLosses() {
      const taken = Float64Array.from(losses);
      losses = [];
      return Promise.resolve(taken);
    },
    backward(onProgress?: (finalFrom: number) => void) {
      backward.forEach((operation, i) => {
        operation.run(noRandomness);
        onProgress?.(finalFrom[i]!);
      });
    },
    dispose,
  };
}
