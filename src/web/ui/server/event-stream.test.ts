import { expect, test } from 'vitest';
import type { RunRow } from '../protocol.ts';
import { eventStream } from './event-stream.ts';
import type { Live, LiveReader } from './live.ts';

function row(id: string, step: number): RunRow {
  return { id, model: 'tuto', state: 'running', step, steps: 100, updatedMs: 0, createdMs: 0, host: '', studies: [] };
}

/** A stream, and what tells it of changes. */
function stream() {
  const readers = new Set<LiveReader>();
  const live: Live = {
    refresh: () => Promise.resolve(),
    join: (reader) => {
      readers.add(reader);
      return () => readers.delete(reader);
    },
  };
  const reader = eventStream(live).pipeThrough(new TextDecoderStream()).getReader();
  const tell: LiveReader = (changes) => {
    for (const each of readers) each(changes);
  };
  return { reader, readers, tell };
}

async function nextText(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  return (await reader.read()).value ?? '';
}

test('what waits for a slow reader is put together: of each run its newest row, of all growth the names', async () => {
  const { reader, tell } = stream();
  expect(await nextText(reader)).toBe('retry: 1000\n\n');
  // Two messages fit between the stream and its reader; everything behind them waits.
  for (let step = 0; step < 10_000; step++) {
    tell({ runs: { changed: [row('tuto/1', step), row('tuto/2', step)], removed: [] }, grown: ['tuto/1'] });
    if (step < 5) await new Promise((resolve) => setTimeout(resolve));
  }
  tell({ runs: { changed: [], removed: ['tuto/2'] } });
  let texts = '';
  while (!texts.includes('"removed":["tuto/2"]')) texts += await nextText(reader);
  expect(texts.length).toBeLessThan(5000);
  const last = texts.slice(texts.lastIndexOf('event: runs'));
  expect(last).toContain('"step":9999');
  expect(last).not.toContain('"id":"tuto/2"');
  expect(last).toContain('event: grown\ndata: ["tuto/1"]\n\n');
  await reader.cancel();
});

test('a reader that leaves is told nothing more', async () => {
  const { reader, readers, tell } = stream();
  await nextText(reader);
  expect(readers.size).toBe(1);
  await reader.cancel();
  expect(readers.size).toBe(0);
  tell({ grown: ['tuto/1'] });
});

test('names with line breaks stay in one line of the event', async () => {
  const { reader, tell } = stream();
  await nextText(reader);
  tell({ grown: ['a\n\nevent: runs\ndata: x\n\n'] });
  expect(await nextText(reader)).toBe('event: grown\ndata: ["a\\n\\nevent: runs\\ndata: x\\n\\n"]\n\n');
  await reader.cancel();
});
