import { basename } from 'node:path';

/** A data set as a report names it: of a folder of images the name alone, as where it lies is nobody else's business. */
export function shownDataset(name: string): string {
  const [kind, ...rest] = name.split(':');
  return rest.length === 0 ? name : `${kind}:${basename(rest.join(':'))}`;
}
