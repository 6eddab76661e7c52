import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { recordRun } from '../../../../test/recorded-runs.ts';
import type { PageState } from '../protocol.ts';
import { startPageBeside } from './page-beside.ts';

const root = mkdtempSync(join(tmpdir(), 'ablate-page-beside-'));
const clientFolder = join(root, 'client');
mkdirSync(clientFolder);
writeFileSync(join(clientFolder, 'index.html'), '<!doctype html>');
afterAll(() => rmSync(root, { recursive: true, force: true }));

const isServed = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );

test('the page is served by another process while this one computes, at another port where that is taken, until it is closed', async () => {
  const runsFolder = join(root, 'runs');
  recordRun(runsFolder, { number: 1 });
  const first = await startPageBeside({ runsFolder, clientFolder, port: 0 });
  const port = Number(new URL(first.url).port);
  const second = await startPageBeside({ runsFolder, clientFolder, port });
  try {
    expect(new URL(second.url).port).not.toBe(String(port));
    const { runs, control } = (await (await fetch(`${second.url}api/state`)).json()) as PageState;
    expect(runs.map(({ id }) => id)).toEqual(['tuto/1']);
    expect(control).toBe(false);
  } finally {
    await second.close();
    await first.close();
  }
  expect(await isServed(first.url)).toBe(false);
});

test('a page that is not built is told', async () => {
  await expect(startPageBeside({ runsFolder: root, clientFolder: join(root, 'none'), port: 0 })).rejects.toThrow(
    'the live page cannot be served: the page is not built',
  );
});
