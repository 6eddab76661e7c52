import type { OnednnEngine } from '../src/engine/onednn/engine.ts';
import { AblateError } from '../src/util/errors.ts';

/** Why tests of the engine are skipped where `loadOnednn` finds none. */
export const noOnednn = 'there is no oneDNN library (npm run setup)';

/** The engine with two threads, or undefined (and a line that says why) on a machine without the oneDNN library. */
export async function loadOnednn(): Promise<OnednnEngine | undefined> {
  const { createOnednnEngine } = await import('../src/engine/onednn/engine.ts');
  try {
    return createOnednnEngine({ threads: 2 });
  } catch (error) {
    if (!(error instanceof AblateError)) throw error;
    process.stderr.write(`The oneDNN engine is not tested: ${error.message}\n${error.fix ?? ''}\n`);
    return undefined;
  }
}
