/** `--ui`: the live page beside a command that trains. */
import { note } from './output.ts';

export const uiOption = ['--ui', 'serve the live page of the runs meanwhile, like ablate ui'] as const;

export interface UiOption {
  readonly ui?: true;
}

/** Where `ablate ui` listens by default. */
export const usualPort = 8018;

/** Does the work, with the live page beside it if that is asked for. @throws AblateError if the page cannot be served */
export async function withLivePage<T>(
  { ui, dataDir }: UiOption & { readonly dataDir?: string },
  runsFolder: string,
  work: () => Promise<T>,
): Promise<T> {
  if (ui !== true) return await work();
  const { startPageBeside } = await import('../web/ui/server/page-beside.ts');
  const page = await startPageBeside({ runsFolder, dataDir, port: usualPort });
  note(`live page: ${page.url}`);
  try {
    return await work();
  } finally {
    await page.close();
  }
}
