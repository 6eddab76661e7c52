/**
 * Serves the demonstration page: frozen files, ONNX Runtime's WebAssembly build from the installed package, and the page itself, all from
 * this machine. The page computes in the browser; no image is sent here.
 */
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { readFrozenFile } from '../../deploy/frozen-model.ts';
import { imageShapeOf } from '../../deploy/metadata.ts';
import { sidesOf } from '../../util/image-size.ts';
import {
  builtPageFolder,
  createPageApp,
  listen,
  loopback,
  sendFile,
  type ListenOptions,
  type PageServer,
} from '../page-server.ts';
import { streamBytes } from '../stream.ts';
import type { DemoModel } from './protocol.ts';

export interface DemoOptions extends ListenOptions {
  /** Frozen files, at least one; the first is shown first. */
  readonly models: readonly string[];
  /** The built page; default where `npm run build` puts it. */
  readonly clientFolder?: string;
}

/**
 * Starts the server.
 *
 * @throws DataError for a file that `ablate freeze` did not write; AblateError if the port is taken or the page is not built
 */
export async function startDemo(options: DemoOptions): Promise<PageServer> {
  const { host = loopback, clientFolder = builtPageFolder('demo') } = options;
  const models = options.models.map(loadModel);
  const app = await createPageApp(clientFolder, host, {
    scriptSrc: ["'wasm-unsafe-eval'"],
    workerSrc: ['blob:'],
    connectSrc: ['blob:', 'data:'],
  });
  const runtimeFolder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'));
  app.get('/models.json', (context) => context.json(models.map(({ description }) => description)));
  app.get('/models/:id', (context) => {
    const model = models.find(({ description }) => description.url === `models/${context.req.param('id')}`);
    return model === undefined
      ? context.notFound()
      : context.body(streamBytes(model.bytes), 200, {
          'Content-Type': 'application/octet-stream',
          'Content-Length': String(model.bytes.length),
        });
  });
  app.get('/runtime/:file', (context) => sendFile(runtimeFolder, context.req.param('file')));
  return await listen(app, options);
}

function loadModel(path: string, index: number): { readonly description: DemoModel; readonly bytes: Uint8Array } {
  const { bytes, metadata } = readFrozenFile(path);
  const { model, classes, accuracy, parameters, operations, run } = metadata;
  const description = {
    url: `models/${index}.onnx`,
    file: basename(path),
    sizeBytes: bytes.length,
    model,
    run,
    classes,
    imageShape: imageShapeOf(metadata),
    inputSize: sidesOf(metadata.inputSize),
    accuracy: accuracy?.value ?? null,
    parameters,
    operations,
  };
  return { description, bytes };
}
