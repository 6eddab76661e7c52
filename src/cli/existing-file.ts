/** What a frozen file was made of that a command would replace. */
import { existsSync } from 'node:fs';
import type { FrozenMetadata } from '../deploy/metadata.ts';
import { trainingIdentity } from '../deploy/training-identity.ts';
import type { TrainingConfig } from '../train/config-schema.ts';
import { AblateError } from '../util/errors.ts';
import { sharedRunName } from '../util/file-names.ts';
import type { ExistingFile } from './output-file.ts';

/**
 * What the frozen file at a path was made of; undefined if there is none.
 *
 * @param isOwn whether it was made by the same command of the same source
 */
export async function existingFrozenFile(
  path: string,
  isOwn: (metadata: FrozenMetadata) => boolean,
): Promise<ExistingFile | undefined> {
  if (!existsSync(path)) return undefined;
  const { readFrozenFile } = await import('../deploy/frozen-model.ts');
  try {
    const { metadata } = readFrozenFile(path);
    const { run, model, step, quantization } = metadata;
    const of = run ?? `weights of ${model}`;
    const steps = step === null ? '' : `, step ${step}`;
    return { isOwn: isOwn(metadata), description: `a ${quantization === null ? 'frozen' : 'quantized'} file of ${of}${steps}` };
  } catch (error) {
    if (error instanceof AblateError) return undefined;
    throw error;
  }
}

/** Whether a frozen file is of a run, whatever its steps: there may be one of the same name, and trained in another way, in another folder. */
export function isOfRun({ run, config }: FrozenMetadata, name: string | undefined, trained: TrainingConfig): boolean {
  if (run === null || name === undefined || run !== sharedRunName(name)) return false;
  return trainingIdentity(config) === trainingIdentity(trained);
}
