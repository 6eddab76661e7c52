/** The effects of a study: a table, with each interval drawn around the line of no difference. */
import { axisLimit } from '../../../../report/figures/axis-limit.ts';
import { equalTicks } from '../../../../report/figures/scales.ts';
import { formatInterval, formatPoints, formatPValue } from '../../../../report/format.ts';
import type { ShownEffect } from '../../protocol.ts';

interface Props {
  readonly effects: readonly ShownEffect[];
  /** What most are compared with: others are named. */
  readonly reference: string | undefined;
}

const percent = (share: number) => `${Math.round(10_000 * share) / 100}%`;

export function EffectsTable({ effects, reference }: Props) {
  const limit = axisLimit(
    effects.map(({ difference, low, high }) => 100 * Math.max(...[difference, low, high].map((v) => Math.abs(v ?? 0)))),
  );
  const place = (fraction: number) => Math.min(1, Math.max(0, (100 * fraction + limit) / (2 * limit)));
  const ticks = equalTicks(-limit, limit);
  return (
    <table class="effects">
      <thead>
        <tr>
          <th scope="col">change</th>
          <th scope="col" class="number">
            points
          </th>
          <th scope="col" class="axis" aria-label="interval, drawn">
            <span class="ticks" aria-hidden="true">
              {ticks.map((tick) => (
                <span key={tick} style={{ left: percent((tick + limit) / (2 * limit)) }}>
                  {tick > 0 ? `+${tick}` : String(tick).replace('-', '−')}
                </span>
              ))}
            </span>
          </th>
          <th scope="col" class="number">
            95% interval
          </th>
          <th scope="col" class="number optional">
            p (Holm)
          </th>
          <th scope="col">verdict</th>
          <th scope="col" class="number optional">
            seeds
          </th>
          <th scope="col" class="number optional" title="seeds with which half a point would be found in four studies of five">
            for ½ point
          </th>
        </tr>
      </thead>
      <tbody>
        {effects.map((effect) => {
          const { name, difference, low, high, correctedPValue, verdict, seeds, seedsForHalfPoint, deviation } = effect;
          const isBeyond = Math.abs(100 * difference) > limit;
          return (
            <tr key={`${effect.kind} ${name} ${effect.reference}`} class={verdict}>
              <th scope="row">
                {name}
                {reference !== undefined && effect.reference !== reference && (
                  <span class="quiet"> against {effect.reference}</span>
                )}
              </th>
              <td class="number points">{formatPoints(difference).replace('-', '−')}</td>
              <td class="axis">
                <svg width="100%" height="22" aria-hidden="true">
                  {ticks.map((tick) => (
                    <line
                      key={tick}
                      class={tick === 0 ? 'zero' : 'grid'}
                      x1={percent((tick + limit) / (2 * limit))}
                      x2={percent((tick + limit) / (2 * limit))}
                      y1="0"
                      y2="22"
                    />
                  ))}
                  {low !== undefined && high !== undefined && (
                    <line class="interval" x1={percent(place(low))} x2={percent(place(high))} y1="11" y2="11" />
                  )}
                  <circle cx={percent(place(difference))} cy="11" r={isBeyond ? 3 : 4.5} />
                </svg>
              </td>
              <td class="number">
                {low === undefined ? (
                  <span class="quiet">{seeds.length === 1 ? 'one seed' : 'all alike'}</span>
                ) : (
                  formatInterval(low, high).replaceAll('-', '−')
                )}
              </td>
              <td class="number optional">{formatPValue(correctedPValue)}</td>
              <td class="verdict">{verdict}</td>
              <td class="number optional">{seeds.length}</td>
              <td class="number optional">{deviation === undefined ? '' : (seedsForHalfPoint ?? '?')}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
