/** What is recorded of one run beside its curves. What is damaged is left out: the others are of use without it. */
import { kindOf, type Layer } from '../../../nn/layer.ts';
import { countOperations, countParameters, type Network } from '../../../nn/network.ts';
import type { Window2d } from '../../../nn/shape.ts';
import { createChooser, trainingCommand } from '../../../report/run-choices.ts';
import { listCheckpoints } from '../../../runs/checkpoint.ts';
import { readEnvironment, type Run } from '../../../runs/run-folder.ts';
import { checkConfig } from '../../../train/complete-config.ts';
import { recordedClassifier } from '../../../train/classifier-record.ts';
import { readEvaluation } from '../../../train/recorded-evaluation.ts';
import { recordedModelFile } from '../../../user/recorded-file.ts';
import { AblateError } from '../../../util/errors.ts';
import { statIfReachable } from '../../../util/regular-file.ts';
import type { RunDetails, ShownEnvironment, ShownFilters, ShownLayer, ShownNetwork } from '../protocol.ts';

/** @param config its configuration, unchecked; undefined for one that cannot be read */
export function detailsOf(id: string, run: Run, config: unknown): RunDetails {
  const checked = known(() => checkConfig(config));
  const network = known(() => recordedClassifier(run)?.network);
  const details = {
    command: checked && known(() => trainingCommand(checked, createChooser()(checked), recordedModelFile(run))),
    environment: known(() => environmentOf(run)),
    evaluation: readEvaluation(run),
    network: network && shownNetwork(network),
    filters: network && filtersOf(network),
  };
  const checkpoints = known(() => listCheckpoints(run)) ?? [];
  return {
    ...{ id, path: run.path },
    checkpoints: checkpoints.map(({ step, path }) => ({ step, bytes: statIfReachable(path)?.size ?? 0 })),
    ...Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)),
  };
}

/** Undefined where what is recorded cannot be used. */
function known<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

function environmentOf(run: Run): ShownEnvironment {
  const { date, host, operatingSystem, cpu, memoryBytes, threads, commandLine, versions, git } = readEnvironment(run);
  return {
    ...{ date, host, operatingSystem, memoryBytes, threads, commandLine, versions },
    processor: cpu.model,
    cores: cpu.physicalCores,
    ...(git !== undefined && { git }),
  };
}

function shownNetwork(network: Network): ShownNetwork {
  const { inputShape, output, layers, parameters } = network;
  return {
    parameters: countParameters(parameters),
    operations: countOperations(network),
    inputShape,
    output,
    layers: layers.map((layer): ShownLayer => {
      const { name, inputs, outputShape, operations } = layer;
      return {
        name,
        kind: kindOf(layer),
        detail: detailOf(layer),
        inputs,
        shape: outputShape,
        parameters: countParameters(layer.parameters),
        operations,
      };
    }),
  };
}

/** What a layer does beside what its kind says. */
function detailOf(layer: Layer): string {
  const parts = (...texts: readonly (string | false)[]) => texts.filter((text) => text !== false && text !== '').join(', ');
  switch (layer.kind) {
    case 'conv': {
      const { filters, groups, activation } = layer.attributes;
      return parts(windowOf(layer.attributes), `${filters} filters`, groups > 1 && `${groups} groups`, activation?.type ?? '');
    }
    case 'dense':
      return parts(`${layer.attributes.features} features`, layer.attributes.activation?.type ?? '');
    case 'maxPool':
    case 'avgPool':
      return windowOf(layer.attributes);
    case 'lrn':
      return `over ${2 * layer.attributes.depthRadius + 1} channels`;
    case 'dropout':
      return String(layer.attributes.rate);
    case 'scale':
      return `times ${Number(layer.attributes.factor.toPrecision(4))}`;
    case 'batchNorm':
    case 'globalAvgPool':
    case 'activation':
    case 'multiply':
    case 'concat':
    case 'add':
    case 'flatten':
    case 'custom':
      return '';
  }
}

/** `5x5, stride 2` */
function windowOf({ kernel, stride }: Window2d): string {
  const size = kernel.join('x');
  if (stride[0] === 1 && stride[1] === 1) return size;
  return `${size}, stride ${stride[0] === stride[1] ? stride[0] : stride.join('x')}`;
}

/** The first convolution, where it sees the picture itself: its filters are then pictures too. */
function filtersOf({ layers, inputShape }: Network): ShownFilters | undefined {
  const first = layers.find((layer) => layer.kind === 'conv');
  if (first?.attributes.groups !== 1 || first.inputShapes[0]![0] !== inputShape[0]) return undefined;
  if (inputShape[0] !== 1 && inputShape[0] !== 3) return undefined;
  const { filters, kernel } = first.attributes;
  return { layer: first.name, count: filters, height: kernel[0], width: kernel[1] };
}
