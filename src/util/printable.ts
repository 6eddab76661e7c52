/**
 * Text from outside (names of classes, runs, files; messages of other programs) as it may be shown: what would steer a terminal, or make
 * text read other than it is, is written as an escape.
 */

/** Control characters but tab and end of line, and those that turn the direction of writing (Unicode's "Trojan source"). */
const steering = /(?!\t|\r?\n)[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** `\u001b[31m` for the sequence that turns a terminal red. Ends of lines and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll(steering, escaped);
}

/** The same in one line, for a cell of a table or a name in a sentence. */
export function printableLine(text: string): string {
  return printable(text).replaceAll(/[\t\r\n]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`;
}
