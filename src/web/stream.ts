/** Bodies of answers that are sent piece by piece, as fast as the reader takes them: a slow one costs a piece of memory, not a copy. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';

const pieceBytes = 65_536;

/** Sends bytes that stay in memory anyway. */
export function streamBytes(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(bytes.subarray(sent, sent + pieceBytes));
        sent += pieceBytes;
        if (sent >= bytes.length) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** Sends a file; undefined if there is none. */
export async function streamFile(
  path: string,
): Promise<{ readonly body: ReadableStream<Uint8Array>; readonly bytes: number } | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  const stream = createReadStream(path, { highWaterMark: pieceBytes, end: Math.max(0, found.size - 1) });
  return { body: Readable.toWeb(stream) as ReadableStream<Uint8Array>, bytes: found.size };
}
