import { NetworkBuilder, type Network, type Tensor } from '../nn/network.ts';
import { requireDefinition } from '../util/definition.ts';
import { ConfigurationError } from '../util/errors.ts';
import { requireSettings, type Resolved, type ResolvedSettings, type Setting, type Settings } from './settings.ts';
import { showValue } from '../util/show-value.ts';

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
  /** Tensorsandbox's WD: each regularized weight w adds (WD / number of elements) * sum(w * w) / 2 to the loss. */
  readonly weightDecay2017: number;
  /** Side of the images it was published with, in pixels: for tensorsandbox's models those it trained on. */
  readonly defaultInputSize: number;
  /** `settings` must be complete and allowed, as `resolveSettings` returns them. */
  build(settings: ResolvedSettings, input: InputSize, classes: number): Network;
}

/** A model as it is written: by the lab's files and the user's alike. */
export interface ModelSource<S extends Settings> {
  /** Its runs are in the folder of this name: letters, digits, `_` and `-`. */
  readonly name: string;
  readonly summary?: string;
  /** What can be varied, by dotted names, each made with `flag`, `count`, `number` or `choice`. */
  readonly settings?: S;
  readonly weightDecay2017?: number;
  readonly defaultInputSize?: number;
  /** Adds the layers from `b.input` on and returns the logits `[classes]`. */
  layers(b: NetworkBuilder, settings: Resolved<S>, classes: number): Tensor;
}

const optionalKeys = { summary: undefined, settings: undefined, weightDecay2017: undefined, defaultInputSize: undefined };

/**
 * Defines a model. Most of tensorsandbox's models decay by 500 and train on 24x24 crops: the defaults.
 *
 * @throws ConfigurationError for a name or a setting that is not allowed, a key that is unknown, and where there are no layers. What the layers do is
 *   checked when the network is built.
 *
 * @example
 * defineModel({
 *   name: 'small',
 *   settings: { filters: count(16, 'filters of the convolution') },
 *   layers(b, { filters }, classes) {
 *     const x = b.conv('conv', b.input, { kernel: 3, filters, activation: 'relu' });
 *     return b.dense('logits', b.globalAvgPool('average', x), { features: classes });
 *   },
 * });
 */
export function defineModel<const S extends Settings = Record<never, never>>(source: ModelSource<S>): ModelDefinition {
  const { name, summary = '', settings = {} as S, weightDecay2017 = 500, defaultInputSize = 24 } = source;
  requireModel(name, settings);
  requireDefinition('model', source, { layers: 'layers(b, settings, classes)' }, optionalKeys);
  return {
    name,
    summary,
    settings,
    weightDecay2017,
    defaultInputSize,
    build(resolved, { channels, height, width }, classes) {
      const builder = new NetworkBuilder(name, [channels, height, width]);
      // Code that nobody has checked the types of may return nothing.
      const logits = source.layers(builder, resolved as Resolved<S>, classes) as Tensor | undefined;
      if (logits?.shape === undefined) {
        throw new ConfigurationError(`layers of model "${name}" must return the tensor of the logits`, {
          fix: "return b.dense('logits', x, { features: classes })",
        });
      }
      if (logits.shape[0] !== classes) {
        throw new ConfigurationError(
          `the last layer of model "${name}" has ${logits.shape[0]} features, but there are ${classes} classes`,
          { fix: "take the number from the function's third argument: { features: classes }" },
        );
      }
      return builder.build(logits);
    },
  };
}

/** Checks the name and the settings of a model. Throws ConfigurationError. */
export function requireModel(name: string, settings: Settings): void {
  if (typeof name !== 'string' || !/^[A-Za-z0-9][\w-]*$/.test(name)) {
    throw new ConfigurationError(
      `the name of a model (=${showValue(name)}) must begin with a letter or digit and have only letters, digits, "_" and "-": it becomes a folder`,
    );
  }
  requireSettings(name, settings);
}
