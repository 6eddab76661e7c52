/** A network as a graph, and the same as a table. */
import { useMemo, useState } from 'preact/hooks';
import { formatCount } from '../../../../util/format.ts';
import type { ShownLayerTimes, ShownNetwork } from '../../protocol.ts';
import { useFetched } from '../state/fetched.ts';
import { box, layOut } from './network-layout.ts';

const inputName = 'input';

export function NetworkGraph({ id, network }: { readonly id: string; readonly network: ShownNetwork }) {
  const { layers, inputShape } = network;
  const [isTimed, setTimed] = useState(false);
  const { data: times, problem } = useFetched<ShownLayerTimes>(
    isTimed ? `api/layer-times?id=${encodeURIComponent(id)}` : undefined,
  );
  const timeOf = useMemo(
    () => new Map(times?.layers.map(({ layer, forwardMs, backwardMs }) => [layer, forwardMs + backwardMs])),
    [times],
  );
  const allMs = [...timeOf.values()].reduce((sum, ms) => sum + ms, 0);
  const layout = useMemo(() => layOut(layers, inputName), [network]);
  const [selected, setSelected] = useState<string>();
  const share = (value: number, total: number) => (total === 0 ? 0 : value / total);
  const margin = 2;
  return (
    <div class="network">
      <div class="card scroll graph" tabIndex={0} role="region" aria-label="The network as a graph">
        <svg
          width={layout.width + 2 * margin}
          height={layout.height + 2 * margin}
          viewBox={`${-margin} ${-margin} ${layout.width + 2 * margin} ${layout.height + 2 * margin}`}
          aria-hidden="true"
        >
          {layout.arrows.map(({ from, to, points }) => (
            <path
              key={`${from} ${to}`}
              class={`arrow ${from === selected || to === selected ? 'selected' : ''}`}
              d={curveThrough(points)}
            />
          ))}
          <g transform={`translate(${layout.inputX - box.width / 2} 0)`}>
            <rect class="layer input" width={box.width} height={box.height} rx="7" />
            <text class="name" x={box.width / 2} y="19">
              input
            </text>
            <text class="detail" x={box.width / 2} y="35">
              {inputShape.join(' × ')}
            </text>
          </g>
          {layout.layers.map(({ layer, x, y }) => (
            <g
              key={layer.name}
              transform={`translate(${x - box.width / 2} ${y - box.height / 2})`}
              onMouseEnter={() => {
                setSelected(layer.name);
              }}
              onMouseLeave={() => {
                setSelected(undefined);
              }}
            >
              <title>{`${layer.name}: ${layer.kind} ${layer.detail}, ${layer.shape.join(' × ')}, ${formatCount(layer.parameters)} parameters, ${formatCount(layer.operations)} operations`}</title>
              <rect
                class={`layer ${layer.kind} ${layer.name === selected ? 'selected' : ''}`}
                width={box.width}
                height={box.height}
                rx="7"
              />
              <rect
                class="share"
                x="0"
                y={box.height - 3}
                width={box.width * share(layer.operations, network.operations)}
                height="3"
              />
              <text class="name" x={box.width / 2} y="18">
                {clipped(layer.name, 24)}
              </text>
              <text class="detail" x={box.width / 2} y="34">
                {clipped(`${layer.kind} · ${layer.shape.join(' × ')}`, 28)}
              </text>
            </g>
          ))}
        </svg>
      </div>
      <div class="card scroll" tabIndex={0} role="region" aria-label="The layers as a table">
        <p class="timing quiet" role="status">
          {!isTimed && (
            <button
              type="button"
              class="button"
              onClick={() => {
                setTimed(true);
              }}
            >
              Time each layer
            </button>
          )}
          {isTimed && times === undefined && problem === undefined && 'Timing a step on this machine…'}
          {times !== undefined &&
            `A training step of ${times.batchSize} images, forward and backward, with ${times.threads} thread of this ${times.processor}. A layer without a time is computed with its neighbour.`}
          {problem}
        </p>
        <table class="layers">
          <thead>
            <tr>
              <th scope="col">layer</th>
              <th scope="col">kind</th>
              <th scope="col">output</th>
              <th scope="col" class="number">
                parameters
              </th>
              <th scope="col" class="number">
                operations
              </th>
              {times !== undefined && (
                <th scope="col" class="number">
                  ms
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {layers.map(({ name, kind, detail, shape, parameters, operations }) => (
              <tr
                key={name}
                class={name === selected ? 'selected' : ''}
                onMouseEnter={() => {
                  setSelected(name);
                }}
                onMouseLeave={() => {
                  setSelected(undefined);
                }}
              >
                <th scope="row">{name}</th>
                <td>
                  {kind} <span class="quiet">{detail}</span>
                </td>
                <td>{shape.join(' × ')}</td>
                <td class="number">{parameters === 0 ? '' : formatCount(parameters)}</td>
                <td class="number">
                  {operations > 0 && (
                    <>
                      {formatCount(operations)}
                      <span class="bar">
                        <span style={{ width: `${100 * share(operations, network.operations)}%` }} />
                      </span>
                    </>
                  )}
                </td>
                {times !== undefined && (
                  <td class="number">
                    {(timeOf.get(name) ?? 0) > 0 && (
                      <>
                        {timeOf.get(name)!.toFixed(2)}
                        <span class="bar">
                          <span style={{ width: `${100 * share(timeOf.get(name)!, allMs)}%` }} />
                        </span>
                      </>
                    )}
                  </td>
                )}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">all</th>
              <td />
              <td />
              <td class="number">{formatCount(network.parameters)}</td>
              <td class="number">{formatCount(network.operations)}</td>
              {times !== undefined && <td class="number">{allMs.toFixed(2)}</td>}
            </tr>
          </tfoot>
        </table>
      </div>
    </div>
  );
}

/** Down from each point, bent in the middle, and down into the next. */
function curveThrough(points: readonly (readonly [number, number])[]): string {
  return points
    .map(([x, y], i) => {
      if (i === 0) return `M${x} ${y}`;
      const [px, py] = points[i - 1]!;
      const middle = (py + y) / 2;
      return px === x ? `V${y}` : `C${px} ${middle} ${x} ${middle} ${x} ${y}`;
    })
    .join('');
}

function clipped(text: string, letters: number): string {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}
