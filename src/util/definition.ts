import { ConfigurationError } from './errors.ts';
import { showValue } from './show-value.ts';
import { didYouMean } from './suggest.ts';

/**
 * Checks what code of the user's defines, whose types nobody may have checked: its functions, and that it has no key that nobody reads.
 *
 * @param kind what it is: `model`, `custom layer`
 * @param functions the keys that must be functions, with how each is called
 * @param optional the keys that may be left out, with how each is called that is a function
 * @throws ConfigurationError
 */
export function requireDefinition(
  kind: string,
  definition: { readonly name: string },
  functions: Readonly<Record<string, string>>,
  optional: Readonly<Record<string, string | undefined>> = {},
): void {
  const owner = `${kind} "${definition.name}"`;
  const allowed = ['name', ...Object.keys(functions), ...Object.keys(optional)];
  const unknown = Object.keys(definition).find((key) => !allowed.includes(key));
  if (unknown !== undefined) {
    throw new ConfigurationError(
      `${owner} has an unknown key "${unknown}".${didYouMean(unknown, allowed)} Allowed are ${allowed.join(', ')}`,
    );
  }
  for (const [key, call] of Object.entries({ ...functions, ...optional })) {
    const value = (definition as unknown as Record<string, unknown>)[key];
    if (call === undefined || typeof value === 'function' || (value === undefined && key in optional)) continue;
    throw new ConfigurationError(`${key} (=${showValue(value)}) of ${owner} must be a function: ${call}`);
  }
}
