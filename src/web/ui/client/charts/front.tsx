/** Accuracy against what a network costs, with the Pareto front named and joined. */
import { placeLabels, stepsBetween } from '../../../../report/figures/label-placement.ts';
import { equalTicks, linear, logarithmic, ticksWithin } from '../../../../report/figures/scales.ts';
import { paretoFront, type Priced } from '../../../../report/pareto.ts';
import { useWidth } from '../parts/use-width.ts';
import { compact } from './format.ts';

interface Props {
  readonly title: string;
  readonly costName: string;
  /** Accuracies as fractions. */
  readonly points: readonly Priced[];
  readonly highlight: string | undefined;
}

const height = 260;
const margin = { left: 44, right: 16, top: 10, bottom: 40 };

export function FrontChart({ title, costName, points: fractions, highlight }: Props) {
  const [box, width] = useWidth<HTMLDivElement>();
  const points = fractions.map((point) => ({ ...point, accuracy: 100 * point.accuracy }));
  const size = { width: Math.max(80, width - margin.left - margin.right), height: height - margin.top - margin.bottom };
  const x = logarithmic(
    points.map(({ cost }) => cost),
    size.width,
  );
  const y = linear(
    points.map(({ accuracy }) => accuracy),
    size.height,
  );
  const at = ({ cost, accuracy }: Priced) => ({ x: x.toPixel(cost), y: size.height - y.toPixel(accuracy) });
  const front = paretoFront(points);
  const inFront = new Set(front.map(({ name }) => name));
  const labels = placeLabels(
    points.map((point) => ({ ...at(point), ...(inFront.has(point.name) && { name: shortened(point.name) }) })),
    size,
    stepsBetween(front.map(at)),
  );
  const path = front.map((point, i) => {
    const { x: px, y: py } = at(point);
    return i === 0 ? `M${px} ${py}` : `H${px}V${py}`;
  });
  const xTicks = ticksWithin(x.domain).filter((_, i, all) => all.length * 44 < size.width || i % 2 === 0);
  return (
    <figure class="chart" aria-label={title}>
      <figcaption>
        <h3>{title}</h3>
      </figcaption>
      <div ref={box}>
        {width > 0 && (
          <svg class="front" width={width} height={height} aria-hidden="true">
            <g transform={`translate(${margin.left} ${margin.top})`}>
              {equalTicks(...y.domain).map((tick) => {
                const py = size.height - y.toPixel(tick);
                return (
                  <g key={tick}>
                    <line class="grid" x1="0" x2={size.width} y1={py} y2={py} />
                    <text x="-8" y={py + 4} text-anchor="end">
                      {tick}%
                    </text>
                  </g>
                );
              })}
              {xTicks.map((tick) => (
                <g key={tick}>
                  <line class="grid" x1={x.toPixel(tick)} x2={x.toPixel(tick)} y1="0" y2={size.height} />
                  <text x={x.toPixel(tick)} y={size.height + 16} text-anchor="middle">
                    {compact(tick)}
                  </text>
                </g>
              ))}
              <text class="title" x={size.width / 2} y={size.height + 34} text-anchor="middle">
                {costName}
              </text>
              <path class="joined" d={path.join('')} />
              {points.map((point) => {
                const { x: px, y: py } = at(point);
                return (
                  <circle
                    key={point.name}
                    class={`${inFront.has(point.name) ? 'best' : ''} ${point.name === highlight ? 'highlight' : ''}`}
                    cx={px}
                    cy={py}
                    r={point.name === highlight ? 6 : 4.5}
                  >
                    <title>{`${point.name}: ${point.accuracy.toFixed(2)}%, ${compact(point.cost)} ${costName}`}</title>
                  </circle>
                );
              })}
              {labels.map((label) => (
                <text key={label.name} class="label" x={label.x} y={label.y + 4}>
                  {label.name}
                </text>
              ))}
            </g>
          </svg>
        )}
      </div>
      <details class="table-behind">
        <summary>Table</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">variant</th>
                <th scope="col">{costName}</th>
                <th scope="col">accuracy</th>
                <th scope="col">on the front</th>
              </tr>
            </thead>
            <tbody>
              {[...points]
                .sort((a, b) => a.cost - b.cost)
                .map(({ name, cost, accuracy }) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td>{compact(cost)}</td>
                    <td>{accuracy.toFixed(2)}%</td>
                    <td>{inFront.has(name) ? 'yes' : ''}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function shortened(name: string): string {
  return name.length > 28 ? `${name.slice(0, 27)}…` : name;
}
