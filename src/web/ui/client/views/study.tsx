/** A study, while it is run and afterwards. */
import { useMemo, useState } from 'preact/hooks';
import { formatInterval, formatPoints } from '../../../../report/format.ts';
import { formatCount, formatOperations } from '../../../../util/format.ts';
import type { Effect } from '../../../../study/effects.ts';
import type { StudyCell, StudyVariant, StudyView as Study } from '../../protocol.ts';
import { CurvePanel } from '../charts/curve-panel.tsx';
import { EffectsTable } from '../charts/forest.tsx';
import { duration } from '../charts/format.ts';
import { FrontChart } from '../charts/front.tsx';
import type { Group, ShownRun } from '../charts/groups.ts';
import { Empty, Facts, ProgressBar } from '../parts/controls.tsx';
import { Mark } from '../parts/state-badge.tsx';
import { useApp } from '../state/app.ts';
import { useFetched } from '../state/fetched.ts';
import { addressOf, type Place } from '../state/location.ts';
import { useStore } from '../state/store.ts';

const costs = [
  ['parameters', 'parameters'],
  ['operations', 'operations an image'],
] as const;

export function StudyViewPage({ place, name }: { readonly place: Place; readonly name: string }) {
  const { live } = useApp();
  const version = useStore(live);
  const { data: study, problem } = useFetched<Study>(`api/study?name=${encodeURIComponent(name)}`, 1000);
  const [highlight, setHighlight] = useState<string>();
  const groups = useMemo(() => (study === undefined ? [] : groupsOf(study, live.runs)), [study, version]);
  if (problem !== undefined) return <Empty title={`There is no study "${name}"`} />;
  if (study === undefined) return <Empty title="Reading the study…" />;
  const cells = study.variants.flatMap(({ runs }) => runs);
  const count = (...states: readonly StudyCell['state'][]) => cells.filter(({ state }) => states.includes(state)).length;
  const over = count('finished', 'diverged', 'failed', 'stopped');
  const failures = study.variants.flatMap((variant) =>
    variant.runs
      .filter(({ state }) => state === 'failed' || state === 'diverged')
      .map((cell) => ({ variant: variant.name, cell })),
  );
  const runs = groups.flatMap((group) => group.runs);
  return (
    <article class="study">
      <header>
        <p class="crumbs">
          <a href="#/studies">Studies</a>
        </p>
        <h1>{study.title}</h1>
        {study.description !== '' && <p class="lead">{study.description}</p>}
        {study.problem !== undefined && <p class="banner problem">{study.problem}</p>}
        {study.synthetic && <p class="banner">The images are synthetic: drawn by this program, not photographs.</p>}
      </header>
      {study.variants.length > 0 && (
        <section class="card study-facts" aria-label="Progress">
          <Facts
            facts={[
              [
                'runs',
                <>
                  {over} of {cells.length}
                </>,
              ],
              ...(count('running') > 0 ? [['running', count('running')] as const] : []),
              ...(failures.length > 0 ? [['failed or diverged', <span class="bad">{failures.length}</span>] as const] : []),
              ...(over < cells.length && study.secondsLeft !== undefined
                ? [['time left', `about ${duration(study.secondsLeft)}`] as const]
                : []),
              ['seeds', study.seeds.length],
              ['data set', study.dataset],
              ['accuracy on', study.split === 'val' ? 'validation images' : 'test images'],
              ['design', study.design],
            ]}
          />
          <ProgressBar share={cells.length === 0 ? 0 : over / cells.length} state={study.isRunning ? 'running' : 'finished'} />
          {!study.isRunning && over < cells.length && study.command !== '' && (
            <p class="quiet">
              No process is running this study now. To continue it: <code>{study.command}</code>
            </p>
          )}
        </section>
      )}

      <Hypotheses hypotheses={study.hypotheses} />

      {study.effects.length > 0 && (
        <section aria-labelledby="effects">
          <h2 id="effects">What each change buys</h2>
          <p class="quiet">
            Differences in points of accuracy between runs of the same seed, over the seeds that have finished, with their 95%
            intervals.
            {over < cells.length && ' They narrow as seeds finish.'}
          </p>
          <div class="card scroll" tabIndex={0} role="region" aria-labelledby="effects">
            <EffectsTable effects={study.effects} reference={study.reference} />
          </div>
        </section>
      )}

      {runs.length > 0 && (
        <section aria-labelledby="curves">
          <h2 id="curves">Curves</h2>
          <CurvePanel
            place={place}
            runs={runs}
            groups={groups}
            reference={study.reference}
            highlight={highlight}
            onHighlight={setHighlight}
          />
        </section>
      )}

      <Costs variants={study.variants} highlight={highlight} />

      {study.variants.length > 0 && (
        <section aria-labelledby="runs">
          <h2 id="runs">Runs</h2>
          <RunsGrid study={study} />
        </section>
      )}

      {failures.length > 0 && (
        <section aria-labelledby="failures">
          <h2 id="failures">Failures</h2>
          <ul class="card failures">
            {failures.map(({ variant, cell }) => (
              <li key={`${variant} ${cell.seed}`}>
                <span class={`state ${cell.state}`}>
                  <Mark state={cell.state} />
                  {cell.state}
                </span>
                <span>
                  {cell.id === undefined ? variant : <a href={addressOf(['run', cell.id])}>{variant}</a>}, seed {cell.seed}
                </span>
                <span class="quiet">{cell.reason}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </article>
  );
}

/** What the runs that have finished say of what was believed. */
function Hypotheses({ hypotheses }: Pick<Study, 'hypotheses'>) {
  if (hypotheses.length === 0) return null;
  return (
    <section aria-labelledby="hypotheses">
      <h2 id="hypotheses">What was believed</h2>
      <ul class="card hypotheses">
        {hypotheses.map(({ hypothesis, answer, changes }) => (
          <li key={hypothesis}>
            <strong>{hypothesis}</strong>: {answer}
            <ul>
              {changes.map(({ name, effect, answer: own, seedsNeeded }) => (
                <li key={name} class="quiet">
                  {name}: {effect === undefined ? 'no seed has finished' : describeEffect(effect)}, {own}
                  {seedsNeeded !== undefined && `; ${seedsNeeded} seeds would tell`}
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </section>
  );
}

function describeEffect({ difference, low, high }: Effect): string {
  return `${formatPoints(difference)} points ${formatInterval(low, high)}`.trimEnd().replaceAll('-', '−');
}

function groupsOf({ variants }: Study, rows: ReadonlyMap<string, ShownRun['row']>): Group[] {
  return variants.flatMap(({ name, runs }) => {
    const shown = runs.flatMap(({ id, seed }): ShownRun[] => {
      const row = id === undefined ? undefined : rows.get(id);
      return row === undefined ? [] : [{ id: row.id, label: `${name}, seed ${seed}`, row, colour: '', dash: [] }];
    });
    return shown.length === 0 ? [] : [{ name, runs: shown }];
  });
}

function Costs({ variants, highlight }: { readonly variants: readonly StudyVariant[]; readonly highlight: string | undefined }) {
  const drawn = costs.flatMap(([key, title]) => {
    const points = variants.flatMap(({ name, accuracy, [key]: cost }) =>
      accuracy === undefined ? [] : [{ name, cost, accuracy: accuracy.mean }],
    );
    return new Set(points.map(({ cost }) => cost)).size > 1 ? [{ title, points }] : [];
  });
  if (drawn.length === 0) return null;
  return (
    <section aria-labelledby="costs">
      <h2 id="costs">Accuracy against cost</h2>
      <p class="quiet">Each point is a variant. Named and joined: those that no other beats in both accuracy and cost.</p>
      <div class="charts">
        {drawn.map(({ title, points }) => (
          <FrontChart key={title} title={`accuracy against ${title}`} costName={title} points={points} highlight={highlight} />
        ))}
      </div>
    </section>
  );
}

/** Every variant with every seed. */
function RunsGrid({ study: { variants, seeds } }: { readonly study: Study }) {
  return (
    <div class="card scroll" tabIndex={0} role="region" aria-labelledby="runs">
      <table class="runs-grid">
        <thead>
          <tr>
            <th scope="col">variant</th>
            <th scope="col" class="number">
              mean
            </th>
            <th scope="col" class="number">
              ± sd
            </th>
            {seeds.map((seed) => (
              <th key={seed} scope="col" class="number">
                seed {seed}
              </th>
            ))}
            <th scope="col" class="number">
              parameters
            </th>
            <th scope="col" class="number">
              operations
            </th>
          </tr>
        </thead>
        <tbody>
          {variants.map(({ name, runs, accuracy, parameters, operations, changes }) => (
            <tr key={name}>
              <th
                scope="row"
                title={Object.entries(changes)
                  .map(([key, value]) => `${key} ${value}`)
                  .join(', ')}
              >
                {name}
              </th>
              <td class="number">{accuracy === undefined ? '' : `${(100 * accuracy.mean).toFixed(2)}%`}</td>
              <td class="number quiet">{accuracy?.deviation === undefined ? '' : (100 * accuracy.deviation).toFixed(2)}</td>
              {seeds.map((seed) => {
                const cell = runs.find((run) => run.seed === seed);
                return (
                  <td key={seed} class="number">
                    {cell !== undefined && <Cell cell={cell} />}
                  </td>
                );
              })}
              <td class="number quiet">{formatCount(parameters)}</td>
              <td class="number quiet">{formatOperations(operations)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ cell: { id, state, accuracy, step, steps, reason } }: { readonly cell: StudyCell }) {
  const text =
    accuracy !== undefined
      ? `${(100 * accuracy).toFixed(2)}%`
      : state === 'running' || (state === 'interrupted' && step > 0)
        ? `${Math.floor((100 * step) / steps)}% done`
        : state;
  const content = (
    <span class={`cell ${state}`} title={reason ?? state}>
      <Mark state={state} />
      {text}
    </span>
  );
  return id === undefined ? content : <a href={addressOf(['run', id])}>{content}</a>;
}
