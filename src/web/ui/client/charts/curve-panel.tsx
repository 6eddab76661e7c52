/** Curves of runs or groups of runs: the charts, and how they are shown. What is chosen is in the address. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Empty, Menu, Segments, Select, Toggle } from '../parts/controls.tsx';
import { useApp } from '../state/app.ts';
import { choose, type Place } from '../state/location.ts';
import { lookOf } from '../state/run-selection.ts';
import { useStore } from '../state/store.ts';
import { coloursOf, useTheme, type ChartColours } from '../state/theme.ts';
import type { Curve, Curves } from '../state/curves.ts';
import { Chart, Swatch, type ChartProps } from './chart.tsx';
import type { Range } from './draw-lines.ts';
import { isFraction, metricTitle } from './format.ts';
import { byExperiment, differingKeys, groupRuns, notGrouped, shortKey, type Group, type ShownRun } from './groups.ts';
import {
  bands,
  meanDifference,
  meanOf,
  placesOf,
  scaleOf,
  smoothed,
  xAxes,
  type Band,
  type Line,
  type Track,
  type XAxis,
} from './lines.ts';

interface Props {
  readonly place: Place;
  readonly runs: readonly ShownRun[];
  /** Groups that are given, as the variants of a study; else they are chosen. */
  readonly groups?: readonly Group[];
  /** Of those, the one that others are compared with. */
  readonly reference?: string | undefined;
  readonly highlight: string | undefined;
  readonly onHighlight: (id: string | undefined) => void;
}

interface Settings {
  readonly axis: XAxis;
  /** Part of the axis over which curves are smoothed. */
  readonly smoothing: number;
  readonly isLogX: boolean;
  readonly logY: ReadonlySet<string>;
  readonly group: string;
  readonly band: Band;
  /** The group that others are compared with; undefined: values are shown as they are. */
  readonly reference: string | undefined;
  readonly showsDiverged: boolean;
}

const usualMetrics = ['test/accuracy', 'val/accuracy', 'train/loss', 'test/loss', 'val/loss'];
/** Steps of the control, and the parts of the axis that they stand for. */
const smoothings = [0, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1];

function settingsOf({ choices }: Place, given: readonly Group[] | undefined): Settings {
  const oneOf = <T extends string>(key: string, allowed: readonly T[], otherwise: T): T =>
    allowed.find((each) => each === choices.get(key)) ?? otherwise;
  return {
    axis: oneOf('x', xAxes, 'step'),
    smoothing: smoothings[Number(choices.get('smooth') ?? 0)] ?? 0,
    isLogX: choices.get('logx') === '1',
    logY: new Set((choices.get('logy') ?? '').split(' ').filter(Boolean)),
    group: given === undefined ? (choices.get('group') ?? notGrouped) : byExperiment,
    band: oneOf('band', bands, 'interval'),
    reference: choices.get('against') ?? undefined,
    showsDiverged: choices.get('diverged') === '1',
  };
}

export function CurvePanel({ place, runs, groups: given, reference, highlight, onHighlight }: Props) {
  const { curves, live } = useApp();
  const version = useStore(curves);
  const colours = coloursOf(useTheme());
  const [zoom, setZoom] = useState<Range>();
  const settings = settingsOf(place, given);
  const diverged = runs.filter(({ row }) => row.state === 'diverged');
  const shown = settings.showsDiverged ? runs : runs.filter(({ row }) => row.state !== 'diverged');
  const ids = shown.map(({ id }) => id);
  const available = useMemo(() => keysOf(curves, ids), [version, ids.join('\n')]);
  const metrics = metricsOf(place, available);
  useEffect(() => {
    curves.show(ids, metrics);
  }, [ids.join('\n'), metrics.join('\n')]);
  // Forgotten when the view is left.
  useEffect(() => () => curves.show([], []), []);
  const tQuantiles = live.page?.tQuantiles ?? [];
  const groups = useMemo(
    () => given ?? (settings.group === notGrouped ? undefined : groupRuns(shown, settings.group)),
    [given, settings.group, shown],
  );
  const against =
    settings.reference === undefined ? undefined : (groups?.find(({ name }) => name === settings.reference) ?? groups?.[0]);
  const rows = shown.map(({ row }) => row);

  if (runs.length === 0) {
    return (
      <Empty title="No run is selected">
        <p>Select runs in the table to see their curves.</p>
      </Empty>
    );
  }
  return (
    <section class="curves" aria-label="Curves">
      <div class="toolbar">
        <Segments
          label="Horizontal axis"
          value={settings.axis}
          options={xAxes.map((axis) => [axis, axis])}
          onChange={(axis) => {
            setZoom(undefined);
            choose({ x: axis === 'step' ? undefined : axis });
          }}
        />
        <span class="wide">
          <Smoothing value={settings.smoothing} />
        </span>
        {given === undefined && (
          <Select
            label="Group"
            value={settings.group}
            options={[
              [notGrouped, 'each run'],
              [byExperiment, 'all but the seed'],
              ...differingKeys(rows).map((key) => [key, shortKey(key)] as [string, string]),
            ]}
            onChange={(group) => {
              choose({ group: group === notGrouped ? undefined : group, against: undefined });
            }}
          />
        )}
        {groups !== undefined && (
          <Select
            label="Show"
            value={against?.name ?? ''}
            options={[['', 'values'], ...groups.map(({ name }) => [name, `difference from ${name}`] as [string, string])]}
            onChange={(name) => {
              choose({ against: name === '' ? undefined : name });
            }}
          />
        )}
        <Menu label="View">
          <ul class="checks">
            {available.map((key) => (
              <li key={key}>
                <label>
                  <input
                    type="checkbox"
                    checked={metrics.includes(key)}
                    onChange={() => {
                      const next = metrics.includes(key) ? metrics.filter((each) => each !== key) : [...metrics, key];
                      choose({ metrics: next.join(' ') });
                    }}
                  />
                  {metricTitle(key)}
                </label>
              </li>
            ))}
            <li class="rule">
              <label>
                <input
                  type="checkbox"
                  checked={settings.isLogX}
                  onChange={() => {
                    choose({ logx: settings.isLogX ? undefined : '1' });
                  }}
                />
                logarithmic horizontal axis
              </label>
            </li>
            {groups !== undefined && (
              <li>
                <Select
                  label="Band"
                  value={settings.band}
                  options={[
                    ['interval', '95% interval'],
                    ['range', 'least to greatest'],
                    ['none', 'none'],
                  ]}
                  onChange={(band) => {
                    choose({ band: band === 'interval' ? undefined : band });
                  }}
                />
              </li>
            )}
            <li class="narrow">
              <Smoothing value={settings.smoothing} />
            </li>
          </ul>
        </Menu>
        {diverged.length > 0 && (
          <Toggle
            isOn={settings.showsDiverged}
            onChange={(isOn) => {
              choose({ diverged: isOn ? '1' : undefined });
            }}
          >
            {diverged.length} diverged
          </Toggle>
        )}
      </div>
      {groups !== undefined && (
        <ul class="legend">
          {groups.map((group, slot) => {
            const { colour } = groupLook(group, slot, colours, reference);
            return (
              <li key={group.name}>
                <button
                  type="button"
                  onMouseEnter={() => {
                    onHighlight(group.name);
                  }}
                  onMouseLeave={() => {
                    onHighlight(undefined);
                  }}
                  onFocus={() => {
                    onHighlight(group.name);
                  }}
                  onBlur={() => {
                    onHighlight(undefined);
                  }}
                  onClick={() => {
                    choose({ against: against?.name === group.name ? undefined : group.name });
                  }}
                >
                  <Swatch colour={colour} />
                  {group.name}
                  <span class="count">{group.runs.length}</span>
                </button>
              </li>
            );
          })}
        </ul>
      )}
      <div class="charts">
        {metrics.map((metric) => (
          <MetricChart
            key={metric}
            metric={metric}
            runs={shown}
            groups={groups}
            options={{ curves, settings, colours, tQuantiles, against, reference }}
            isAvailable={available.includes(metric)}
            zoom={zoom}
            onZoom={setZoom}
            highlight={highlight}
            onHighlight={onHighlight}
          />
        ))}
      </div>
      <Notes runs={shown} curves={curves} axis={settings.axis} />
    </section>
  );
}

function Smoothing({ value }: { readonly value: number }) {
  return (
    <label class="field slider">
      <span>Smoothing</span>
      <input
        type="range"
        min="0"
        max={smoothings.length - 1}
        value={smoothings.indexOf(value)}
        onInput={(event) => {
          const { value: chosen } = event.currentTarget;
          choose({ smooth: chosen === '0' ? undefined : chosen });
        }}
      />
    </label>
  );
}

interface MetricChartProps extends Pick<ChartProps, 'metric' | 'zoom' | 'onZoom' | 'highlight' | 'onHighlight'> {
  readonly runs: readonly ShownRun[];
  readonly groups: readonly Group[] | undefined;
  readonly options: GroupLines;
  readonly isAvailable: boolean;
}

/** The chart of a metric; nothing, if no run has it. Its lines are made, and drawn, again only where something of them has changed. */
function MetricChart({ runs, groups, options, isAvailable, ...chart }: MetricChartProps) {
  const { metric } = chart;
  const { curves, settings, colours, tQuantiles, against, reference } = options;
  const { axis, smoothing, band } = settings;
  const lines = useMemo(
    () => (groups === undefined ? linesOfRuns(runs, metric, curves, settings) : linesOfGroups(groups, metric, options)),
    [
      ...[axis, smoothing, band, colours, tQuantiles, against?.name, reference],
      groups?.map(({ name, runs: members }) => [name, ...members.map(({ id }) => id)].join('\n')).join('\n\n'),
      ...(groups?.flatMap(({ runs: members }) => members) ?? runs).flatMap(({ id, label, colour, dash, row }) => [
        ...[id, label, colour, dash.join(), scaleOf(axis, row.choices), row.choices?.seed],
        curves.of(id)?.curves.get(metric),
      ]),
    ],
  );
  if (lines.length === 0 && !isAvailable) return null;
  const isDifference = against !== undefined;
  const title = metricTitle(metric);
  return (
    <Chart
      {...chart}
      title={isDifference ? `${title}: difference from ${against.name}${isFraction(metric) ? ', points' : ''}` : title}
      lines={lines}
      axis={axis}
      isLogX={settings.isLogX}
      isLogY={settings.logY.has(metric) && !isDifference}
      isDifference={isDifference}
      {...(!isDifference && {
        onToggleLogY: () => {
          const next = new Set(settings.logY);
          if (!next.delete(metric)) next.add(metric);
          choose({ logy: next.size === 0 ? undefined : [...next].join(' ') });
        },
      })}
    />
  );
}

function keysOf(curves: Curves, ids: readonly string[]): string[] {
  const keys = new Set(ids.flatMap((id) => curves.of(id)?.keys ?? []));
  const order = (key: string) => (usualMetrics.includes(key) ? usualMetrics.indexOf(key) : usualMetrics.length);
  return [...keys].sort((a, b) => order(a) - order(b) || a.localeCompare(b));
}

/** Those that were chosen; else the usual ones, as far as the runs have them. */
function metricsOf({ choices }: Place, available: readonly string[]): string[] {
  const chosen = choices.get('metrics');
  if (chosen !== null) return chosen.split(' ').filter(Boolean);
  const usual = usualMetrics.filter((key) => available.includes(key));
  return usual.length > 0 ? usual : usualMetrics;
}

/** What cannot be drawn, and why. */
function Notes({ runs, curves, axis }: { readonly runs: readonly ShownRun[]; readonly curves: Curves; readonly axis: XAxis }) {
  const withoutPlace = runs.filter(({ row }) => scaleOf(axis, row.choices) === undefined).map(({ label }) => label);
  const problems = runs.flatMap(({ id, label }) => {
    const problem = curves.of(id)?.problem;
    return problem === undefined ? [] : [`${label}: ${problem}`];
  });
  const notes = [
    ...(withoutPlace.length > 0 ? [`Not known over this axis, and so not drawn: ${withoutPlace.join(', ')}.`] : []),
    ...problems,
  ];
  return notes.length === 0 ? null : (
    <ul class="notes">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
    </ul>
  );
}

/** Of curves that have not changed, what was made of them is still right. */
const tracks = new WeakMap<Curve, Map<number | 'seconds', Track>>();

function trackOf({ id, row }: ShownRun, metric: string, curves: Curves, axis: XAxis): Track | undefined {
  const curve = curves.of(id)?.curves.get(metric);
  const scale = scaleOf(axis, row.choices);
  if (curve === undefined || scale === undefined) return undefined;
  const known = tracks.get(curve) ?? new Map<number | 'seconds', Track>();
  const track = known.get(scale) ?? { x: placesOf(curve, scale), y: new Float64Array(curve.mean) };
  tracks.set(curve, known.set(scale, track));
  return track;
}

function endOf(all: readonly (Track | undefined)[]): number {
  return Math.max(0, ...all.map((track) => track?.x.at(-1) ?? 0));
}

function linesOfRuns(runs: readonly ShownRun[], metric: string, curves: Curves, { axis, smoothing }: Settings): Line[] {
  const ofRuns = runs.map((run) => trackOf(run, metric, curves, axis));
  const span = smoothing * endOf(ofRuns);
  return runs.flatMap((run, i): Line[] => {
    const track = ofRuns[i];
    if (track === undefined) return [];
    const { id, label, colour, dash } = run;
    const curve = curves.of(id)!.curves.get(metric)!;
    const line = { id, label, colour, dash, x: track.x };
    if (span > 0) return [{ ...line, y: smoothed(track.x, track.y, span), raw: track.y }];
    if (curve.unit === 1) return [{ ...line, y: track.y }];
    return [{ ...line, y: track.y, low: new Float64Array(curve.least), high: new Float64Array(curve.greatest) }];
  });
}

interface GroupLines {
  readonly curves: Curves;
  readonly settings: Settings;
  readonly colours: ChartColours;
  readonly tQuantiles: readonly number[];
  readonly against: Group | undefined;
  readonly reference: string | undefined;
}

function linesOfGroups(groups: readonly Group[], metric: string, options: GroupLines): Line[] {
  const { curves, settings, colours, tQuantiles, against, reference } = options;
  const { axis, smoothing, band } = settings;
  const smooth = (track: Track, span: number): Track => (span > 0 ? { x: track.x, y: smoothed(track.x, track.y, span) } : track);
  const tracksOf = (group: Group) =>
    group.runs.flatMap((run) => {
      const track = trackOf(run, metric, curves, axis);
      return track === undefined ? [] : [{ seed: run.row.choices?.seed, track }];
    });
  const all = groups.map(tracksOf);
  const span = smoothing * endOf(all.flat().map(({ track }) => track));
  const partners = new Map(against === undefined ? [] : tracksOf(against).map(({ seed, track }) => [seed, smooth(track, span)]));
  return groups.flatMap((group, slot): Line[] => {
    if (group === against) return [];
    const tracks = all[slot]!.map(({ seed, track }) => ({ seed, track: smooth(track, span) }));
    const mean =
      against === undefined
        ? meanOf(
            tracks.map(({ track }) => track),
            band,
            tQuantiles,
          )
        : meanDifference(
            tracks.flatMap(({ seed, track }): [Track, Track][] => {
              const partner = partners.get(seed);
              return partner === undefined ? [] : [[track, partner]];
            }),
            band,
            tQuantiles,
          );
    if (mean.x.length === 0) return [];
    const { colour, dash } = groupLook(group, slot, colours, reference);
    return [{ id: group.name, label: group.name, colour, dash, ...mean }];
  });
}

/** The reference is grey, as in reports. */
function groupLook({ name }: Group, slot: number, colours: ChartColours, reference: string | undefined) {
  return name === reference ? { colour: colours.muted, dash: [] } : lookOf(slot, colours.lines);
}
