/**
 * The settings of a model: what a study may vary without writing a new model. Each has a dotted name (`conv1.filters`), a default
 * and the values it allows.
 */
import { ConfigurationError } from '../util/errors.ts';
import { showValue } from '../util/show-value.ts';
import { didYouMean } from '../util/suggest.ts';

export type Setting = BooleanSetting | NumberSetting | ChoiceSetting;

export interface BooleanSetting {
  readonly type: 'boolean';
  readonly default: boolean;
  readonly summary: string;
}

export interface NumberSetting {
  readonly type: 'integer' | 'number';
  readonly default: number;
  readonly summary: string;
  /** Smallest value allowed. */
  readonly min: number;
  /** Largest value allowed, without bound if absent; `below` excludes the bound itself. */
  readonly max?: number;
  readonly below?: number;
}

export interface ChoiceSetting<C extends string = string> {
  readonly type: 'choice';
  readonly default: C;
  readonly summary: string;
  readonly choices: readonly C[];
}

export type Settings = Readonly<Record<string, Setting>>;

/** The value of a setting, by its declaration. */
export type ValueOf<S extends Setting> = S extends BooleanSetting
  ? boolean
  : S extends NumberSetting
    ? number
    : S extends ChoiceSetting<infer C>
      ? C
      : never;

/** Every setting of `S` with a value that its declaration allows. */
export type Resolved<S extends Settings> = { readonly [K in keyof S]: ValueOf<S[K]> };

export type ResolvedSettings = Readonly<Record<string, boolean | number | string>>;

export function flag(defaultValue: boolean, summary: string): BooleanSetting {
  return { type: 'boolean', default: defaultValue, summary };
}

export function choice<C extends string>(defaultValue: C, choices: readonly C[], summary: string): ChoiceSetting<C> {
  return { type: 'choice', default: defaultValue, choices, summary };
}

/** A positive integer: a number of filters or features, the side of a kernel. */
export function count(defaultValue: number, summary: string): NumberSetting {
  return { type: 'integer', default: defaultValue, summary, min: 1 };
}

/** A number of any size, or within bounds. */
export function number(
  defaultValue: number,
  summary: string,
  { min = -Number.MAX_VALUE, max = Number.MAX_VALUE }: { readonly min?: number; readonly max?: number } = {},
): NumberSetting {
  return { type: 'number', default: defaultValue, summary, min, max };
}

/** What has settings. */
export type OwnerKind = 'model' | 'augmentation';

/**
 * Checks settings as a model declares them.
 *
 * @throws ConfigurationError naming the setting whose name, type or default is not allowed
 */
export function requireSettings(owner: string, settings: Settings, kind: OwnerKind = 'model'): void {
  for (const [name, setting] of Object.entries(settings)) {
    if (!/^[A-Za-z]\w*(\.\w+)*$/.test(name)) {
      throw new ConfigurationError(
        `the name of a setting (=${showValue(name)}) of ${kind} "${owner}" must be words of letters and digits, joined by dots: conv1.filters`,
      );
    }
    const { type } = Object(setting) as Partial<Setting>;
    if (type === undefined || !types.includes(type)) {
      throw new ConfigurationError(
        `setting ${name} (=${showValue(setting)}) of ${kind} "${owner}" must be made with flag, count, number or choice`,
      );
    }
    if (isAllowed(setting, setting.default)) continue;
    throw new ConfigurationError(
      `the default of setting ${name} (=${showValue(setting.default)}) of ${kind} "${owner}" must be ${describeAllowed(setting)}`,
    );
  }
}

const types: readonly string[] = ['boolean', 'integer', 'number', 'choice'] satisfies readonly Setting['type'][];

/** The keys of a configuration that name the owner and give its settings. */
const keysOf = {
  model: { names: 'model', group: 'modelSettings' },
  augmentation: { names: 'augmentWith', group: 'augmentWithSettings' },
} as const;

/**
 * Fills in the defaults. Throws ConfigurationError for a name that the owner does not have and for a value out of range.
 */
export function resolveSettings<S extends Settings>(
  owner: string,
  settings: S,
  given: Readonly<Record<string, unknown>>,
  kind: OwnerKind = 'model',
): Resolved<S> {
  const { group, names: ownerKey } = keysOf[kind];
  const resolved: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) resolved[name] = setting.default;
  for (const [name, value] of Object.entries(given)) {
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
    if (setting === undefined) {
      const names = Object.keys(settings);
      throw new ConfigurationError(`${kind} "${owner}" has no setting "${name}".${didYouMean(name, names)}`, {
        key: `${group}.${name}`,
        otherKeys: [ownerKey],
        fix: `Its settings are: ${names.join(', ')}`,
      });
    }
    if (!isAllowed(setting, value)) {
      throw new ConfigurationError(`${name} (=${showValue(value)}) must be ${describeAllowed(setting)} for ${kind} "${owner}"`, {
        key: `${group}.${name}`,
      });
    }
    resolved[name] = value;
  }
  return resolved as Resolved<S>;
}

function isAllowed(setting: Setting, value: unknown): boolean {
  switch (setting.type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'choice':
      return typeof value === 'string' && setting.choices.includes(value);
    case 'integer':
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) && isWithin(setting, value);
    default:
      return setting satisfies never;
  }
}

function isWithin({ type, min, max = Infinity, below = Infinity }: NumberSetting, value: number): boolean {
  return value >= min && value <= max && value < below && (type === 'number' || Number.isInteger(value));
}

/** `true or false`, `an integer of at least 1`, `a number in [0, 1)`, `one of a, b` */
export function describeAllowed(setting: Setting): string {
  switch (setting.type) {
    case 'boolean':
      return 'true or false';
    case 'choice':
      return `one of ${setting.choices.join(', ')}`;
    case 'integer':
    case 'number': {
      const { type, min, max, below } = setting;
      const kind = type === 'integer' ? 'an integer' : 'a number';
      if (below !== undefined) return `${kind} in [${min}, ${below})`;
      const isBounded = max !== undefined && max < Number.MAX_VALUE;
      if (!isBounded && min === -Number.MAX_VALUE) return kind;
      return isBounded ? `${kind} in [${min}, ${max}]` : `${kind} of at least ${min}`;
    }
    default:
      return setting satisfies never;
  }
}
