/**
 * Serves the live page: what the folders of runs say, and nothing else. Runs of other processes and other days are the same to it as those of
 * this moment. It writes nothing.
 */
import { basename } from 'node:path';
import tQuantile from '@stdlib/stats-base-dists-t-quantile';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import * as z from 'zod';
import { listCheckpoints } from '../../../runs/checkpoint.ts';
import { filterRasters } from '../../../report/pictures/filters.ts';
import { stacked } from '../../../report/pictures/rasters.ts';
import { encodePng } from '../../../runs/png.ts';
import type { Run } from '../../../runs/run-folder.ts';
import { readSafetensors } from '../../../runs/safetensors.ts';
import type { TrainingConfig } from '../../../train/config-schema.ts';
import { AblateError } from '../../../util/errors.ts';
import { packageVersion } from '../../../util/package.ts';
import {
  builtPageFolder,
  createPageApp,
  isLoopback,
  listen,
  loopback,
  type ListenOptions,
  type PageServer,
} from '../../page-server.ts';
import { tokenHeader, type CurvesRequest, type PageState } from '../protocol.ts';
import { isToken, stopRun } from './control.ts';
import { createCurves } from './curves.ts';
import { eventStream } from './event-stream.ts';
import { createLive } from './live.ts';
import { createPictures } from './pictures.ts';
import { createRunIndex } from './run-index.ts';
import { detailsOf } from './run-details.ts';
import { createStudies } from './studies.ts';

export interface UiOptions extends ListenOptions {
  /** The folder of all runs, which need not be there yet. */
  readonly runsFolder: string;
  /** Where the images of data sets are; default as for a training. Nothing is downloaded. */
  readonly dataDir?: string | undefined;
  /** Who sends it may stop runs; undefined: nobody may. */
  readonly token?: string | undefined;
  /** The built page; default where `npm run build` puts it. */
  readonly clientFolder?: string;
}

/** Degrees of freedom that the page has percentiles for: with more, they hardly change. */
const mostFreedom = 200;

/** Of the bytes that a page sends. */
const largestRequest = 2 ** 20;

const curvesRequest = z.object({
  runs: z
    .array(
      z.object({
        id: z.string(),
        have: z
          .record(z.string(), z.object({ generation: z.string(), unit: z.number().positive(), points: z.int().min(0) }))
          .exactOptional(),
      }),
    )
    .max(64),
  keys: z.array(z.string()).max(400),
  most: z.int().min(1),
});

const count = z.coerce.number().int().min(0);

const predictionsQuery = z.object({ label: count.optional(), prediction: count.optional(), first: count.default(0) });

const predictionsAtOnce = 60;

/**
 * Starts the server. Nothing is read before a page asks.
 *
 * @throws AblateError if the port is taken or the page is not built
 */
export async function startUi(options: UiOptions): Promise<PageServer> {
  const { host = loopback, runsFolder, dataDir, token, clientFolder = builtPageFolder('ui') } = options;
  const app = await createPageApp(clientFolder, host);
  const studies = createStudies(runsFolder, () => index);
  const index = createRunIndex(runsFolder, studies.of);
  const live = createLive(index, studies);
  const curves = createCurves((id) => {
    const run = index.run(id);
    const batchSize = index.rows.get(id)?.choices?.batchSize;
    return run && { run, batchSize: batchSize ?? 1 };
  });
  const pictures = createPictures(dataDir);
  const tQuantiles = Array.from({ length: mostFreedom }, (_, i) => tQuantile(0.975, i + 1));

  app.use('/api/*', bodyLimit({ maxSize: largestRequest }));

  app.get('/api/state', async (context) => {
    await live.refresh();
    const state: PageState = {
      folder: runsFolder,
      ...(index.problem !== undefined && { problem: index.problem }),
      version: packageVersion(),
      control: token !== undefined,
      reach: isLoopback(host) ? 'machine' : 'network',
      runs: [...index.rows.values()],
      studies: studies.summaries(),
      tQuantiles,
    };
    return context.json(state);
  });

  app.get('/api/events', () => {
    const headers = { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' };
    return new Response(eventStream(live), { headers });
  });

  app.post('/api/curves', async (context) => {
    const { success, data, error } = curvesRequest.safeParse(await jsonOf(context.req.raw));
    if (!success) return context.text(z.prettifyError(error), 400);
    const answer = await curves.answer(data satisfies CurvesRequest);
    return new Response(answer, { headers: { 'Content-Type': 'application/octet-stream', 'Cache-Control': 'no-store' } });
  });

  app.get('/api/study', (context) => {
    const view = studies.view(context.req.query('name') ?? '');
    return view === undefined ? context.notFound() : context.json(view);
  });

  app.get('/api/run', (context) => {
    const id = context.req.query('id') ?? '';
    const run = index.run(id);
    return run === undefined ? context.notFound() : context.json(detailsOf(id, run, index.config(id)));
  });

  app.get('/api/filters.png', (context) => {
    const { id = '', step = '', layer = '' } = context.req.query();
    const run = index.run(id);
    const checkpoint = run && listCheckpoints(run).find((each) => String(each.step) === step);
    if (checkpoint === undefined) return context.notFound();
    try {
      // One below the other: the page arranges them.
      const filters = filterRasters(readSafetensors(checkpoint.path), layer, basename(checkpoint.path));
      return pngResponse(encodePng(stacked(filters)));
    } catch (error) {
      if (error instanceof AblateError) return context.text(error.message, 404);
      throw error;
    }
  });

  app.post('/api/stop', (context) => {
    if (token === undefined || !isToken(context.req.header(tokenHeader), token)) {
      return context.text('runs can be stopped from the address that ablate ui --control prints', 403);
    }
    const run = index.run(context.req.query('id') ?? '');
    if (run === undefined) return context.notFound();
    try {
      stopRun(run);
      return context.text('stopping');
    } catch (error) {
      if (error instanceof AblateError) return context.text(error.message, 409);
      throw error;
    }
  });

  app.get('/api/predictions', (context) => {
    const { id = '', ...query } = context.req.query();
    const run = index.run(id);
    const { success, data } = predictionsQuery.safeParse(query);
    if (!success) return context.text('label, prediction and first must be numbers', 400);
    const { label, prediction, first } = data;
    const found = run && pictures.predictions(run, { label, prediction }, first, predictionsAtOnce);
    return found === undefined ? context.notFound() : context.json(found);
  });

  app.get('/api/picture.png', (context) =>
    ofImage(context, async (run, config, image) => pngResponse(await pictures.picture(run, config, image))),
  );

  app.get('/api/activations', (context) =>
    ofImage(context, async (run, config, image) => context.json(await pictures.activations(run, config, image))),
  );

  app.get('/api/layer-times', async (context) => {
    const { id = '' } = context.req.query();
    const run = index.run(id);
    const batchSize = index.rows.get(id)?.choices?.batchSize;
    if (run === undefined || batchSize === undefined) return context.notFound();
    try {
      return context.json(await pictures.layerTimes(run, batchSize));
    } catch (error) {
      if (error instanceof AblateError) return context.text(error.message, 404);
      throw error;
    }
  });

  /** Answers about an image of the data set of a run. */
  async function ofImage(
    context: Context,
    answer: (run: Run, config: TrainingConfig, image: number) => Promise<Response>,
  ): Promise<Response> {
    const { id = '', image = '' } = context.req.query();
    const [run, config] = [index.run(id), index.config(id)];
    if (run === undefined || config === undefined || !/^\d{1,9}$/.test(image)) return context.notFound();
    try {
      return await answer(run, config, Number(image));
    } catch (error) {
      if (error instanceof AblateError) return context.text(error.message, 404);
      throw error;
    }
  }

  // Of many runs, much is read by the time that a browser asks.
  const firstLook = live.refresh();
  const { url, close } = await listen(app, options);
  return {
    url,
    async close() {
      await close();
      await firstLook;
      await pictures.close();
    },
  };
}

function pngResponse(png: Uint8Array): Response {
  return new Response(Buffer.from(png), { headers: { 'Content-Type': 'image/png', 'Cache-Control': 'no-store' } });
}

/** Undefined for what is no JSON. */
async function jsonOf(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    return undefined;
  }
}
