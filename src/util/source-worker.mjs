/**
 * The entry of every worker thread when running from TypeScript source (never in an installed package; see start-worker.ts). The worker's
 * module is its first argument. It is bundled with what it imports, and the bundle kept while none of its files changes: tests start
 * hundreds of workers.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { threadId } from 'node:worker_threads';

const entry = fileURLToPath(process.argv[2]);
const folder = fileURLToPath(new URL('../../node_modules/.cache/ablate/', import.meta.url));
const kept = join(folder, `${createHash('sha256').update(entry).digest('hex')}.json`);

const { code } = readKept() ?? (await bundle());
await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`);

/** The bundle that was kept; undefined if there is none, or one of its files has changed. */
function readKept() {
  try {
    const found = JSON.parse(readFileSync(kept, 'utf8'));
    return Object.entries(found.versions).every(([path, version]) => version === versionOf(path)) ? found : undefined;
  } catch {
    return undefined;
  }
}

function versionOf(path) {
  const { mtimeMs, size } = statSync(path);
  return `${mtimeMs} ${size}`;
}

async function bundle() {
  const { build } = await import('esbuild');
  const { metafile, outputFiles } = await build({
    entryPoints: [entry],
    absWorkingDir: '/',
    bundle: true,
    format: 'esm',
    logLevel: 'silent',
    metafile: true,
    platform: 'node',
    target: 'node20',
    write: false,
  });
  const versions = Object.fromEntries(Object.keys(metafile.inputs).map((path) => [`/${path}`, versionOf(`/${path}`)]));
  const made = { versions, code: outputFiles[0].text };
  const unfinished = `${kept}.${process.pid}.${threadId}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(unfinished, JSON.stringify(made));
  renameSync(unfinished, kept);
  return made;
}
