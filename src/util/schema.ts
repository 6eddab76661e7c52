/**
 * Strict checks of values by zod schemas. What a schema allows is said here once, in words that complete the sentence `<key> (=<value>) must be ...`;
 * a schema gives its own words (as zod's error message) only where it means more than its type and bounds say.
 */
import * as z from 'zod';
import { ConfigurationError, DataError } from './errors.ts';
import { showValue } from './show-value.ts';
import { didYouMean } from './suggest.ts';

/** Keys and positions from a value to one inside it. */
export type Path = readonly PropertyKey[];

/** One thing that is wrong with a value. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
}

/**
 * Checks a value, and fills in the schema's defaults.
 *
 * @param refuse makes the error of all that is wrong, at least one thing; default: a ConfigurationError about the first key
 */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  refuse: (problems: readonly Problem[]) => Error = configurationError,
): z.output<S> {
  const { success, data, error } = schema.safeParse(value, { error: allowedInstead });
  if (success) return data;
  const problems = error.issues.flatMap((issue) => problemsOf(issue, schema, value));
  // What breaks two bounds is wrong once.
  throw refuse(problems.filter(({ message }, i) => problems.findIndex((other) => other.message === message) === i));
}

function allowedInstead(issue: z.core.$ZodRawIssue): string | undefined {
  const { schema } = issue;
  // The bound of a float64, which goes without saying elsewhere.
  const unbounded = schema instanceof z.ZodNumber && (schema.maxValue ?? Infinity) >= Number.MAX_SAFE_INTEGER;
  if (issue.code === 'too_big' && unbounded) return `at most ${Number.MAX_SAFE_INTEGER}`;
  return schema && allowedBy(schema);
}

function configurationError(problems: readonly Problem[]): ConfigurationError {
  const [key, ...otherKeys] = problems.map(({ path }) => describePath(path));
  return new ConfigurationError(problems.map(({ message }) => message).join('\n'), { key, otherKeys });
}

/** For `check` of what was read from a file: the error is `<what>: <all that is wrong>`. */
export function damaged(what: string, fix: string): (problems: readonly Problem[]) => DataError {
  return (problems) => new DataError(`${what}: ${problems.map(({ message }) => message).join('; ')}`, { fix });
}

/** `factors[1].levels`: how a place in a value is called. */
export function describePath(path: Path): string {
  return path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('');
}

/** What a schema allows: `a positive integer`, `a number in [0, 1)`, `one of a, b`. */
export function allowedBy(schema: z.core.$ZodType): string {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodNumber) return allowedNumbers(inner);
  if (inner instanceof z.ZodBoolean) return 'true or false';
  if (inner instanceof z.ZodArray) return 'a list';
  if (inner instanceof z.ZodObject) return `a group of keys: ${Object.keys(inner.shape).join(', ')}`;
  if (inner instanceof z.ZodRecord) return 'a group of keys';
  const values = valuesOf(inner);
  if (values === undefined) return 'a text';
  return values.length === 1 ? values[0]! : `one of ${values.join(', ')}`;
}

/** A discriminated union, a group of keys of which one, the tag, says what the others are: the tag, and its values. */
export function tagOf(schema: z.core.$ZodType): { readonly tag: string; readonly values: readonly string[] } | undefined {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return undefined;
  const tag = inner.def.discriminator;
  return { tag, values: inner.options.flatMap((option) => valuesOf(shapeOf(option)[tag]!) ?? []) };
}

/** A schema without what makes it optional or readonly. */
export function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = schema._zod.def as { readonly innerType?: z.core.$ZodType };
  return innerType === undefined ? schema : unwrap(innerType);
}

function valuesOf(schema: z.core.$ZodType): readonly string[] | undefined {
  if (schema instanceof z.ZodEnum) return schema.options.map(String);
  if (schema instanceof z.ZodLiteral) return [...schema.values].map(String);
  return tagOf(schema)?.values;
}

function allowedNumbers(schema: z.ZodNumber): string {
  const { type, minimum, exclusiveMinimum, maximum, exclusiveMaximum } = z.toJSONSchema(schema);
  const isInteger = type === 'integer';
  const kind = isInteger ? 'an integer' : 'a number';
  const low = Number(exclusiveMinimum ?? minimum ?? -Infinity);
  const high = Number(exclusiveMaximum ?? maximum ?? Infinity);
  // Without bounds, integers have those of a float64.
  if (low <= Number.MIN_SAFE_INTEGER) return kind;
  if (high < Number.MAX_SAFE_INTEGER) {
    if (isInteger) return `${kind} from ${low} to ${high}`;
    return `${kind} in ${exclusiveMinimum === undefined ? '[' : '('}${low}, ${high}${exclusiveMaximum === undefined ? ']' : ')'}`;
  }
  if (isInteger && (minimum === 1 || exclusiveMinimum === 0)) return 'a positive integer';
  return exclusiveMinimum === undefined ? `${kind} of at least ${low}` : `${kind} above ${low}`;
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.core.$ZodType, value: unknown): Problem[] {
  const { path } = issue;
  const given = valueAt(value, path);
  if (issue.code !== 'unrecognized_keys') {
    return [
      { path, message: `${path.length === 0 ? 'it' : describePath(path)} (=${showValue(given)}) must be ${issue.message}` },
    ];
  }
  const groups = schemasAt(schema, path, value);
  const { tag } = groups.map(tagOf).find((each) => each !== undefined) ?? {};
  const kind = tag === undefined ? '' : ` of ${tag} "${String(valueAt(given, [tag]))}"`;
  const where = path.length === 0 ? '' : ` in ${describePath(path)}${kind}`;
  const keys = groups.flatMap((group) => alternatives(group, given)).flatMap((group) => Object.keys(shapeOf(group)));
  return issue.keys.map((key) => ({
    path: [...path, key],
    message: `there is no key "${key}"${where}.${didYouMean(key, keys)} Allowed: ${keys.join(', ')}`,
  }));
}

/** What the value at a path may be: several schemas where a union on the way does not say which. */
function schemasAt(schema: z.core.$ZodType, path: Path, value: unknown): readonly z.core.$ZodType[] {
  const [key, ...rest] = path;
  if (key === undefined) return [schema];
  const children = alternatives(schema, value).map((each) => (each instanceof z.ZodArray ? each.element : shapeOf(each)[key]));
  return children.flatMap((child) => (child === undefined ? [] : schemasAt(child, rest, valueAt(value, [key]))));
}

/** The options of a union; of one with a tag, that of the value. */
function alternatives(schema: z.core.$ZodType, value: unknown): readonly z.core.$ZodType[] {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodUnion)) return [inner];
  const { tag } = tagOf(inner) ?? {};
  return inner.options.filter(
    (option) => tag === undefined || valuesOf(shapeOf(option)[tag]!)?.includes(String(valueAt(value, [tag]))),
  );
}

function shapeOf(schema: z.core.$ZodType): Readonly<Record<PropertyKey, z.core.$ZodType>> {
  return schema instanceof z.ZodObject ? schema.shape : {};
}

/** The value at a path; undefined where there is none. */
function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}
