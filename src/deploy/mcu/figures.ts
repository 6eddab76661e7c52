/** What a network takes on a device. */
import type { Standardization } from '../../data/preprocessing.ts';
import type { Network } from '../../nn/network.ts';
import type { ParameterRole } from '../../nn/parameter.ts';
import { sizeOf } from '../../nn/shape.ts';
import { foldBatchNorms } from '../onnx/fold.ts';
import { estimatedBytes, type CodeSize } from './code-size.ts';
import { predictedMs, type Device } from './cores.ts';
import { deviceGraph } from './device-graph.ts';
import { instructionsOf } from './instructions.ts';
import { integerPlan } from './integers.ts';
import { planMemory, type Memory } from './memory.ts';
import { constantBytes, type Plan } from './plan.ts';
import { sharedScales, withFineSums } from './scales.ts';

export interface DeviceFigures {
  readonly flashBytes: {
    /** With biases, factors and tables. */
    readonly weights: number;
    readonly code: number;
    /** With which compiler the code was measured; null where it is estimated. */
    readonly compiler: string | null;
  };
  readonly ramBytes: {
    /** All that a call needs, but for the image, the logits and the stack. */
    readonly activations: number;
    /** The layer that needs most. */
    readonly peakLayer: string;
  };
  /** Products in convolutions and dense layers, for one image. */
  readonly multiplyAdds: number;
  /** Predicted: instructions.ts, cores.ts. */
  readonly cores: readonly { readonly core: string; readonly clockMHz: number; readonly ms: number }[];
}

export function figuresOf(
  plan: Plan,
  memory: Memory,
  { bytes: code, compiler }: CodeSize,
  devices: readonly Device[],
): DeviceFigures {
  const { multiplyAdds } = plan;
  return {
    flashBytes: { weights: constantBytes(plan), code, compiler },
    ramBytes: { activations: memory.tensorBytes + memory.windowBytes, peakLayer: memory.peak.step },
    multiplyAdds,
    cores: devices.map((device) => ({
      core: device.core.name,
      clockMHz: device.clockMHz,
      ms: predictedMs(instructionsOf(plan, memory, device.core.instructionSet), device),
    })),
  };
}

/** Of a network that is not trained yet: the same for all channels, as `--set standardization=channel` has it. */
export function usualStandardization(channels: number): Standardization {
  const half = Array.from({ length: channels }, () => 0.5);
  return { type: 'channel', mean: half, deviation: half };
}

/** What decides what a classifier takes on a device, its weights apart. */
export interface DeviceClassifier {
  readonly network: Network;
  readonly preprocessing: { readonly standardization: Standardization };
}

/**
 * The figures of a network whatever its weights, with an estimate of its code; no factor of a batch normalization is taken to be negative.
 *
 * @throws DataError for a network that integers on a device cannot compute
 */
export function networkFigures(classifier: DeviceClassifier, devices: readonly Device[]): DeviceFigures {
  const plan = untrainedPlan(classifier);
  const memory = planMemory(plan);
  const classes = Array.from({ length: plan.output.extent.channels }, (_, i) => `class ${i}`);
  const code = { name: 'network', plan, memory, classes, origin: [] };
  return figuresOf(plan, memory, { bytes: estimatedBytes(code), compiler: null }, devices);
}

/** The plan of a network as an export makes it, but for weights, factors and scales. */
export function untrainedPlan({ network, preprocessing }: DeviceClassifier): Plan {
  const weights = new Map(
    network.parameters.map(({ name, shape, role }) => [
      name,
      { shape, data: new Float32Array(sizeOf(shape)).fill(positive.has(role) ? 1 : 0) },
    ]),
  );
  const { graph } = deviceGraph(network, foldBatchNorms(network, weights), preprocessing.standardization);
  const names = [graph.input.name, ...graph.nodes.map(({ name }) => name)];
  const one = { scale: 1, zeroPoint: 0 };
  const shared = sharedScales({ graph, image: one });
  return integerPlan(graph, withFineSums(graph, shared, new Map(names.map((name) => [name, one]))));
}

const positive: ReadonlySet<ParameterRole> = new Set<ParameterRole>(['scale', 'variance']);
