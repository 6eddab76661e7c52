import { NetworkBuilder, type Network, type Tensor } from '../nn/network.ts';
import { ConfigurationError } from '../util/errors.ts';
import type { Resolved, ResolvedSettings, Setting, Settings } from './settings.ts';

/** The images a model is built for. */
export interface InputSize {
  readonly channels: number;
  /** In pixels. */
  readonly height: number;
  readonly width: number;
}

export interface ModelDefinition {
  readonly name: string;
  /** One line: what the model is, for lists. */
  readonly summary: string;
  /** By dotted name. */
  readonly settings: Readonly<Record<string, Setting>>;
  /** Tensorsandbox's WD: each starred weight w adds (WD / number of elements) * sum(w * w) / 2 to the loss. */
  readonly weightDecay2017: number;
  /** Side of the images it was published with, in pixels: for tensorsandbox's models those it trained on. */
  readonly defaultInputSize: number;
  /** `settings` must be complete and allowed, as `resolveSettings` returns them. */
  build(settings: ResolvedSettings, input: InputSize, classes: number): Network;
}

/** A model as its family's file writes it. */
export interface ModelSource<S extends Settings> {
  readonly name: string;
  readonly summary: string;
  readonly settings: S;
  readonly weightDecay2017?: number;
  readonly defaultInputSize?: number;
  /** Adds the layers from `b.input` on and returns the logits `[classes]`. */
  layers(b: NetworkBuilder, settings: Resolved<S>, classes: number): Tensor;
}

/** Most of tensorsandbox's models decay by 500 and train on 24x24 crops: the defaults. */
export function defineModel<const S extends Settings>(source: ModelSource<S>): ModelDefinition {
  const { name, summary, settings, weightDecay2017 = 500, defaultInputSize = 24 } = source;
  return {
    name,
    summary,
    settings,
    weightDecay2017,
    defaultInputSize,
    build(resolved, { channels, height, width }, classes) {
      const builder = new NetworkBuilder(name, [channels, height, width]);
      const logits = source.layers(builder, resolved as Resolved<S>, classes);
      if (logits.shape[0] !== classes) {
        throw new ConfigurationError(
          `the last layer of model "${name}" must be as wide as there are classes: leave its width out`,
        );
      }
      return builder.build(logits);
    },
  };
}
