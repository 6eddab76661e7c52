/** Weights named on the command line: those of a run, or of a file. */
import type { ModelDefinition } from '../models/model.ts';
import type { Run } from '../runs/run-folder.ts';
import type { SavedModel } from '../train/saved-model.ts';
import type { Assignments } from './options.ts';

export interface ReferenceOptions {
  readonly runsDir: string;
  /** Model of a file that does not say. */
  readonly model?: string | undefined;
  /** Settings of the model of a file that does not say. */
  readonly set?: Assignments | undefined;
}

/**
 * Reads the newest checkpoint of a run (its folder, `<model>/<number>`, or `<model>` for the newest), or a safetensors file.
 *
 * @throws DataError if there is none, or it is damaged
 */
export async function readReference(
  reference: string,
  { runsDir, model, set = {} }: ReferenceOptions,
): Promise<{ readonly saved: SavedModel; readonly run: Run | undefined }> {
  const { readTrainedModel } = await import('../train/saved-model.ts');
  const definition = model === undefined ? undefined : await ownModel(model);
  const given = { ...(model !== undefined && { model: definition?.name ?? model }), ...set };
  return readTrainedModel(reference, { runsFolder: runsDir, given, definition });
}

/** Undefined for one of the lab's own. */
async function ownModel(model: string): Promise<ModelDefinition | undefined> {
  const { isCodeFile } = await import('../user/load-file.ts');
  const { loadModel } = await import('../user/model-file.ts');
  return isCodeFile(model) ? (await loadModel(model, { saysWhenSlow: true })).definition : undefined;
}
