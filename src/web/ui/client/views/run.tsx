/** One run, inside. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatBytes, formatCount, formatOperations } from '../../../../util/format.ts';
import type { RunDetails, RunRow, ShownEvaluation } from '../../protocol.ts';
import { Chart } from '../charts/chart.tsx';
import { Confusion } from '../charts/confusion.tsx';
import type { Range } from '../charts/draw-lines.ts';
import { Filters } from '../charts/filters.tsx';
import { ago, compact, duration, metricTitle } from '../charts/format.ts';
import { placesOf, scaleOf, xAxes, type Line, type XAxis } from '../charts/lines.ts';
import { NetworkGraph } from '../charts/network.tsx';
import { Empty, Facts, ProgressBar, Segments } from '../parts/controls.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { StateBadge } from '../parts/state-badge.tsx';
import { StopButton } from '../parts/stop-button.tsx';
import { useApp } from '../state/app.ts';
import type { Curves } from '../state/curves.ts';
import { useFetched } from '../state/fetched.ts';
import { addressOf, choose, type Place } from '../state/location.ts';
import { useStore } from '../state/store.ts';
import { coloursOf, useTheme } from '../state/theme.ts';
import { Activations } from './activations.tsx';
import { Gallery } from './gallery.tsx';

const tabs = [
  ['curves', 'Curves'],
  ['mistakes', 'Right and wrong'],
  ['filters', 'Filters'],
  ['activations', 'Activations'],
  ['network', 'Network'],
  ['record', 'Record'],
] as const;

type Tab = (typeof tabs)[number][0];

export function RunViewPage({ place, id }: { readonly place: Place; readonly id: string }) {
  const { live } = useApp();
  useStore(live);
  const row = live.runs.get(id);
  const { data: details, problem } = useFetched<RunDetails>(
    // Of a run that was removed, nothing is there to ask for.
    row === undefined ? undefined : `api/run?id=${encodeURIComponent(id)}`,
    row?.state === 'running' ? 2000 : undefined,
  );
  const tabList = useRef<HTMLElement>(null);
  const tab = tabs.find(([key]) => key === place.choices.get('tab'))?.[0] ?? 'curves';
  // On a narrow page, the chosen one may be out of view.
  useEffect(() => {
    tabList.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab]);
  if (row === undefined) {
    return (
      <Empty title={`There is no run ${id} in this folder`}>
        <p>
          It may have been removed. <a href="#/runs">All runs</a>
        </p>
      </Empty>
    );
  }
  return (
    <article class="run">
      <header>
        <p class="crumbs">
          <a href="#/runs">Runs</a>
          {row.studies.map((name) => (
            <>
              {' · study '}
              <a href={addressOf(['study', name])}>{name}</a>
            </>
          ))}
        </p>
        <div class="title">
          <h1>{id}</h1>
          <StateBadge state={row.state} />
          <StopButton key={row.state} row={row} />
        </div>
        {row.reason !== undefined && row.state !== 'finished' && <p class="quiet">{row.reason}</p>}
      </header>
      <section class="card study-facts" aria-label="In short">
        <RunFacts row={row} />
        {row.step < row.steps && <ProgressBar share={row.steps === 0 ? 0 : row.step / row.steps} state={row.state} />}
      </section>
      <nav class="tabs" aria-label="Parts of the run" ref={tabList}>
        {tabs.map(([key, title]) => (
          <a
            key={key}
            href={addressOf(['run', id], { tab: key })}
            aria-current={key === tab ? 'page' : undefined}
            onClick={(event) => {
              event.preventDefault();
              choose({ tab: key === 'curves' ? undefined : key });
            }}
          >
            {title}
          </a>
        ))}
      </nav>
      {problem !== undefined && <p class="banner problem">{problem}</p>}
      {tab === 'curves' ? (
        <RunCharts place={place} row={row} />
      ) : details === undefined ? (
        <Empty title="Reading the run…" />
      ) : (
        <TabContent tab={tab} details={details} row={row} place={place} />
      )}
    </article>
  );
}

interface TabProps {
  readonly tab: Exclude<Tab, 'curves'>;
  readonly details: RunDetails;
  readonly row: RunRow;
  readonly place: Place;
}

function TabContent({ tab, details, row, place }: TabProps) {
  switch (tab) {
    case 'mistakes':
      return details.evaluation === undefined ? (
        <Empty title="Not evaluated yet" />
      ) : (
        <Mistakes id={details.id} evaluation={details.evaluation} place={place} />
      );
    case 'activations':
      return <Activations place={place} details={details} />;
    case 'filters':
      return details.network === undefined ? (
        <UnknownNetwork />
      ) : (
        <section aria-label="Filters">
          <Filters details={details} />
        </section>
      );
    case 'network':
      return details.network === undefined ? (
        <UnknownNetwork />
      ) : (
        <section aria-label="Network">
          <NetworkGraph id={details.id} network={details.network} />
        </section>
      );
    case 'record':
      return <Record details={details} row={row} />;
  }
}

function UnknownNetwork() {
  return (
    <Empty title="The network of this run is not known">
      <p>Its record was written by another version of ablate, or is damaged.</p>
    </Empty>
  );
}

function RunFacts({ row }: { readonly row: RunRow }) {
  const { accuracy, step, steps, trainLoss, imagesPerSecond, secondsLeft, updatedMs, choices } = row;
  return (
    <Facts
      facts={[
        ...(accuracy === undefined ? [] : [['accuracy', `${(100 * accuracy).toFixed(2)}%`] as const]),
        ...(trainLoss === undefined ? [] : [['training loss', trainLoss.toFixed(4)] as const]),
        ['step', step === steps ? formatCount(step) : `${formatCount(step)} of ${formatCount(steps)}`],
        ...(secondsLeft === undefined ? [] : [['time left', duration(secondsLeft)] as const]),
        ...(imagesPerSecond === undefined ? [] : [['images a second', formatCount(Math.round(imagesPerSecond))] as const]),
        ...(choices === undefined
          ? []
          : ([
              ['data set', choices.dataset],
              ['recipe', choices.recipe],
              ['seed', choices.seed],
              ...(choices.parameters === undefined ? [] : [['parameters', formatCount(choices.parameters)] as const]),
              ...(choices.operations === undefined
                ? []
                : [['operations an image', formatOperations(choices.operations)] as const]),
            ] as const)),
        ['last update', ago(updatedMs, Date.now())],
      ]}
    />
  );
}

interface ChartOfRun {
  readonly title: string;
  readonly keys: readonly string[];
  /** What the lines are called; default: their metrics. */
  readonly labelOf?: (key: string) => string;
}

/** What belongs together in one chart. */
const combined: readonly ChartOfRun[] = [
  { title: 'accuracy', keys: ['test/accuracy', 'val/accuracy', 'test/rawAccuracy', 'val/rawAccuracy'] },
  { title: 'loss', keys: ['train/loss', 'test/loss', 'val/loss', 'test/rawLoss', 'val/rawLoss'] },
  { title: 'learning rate', keys: ['train/learningRate'] },
  { title: 'weight decay loss', keys: ['train/weightDecayLoss'] },
  { title: 'images a second', keys: ['train/imagesPerSecond'] },
  { title: 'scale of the loss', keys: ['train/lossScale'] },
  { title: 'steps left out', keys: ['train/skippedSteps'] },
];

/** A line for each layer. */
const byLayer = [
  { title: 'gradient norm by layer', prefix: 'gradientNorm/' },
  { title: 'weight norm by layer', prefix: 'weightNorm/' },
] as const;

function chartsOf(keys: readonly string[]): readonly ChartOfRun[] {
  const layered = byLayer.map(({ title, prefix }) => ({
    title,
    keys: keys.filter((key) => key.startsWith(prefix)),
    labelOf: (key: string) => key.slice(prefix.length),
  }));
  const charts = [...combined, ...layered];
  const known = new Set(charts.flatMap((chart) => chart.keys));
  return [...charts, ...keys.filter((key) => !known.has(key)).map((key) => ({ title: metricTitle(key), keys: [key] }))];
}

function RunCharts({ place, row }: { readonly place: Place; readonly row: RunRow }) {
  const { curves } = useApp();
  const version = useStore(curves);
  const { lines: palette } = coloursOf(useTheme());
  const [zoom, setZoom] = useState<Range>();
  const axis = xAxes.find((each) => each === place.choices.get('x')) ?? 'step';
  const keys = curves.of(row.id)?.keys ?? [];
  const charts = chartsOf(keys);
  const wanted = charts.flatMap((chart) => chart.keys);
  useEffect(() => {
    curves.show([row.id], wanted);
  }, [row.id, wanted.join('\n')]);
  useEffect(() => () => curves.show([], []), []);
  const logY = new Set((place.choices.get('logy') ?? '').split(' '));
  const drawn = useMemo(
    () =>
      charts
        .map((chart) => ({ ...chart, lines: linesOf(row, chart, { curves, axis, palette }) }))
        .filter(({ lines }) => lines.length > 0),
    [version, row.id, axis, palette, keys.length],
  );
  const { problem } = curves.of(row.id) ?? {};
  return (
    <section class="curves" aria-label="Curves">
      <div class="toolbar">
        <Segments
          label="Horizontal axis"
          value={axis}
          options={xAxes.map((each) => [each, each])}
          onChange={(next) => {
            setZoom(undefined);
            choose({ x: next === 'step' ? undefined : next });
          }}
        />
      </div>
      {problem !== undefined && <p class="banner problem">{problem}</p>}
      {drawn.length === 0 && problem === undefined && <Empty title="No records yet" />}
      <div class="charts">
        {drawn.map(({ title, keys: of, lines }) => (
          <Chart
            key={title}
            title={title}
            metric={of[0]!}
            lines={lines}
            axis={axis}
            zoom={zoom}
            onZoom={setZoom}
            isLogY={logY.has(of[0]!)}
            onToggleLogY={() => {
              const next = new Set(logY);
              if (!next.delete(of[0]!)) next.add(of[0]!);
              choose({ logy: [...next].join(' ').trim() || undefined });
            }}
            {...(lines.length > 1 && { legend: true })}
          />
        ))}
      </div>
    </section>
  );
}

interface LineOptions {
  readonly curves: Curves;
  readonly axis: XAxis;
  readonly palette: readonly string[];
}

function linesOf(row: RunRow, { keys, labelOf = metricTitle }: ChartOfRun, { curves, axis, palette }: LineOptions): Line[] {
  const scale = scaleOf(axis, row.choices);
  if (scale === undefined) return [];
  return keys.flatMap((key, i): Line[] => {
    const curve = curves.of(row.id)?.curves.get(key);
    if (curve === undefined || curve.points === 0) return [];
    const line = {
      id: key,
      label: labelOf(key),
      colour: keys.length > palette.length ? alongRainbow(i / (keys.length - 1)) : palette[i]!,
      dash: [],
      x: placesOf(curve, scale),
      y: Float64Array.from(curve.mean),
    };
    return [curve.unit === 1 ? line : { ...line, low: Float64Array.from(curve.least), high: Float64Array.from(curve.greatest) }];
  });
}

interface MistakesProps {
  readonly id: string;
  readonly evaluation: ShownEvaluation;
  readonly place: Place;
}

/** From blue to red, for more lines than there are colours to tell apart: neighbours are layers that follow each other. */
function alongRainbow(share: number): string {
  return `hsl(${Math.round(220 - 220 * share)} 65% 48%)`;
}

function Mistakes({ id, evaluation, place }: MistakesProps) {
  const { accuracy, loss, images, split, step, weights, perClass } = evaluation;
  const [label, prediction] = (place.choices.get('cell') ?? '').split(' ').map(Number);
  const isChosen =
    label !== undefined && prediction !== undefined && perClass[label] !== undefined && perClass[prediction] !== undefined;
  return (
    <section aria-label="Right and wrong">
      <p>
        {(100 * accuracy).toFixed(2)}% of {formatCount(images)} {split === 'val' ? 'validation' : split} images, loss{' '}
        {compact(loss)}
        <span class="quiet">
          {' '}
          after {formatCount(step)} steps, {weights === 'ema' ? 'moving averages of the weights' : 'weights as trained'}
        </span>
      </p>
      <Confusion
        evaluation={evaluation}
        chosen={isChosen ? `${label} ${prediction}` : undefined}
        onChoose={(row, column) => {
          choose({ cell: row === label && column === prediction ? undefined : `${row} ${column}` });
        }}
      />
      <Gallery
        key={isChosen ? `${label} ${prediction}` : ''}
        id={id}
        classes={perClass.map((each) => each.label)}
        step={step}
        {...(isChosen && { label, prediction })}
      />
    </section>
  );
}

function Record({ details, row }: { readonly details: RunDetails; readonly row: RunRow }) {
  const { command, environment, checkpoints, path } = details;
  const { choices } = row;
  return (
    <div class="record">
      {command !== undefined && (
        <section aria-labelledby="command">
          <h2 id="command">The command that trains the same</h2>
          <div class="card command">
            <pre tabIndex={0}>{command}</pre>
            <CopyButton text={command} />
          </div>
        </section>
      )}
      <section aria-labelledby="configuration">
        <h2 id="configuration">Configuration</h2>
        {choices === undefined ? (
          <p class="quiet">It cannot be read.</p>
        ) : (
          <>
            <p class="quiet">
              Recipe {choices.recipe}; what is not as the recipe has it is <b>bold</b>.
            </p>
            <dl class="card pairs-table">
              {Object.entries(choices.config).map(([key, value]) => (
                <div key={key} class={key in choices.changes ? 'changed' : ''}>
                  <dt>{key}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </>
        )}
      </section>
      <section aria-labelledby="environment">
        <h2 id="environment">Environment</h2>
        {environment === undefined ? (
          <p class="quiet">It cannot be read.</p>
        ) : (
          <dl class="card pairs-table">
            {environmentPairs(environment).map(([key, value]) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
      </section>
      <section aria-labelledby="files">
        <h2 id="files">Files</h2>
        <p class="path">
          <code>{path}</code>
        </p>
        <ul class="quiet">
          {checkpoints.map(({ step, bytes }) => (
            <li key={step}>
              checkpoint of step {formatCount(step)}, {formatBytes(bytes)}
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function environmentPairs(environment: NonNullable<RunDetails['environment']>): (readonly [string, string])[] {
  const { date, host, operatingSystem, processor, cores, threads, memoryBytes, versions, git, commandLine } = environment;
  return [
    ['started', date],
    ['machine', host],
    ['system', operatingSystem],
    ['processor', `${processor}, ${cores} cores`],
    ['threads', String(threads)],
    ['memory', formatBytes(memoryBytes)],
    ...Object.entries(versions),
    ...(git === undefined ? [] : [['commit', `${git.commit}${git.dirty ? ', with changes' : ''}`] as const]),
    ['command line', commandLine.join(' ')],
  ];
}
