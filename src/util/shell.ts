/** Commands that a user can copy into a shell. */

/** A word of a command, as a shell reads it: in quotes only where it needs them. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
