/** Names in C. */
import { ConfigurationError } from '../../../util/errors.ts';

/** Of C99 and of C++, which can compile the files too. */
const keywords: ReadonlySet<string> = new Set(
  (
    'alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const consteval constexpr constinit const_cast ' +
    'continue co_await co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline ' +
    'int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return ' +
    'short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using ' +
    'virtual void volatile wchar_t while xor xor_eq'
  ).split(' '),
);

/** Longer names are no help to anybody. */
const longestName = 60;

/**
 * Checks the name with which everything that others see begins.
 *
 * @throws ConfigurationError for what is no identifier, or has a meaning of its own
 */
export function requireIdentifier(name: string): void {
  // Beside main.c, where Main.c may be the same file.
  const isTaken = keywords.has(name) || name.toLowerCase() === 'main';
  if (/^[A-Za-z][A-Za-z0-9_]*$/.test(name) && name.length <= longestName && !isTaken) return;
  const what = isTaken
    ? 'a word that C and C++ leave free'
    : `a letter, then letters, digits and "_", at most ${longestName} in all`;
  throw new ConfigurationError(`name (=${name}) must be an identifier in C: ${what}`, { fix: 'give another with --name' });
}

/** Different identifiers for names of layers: `fire1/squeeze` is `fire1_squeeze`. */
export function identifiersOf(names: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  return new Map(
    names.map((name) => {
      const wanted = name.replace(/[^A-Za-z0-9_]/g, '_');
      let identifier = wanted;
      for (let i = 2; taken.has(identifier); i++) identifier = `${wanted}_${i}`;
      taken.add(identifier);
      return [name, identifier];
    }),
  );
}
