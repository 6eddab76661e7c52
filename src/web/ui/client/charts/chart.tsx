/** A chart of lines over an axis: with a pointer, from the keyboard, and as a table. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { coloursOf, useTheme } from '../state/theme.ts';
import { createCurveLayer, steadyRange, type CurveLayer } from './curve-layer.ts';
import { extentOfX, logarithmic, rangeOfX, rangeOfY, type Range } from './draw-lines.ts';
import { axisTitles, compact, formatPlace, formatValue, isFraction } from './format.ts';
import { valueAt, type Line, type XAxis } from './lines.ts';

export interface ChartProps {
  readonly title: string;
  /** Of the values: says how they are written. */
  readonly metric: string;
  readonly lines: readonly Line[];
  readonly axis: XAxis;
  readonly isLogX?: boolean;
  readonly isLogY?: boolean;
  readonly height?: number;
  /** What of the axis is shown; all by default. */
  readonly zoom?: Range | undefined;
  readonly onZoom?: (range: Range | undefined) => void;
  readonly highlight?: string | undefined;
  readonly onHighlight?: (id: string | undefined) => void;
  readonly onToggleLogY?: () => void;
  /** In place of the number of lines, for those who do not see it. */
  readonly description?: string;
  /** Values are differences, and signed. */
  readonly isDifference?: boolean;
  /** Whether the names of the lines are shown with it. */
  readonly legend?: boolean;
}

interface Reading {
  readonly x: number;
  /** In pixels of the chart. */
  readonly left: number;
  readonly values: readonly { readonly line: Line; readonly value: number }[];
  readonly nearest: string | undefined;
}

interface Ranges {
  readonly x: Range;
  readonly y: Range;
}

const unitRanges: Ranges = { x: { min: 0, max: 1 }, y: { min: 0, max: 1 } };
/** Charts with the same key show their cursors at the same place. */
const cursors = uPlot.sync('ablate');
/** Lines that a reading names. */
const mostNamed = 10;
const font = '11px system-ui, sans-serif';

export function Chart(props: ChartProps) {
  const { title, metric, lines, axis, isLogX = false, isLogY = false, height = 220, zoom, highlight } = props;
  const { isDifference = false } = props;
  const container = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const layer = useRef<CurveLayer | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const theme = useTheme();
  const [reading, setReading] = useState<Reading>();
  const isEmpty = lines.every(({ x }) => x.length === 0);
  const ranges = useRef<Ranges>(unitRanges);
  const box = plot.current?.bbox;
  const xRange = steadyRange(
    ranges.current.x,
    zoom ?? rangeOfX(lines, isLogX) ?? { min: isLogX ? 1 : 0, max: 1 },
    isLogX,
    box?.width,
  );
  const yRange = useMemo(
    () =>
      withZero(rangeOfY(lines, xRange, isLogY, isFraction(metric) && !isDifference), isDifference) ?? {
        min: isLogY ? 0.1 : 0,
        max: 1,
      },
    [lines, xRange, isLogY, metric, isDifference],
  );
  const y = steadyRange(ranges.current.y, yRange, isLogY, box?.height);
  if (xRange !== ranges.current.x || y !== ranges.current.y) ranges.current = { x: xRange, y };

  useLayoutEffect(() => {
    const target = container.current!;
    const colours = coloursOf(theme);
    const axisBase = {
      stroke: colours.muted,
      font,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
    const made = new uPlot(
      {
        width: Math.max(120, target.clientWidth),
        height,
        padding: [8, 16, 0, 0],
        legend: { show: false },
        cursor: {
          points: { show: false },
          drag: { x: true, y: false, setScale: false },
          sync: { key: cursors.key, scales: ['x', null], setSeries: false },
        },
        scales: {
          x: { time: false, distr: distributionOf(isLogX), range: () => [ranges.current.x.min, ranges.current.x.max] },
          y: { distr: distributionOf(isLogY), range: () => [ranges.current.y.min, ranges.current.y.max] },
        },
        axes: [
          {
            ...axisBase,
            size: 26,
            space: axis === 'time' ? 64 : 52,
            values: (_, splits: (number | null)[]) => splits.map((value) => (value === null ? '' : formatPlace(axis, value))),
            ...(axis === 'time' && { incrs: timeSteps }),
          },
          {
            ...axisBase,
            size: 50,
            space: 32,
            values: (_, splits) => axisValues(metric, splits, isDifference),
          },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: {
          draw: [
            (self) => {
              if (isDifference) drawZero(self, colours.reference);
              layer.current ??= createCurveLayer(self);
              layer.current.draw(latest.current.lines, latest.current.highlight);
            },
          ],
          setCursor: [
            (self) => {
              const isOwn = (self.cursor.event ?? null) !== null || document.activeElement === target;
              setReading(isOwn ? readingAt(self, latest.current.lines) : undefined);
            },
          ],
          setSelect: [
            (self) => {
              if (self.select.width < 8) return;
              const [min, max] = [self.posToVal(self.select.left, 'x'), self.posToVal(self.select.left + self.select.width, 'x')];
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onZoom?.({ min, max });
            },
          ],
        },
      },
      dataOf(ranges.current),
      target,
    );
    made.over.addEventListener('dblclick', () => latest.current.onZoom?.(undefined));
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = Math.max(120, target.clientWidth);
      if (width !== made.width) made.setSize({ width, height });
    });
    observer.observe(target);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
      layer.current = undefined;
    };
  }, [theme, axis, isLogX, isLogY, height, metric, isDifference]);

  const drawnRanges = useRef(ranges.current);
  // Within the frame in which the lines have come, rather than asking for another.
  useLayoutEffect(() => {
    if (drawnRanges.current === ranges.current) layer.current?.draw(lines, highlight);
    // The lines are drawn with the axes.
    else plot.current?.setData(dataOf(ranges.current));
    drawnRanges.current = ranges.current;
  }, [lines, highlight, ranges.current]);

  const nearest = reading?.nearest;
  useEffect(() => {
    latest.current.onHighlight?.(nearest);
  }, [nearest]);

  const moveCursor = (event: KeyboardEvent) => {
    const self = plot.current;
    if (self === undefined) return;
    const { width } = self.over.getBoundingClientRect();
    const now = self.cursor.left ?? -1;
    const step = width / (event.shiftKey ? 10 : 50);
    const places: Readonly<Record<string, number>> = {
      ArrowLeft: now < 0 ? width : Math.max(0, now - step),
      ArrowRight: now < 0 ? 0 : Math.min(width, now + step),
      Home: 0,
      End: width,
    };
    const left = places[event.key];
    if (event.key === 'Escape') {
      self.setCursor({ left: -10, top: -10 });
      latest.current.onZoom?.(undefined);
    } else if (left !== undefined) {
      event.preventDefault();
      self.setCursor({ left, top: 0 });
    }
  };

  return (
    <figure class="chart" aria-label={title}>
      <figcaption>
        <h3>{title}</h3>
        <span class="spacer" />
        {zoom !== undefined && (
          <button type="button" class="text-button" onClick={() => props.onZoom?.(undefined)}>
            whole
          </button>
        )}
        {props.onToggleLogY !== undefined && (
          <button type="button" class="text-button" aria-pressed={isLogY} onClick={props.onToggleLogY}>
            log
          </button>
        )}
      </figcaption>
      <div class="plot">
        <div
          ref={container}
          class="canvas"
          role="img"
          tabIndex={0}
          aria-label={`${title} over ${axisTitles[axis]}: ${props.description ?? describe(lines, metric)} The arrow keys read it, the table below has the values.`}
          onKeyDown={moveCursor}
          onBlur={() => {
            plot.current?.setCursor({ left: -10, top: -10 });
          }}
        />
        {isEmpty && <p class="no-data">no values yet</p>}
        {reading !== undefined && <ReadingBox reading={reading} metric={metric} axis={axis} isDifference={isDifference} />}
      </div>
      {props.legend === true && (
        <ul class="chart-legend">
          {lines.map(({ id, label, colour }) => (
            <li key={id}>
              <Swatch colour={colour} />
              {label}
            </li>
          ))}
        </ul>
      )}
      <DataTable lines={lines} metric={metric} axis={axis} title={title} isDifference={isDifference} />
    </figure>
  );
}

/** uPlot numbers its kinds of scales, and its constants for them cannot be imported file by file. */
function distributionOf(isLog: boolean): uPlot.Scale.Distr {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment
  return isLog ? logarithmic : 1;
}

const timeSteps = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/** No difference is always in view. */
function withZero(range: Range | undefined, isDifference: boolean): Range | undefined {
  if (range === undefined || !isDifference) return range;
  const room = 0.04 * (Math.max(range.max, 0) - Math.min(range.min, 0));
  return { min: Math.min(range.min, -room), max: Math.max(range.max, room) };
}

/** uPlot asks for data to know that there are some: the corners of what is shown. */
function dataOf({ x, y }: Ranges): uPlot.AlignedData {
  return [
    [x.min, x.max],
    [y.min, y.max],
  ];
}

function axisValues(metric: string, splits: readonly (number | null)[], isDifference: boolean): string[] {
  const known = splits.filter((value) => value !== null);
  const factor = isFraction(metric) ? 100 : 1;
  const step = factor * (known.length > 1 ? Math.abs(known[1]! - known[0]!) : 1);
  // As many digits as tell two neighbours apart.
  const digits = String(Number(step.toPrecision(2))).split('.')[1]?.length ?? 0;
  const unit = isFraction(metric) && !isDifference ? '%' : '';
  const text = (value: number) => {
    const shown = factor * value;
    return Math.abs(shown) >= 10_000 || digits > 6 ? compact(shown) : shown.toFixed(digits).replace('-', '−');
  };
  return splits.map((value) => (value === null ? '' : `${text(value)}${unit}`));
}

function written(metric: string, value: number, isDifference: boolean): string {
  if (Number.isNaN(value)) return '–';
  if (!isDifference) return formatValue(metric, value);
  const text = isFraction(metric) ? (100 * value).toFixed(2) : formatValue(metric, value);
  return value > 0 ? `+${text}` : text.replace('-', '−');
}

function drawZero(plot: uPlot, colour: string): void {
  const { ctx, bbox } = plot;
  const y = plot.valToPos(0, 'y', true);
  if (!(y >= bbox.top && y <= bbox.top + bbox.height)) return;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** What the lines are at the cursor; undefined outside of the chart. */
function readingAt(plot: uPlot, lines: readonly Line[]): Reading | undefined {
  const { left = -1, top = -1 } = plot.cursor;
  if (left < 0) return undefined;
  const x = plot.posToVal(left, 'x');
  const values = lines
    .map((line) => ({ line, value: valueAt({ x: line.x, y: line.y }, x) }))
    .filter(({ value }) => !Number.isNaN(value));
  let [nearest, least]: [string | undefined, number] = [undefined, 30];
  for (const { line, value } of values) {
    const distance = Math.abs(plot.valToPos(value, 'y') - top);
    if (distance < least) [nearest, least] = [line.id, distance];
  }
  const distanceOf = (value: number) => Math.abs(plot.valToPos(value, 'y') - top);
  const named =
    values.length <= mostNamed
      ? values
      : [...values].sort((a, b) => distanceOf(a.value) - distanceOf(b.value)).slice(0, mostNamed);
  return { x, left: left + plot.over.offsetLeft, values: [...named].sort((a, b) => b.value - a.value), nearest };
}

interface ReadingProps {
  readonly reading: Reading;
  readonly metric: string;
  readonly axis: XAxis;
  readonly isDifference: boolean;
}

function ReadingBox({ reading: { x, left, values, nearest }, metric, axis, isDifference }: ReadingProps) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = box.current!;
    const room = element.parentElement!.clientWidth;
    const width = element.offsetWidth;
    element.style.left = `${left + 14 + width > room ? Math.max(0, left - 14 - width) : left + 14}px`;
  });
  if (values.length === 0) return null;
  return (
    <div ref={box} class="reading" aria-live="polite">
      <p>{axis === 'time' ? formatPlace(axis, x) : `${formatPlace(axis, Math.round(x * 100) / 100)} ${axisTitles[axis]}`}</p>
      <ul>
        {values.map(({ line, value }) => (
          <li key={line.id} class={line.id === nearest ? 'nearest' : ''}>
            <Swatch colour={line.colour} />
            <span class="name">{line.label}</span>
            <span class="value">
              {written(metric, value, isDifference)}
              {line.counts !== undefined && (
                <MeanOf line={line} x={x} value={value} metric={metric} isDifference={isDifference} />
              )}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

interface MeanOfProps {
  readonly line: Line;
  readonly x: number;
  readonly value: number;
  readonly metric: string;
  readonly isDifference: boolean;
}

/** What a mean stands for: the band around it, and of how many runs it is where some have ended, or have not come so far. */
function MeanOf({ line: { x: places, low, high, counts }, x, value, metric, isDifference }: MeanOfProps) {
  const at = (y: Float64Array | undefined) => (y === undefined ? NaN : valueAt({ x: places, y }, x));
  const [least, greatest] = [at(low), at(high)];
  const half = (greatest - least) / 2;
  const isEven = Math.abs(greatest - value - half) < 1e-6 * Math.max(1, Math.abs(value));
  const count = Math.floor(at(counts));
  const all = counts?.reduce((most, each) => Math.max(most, each), 0) ?? 0;
  const band = isEven
    ? ` ±${isFraction(metric) ? (100 * half).toFixed(2) : formatValue(metric, half)}`
    : ` [${written(metric, least, isDifference)}, ${written(metric, greatest, isDifference)}]`;
  return (
    <span class="quiet">
      {!Number.isNaN(half) && band}
      {count < all && ` ${count} of ${all} runs`}
    </span>
  );
}

export function Swatch({ colour }: { readonly colour: string }) {
  return <span class="swatch" style={{ background: colour }} />;
}

/** Rows and columns of the table behind a chart. */
const [mostRows, mostColumns] = [16, 24];

function DataTable({
  lines,
  metric,
  axis,
  title,
  isDifference,
}: Pick<ChartProps, 'lines' | 'metric' | 'axis' | 'title'> & { readonly isDifference: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const shown = lines.slice(0, mostColumns);
  const all = extentOfX(shown);
  const places = isOpen && all !== undefined ? spread(all, mostRows) : [];
  return (
    <details
      class="table-behind"
      onToggle={(event) => {
        setOpen(event.currentTarget.open);
      }}
    >
      <summary>Table</summary>
      {isOpen && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">{axisTitles[axis]}</th>
                {shown.map(({ id, label }) => (
                  <th key={id} scope="col">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {places.map((place) => (
                <tr key={place}>
                  <th scope="row">{formatPlace(axis, place)}</th>
                  {shown.map((line) => (
                    <td key={line.id}>{written(metric, valueAt({ x: line.x, y: line.y }, place), isDifference)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          {lines.length > shown.length && <p>and {lines.length - shown.length} more</p>}
        </div>
      )}
    </details>
  );
}

function spread({ min, max }: Range, count: number): number[] {
  const whole = max - min >= 2 * count;
  const places = Array.from({ length: count }, (_, i) => min + ((max - min) * i) / (count - 1));
  return [...new Set(whole ? places.map(Math.floor) : places)];
}

function describe(lines: readonly Line[], metric: string): string {
  const drawn = lines.filter(({ x }) => x.length > 0);
  if (drawn.length === 0) return 'no values yet.';
  const last = (line: Line) => formatValue(metric, line.y.findLast((value) => !Number.isNaN(value)) ?? NaN);
  if (drawn.length > 6) return `${drawn.length} lines.`;
  return `${drawn.map((line) => `${line.label} reaches ${last(line)}`).join(', ')}.`;
}
