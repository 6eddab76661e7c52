import { ago, countOfRuns } from '../charts/format.ts';
import { Empty, ProgressBar } from '../parts/controls.tsx';
import { useApp } from '../state/app.ts';
import { addressOf } from '../state/location.ts';
import { useStore } from '../state/store.ts';

/** All studies, the one that changed last first. */
export function StudiesView() {
  const { live } = useApp();
  useStore(live);
  if (live.studies.length === 0) {
    return (
      <Empty title="No studies yet">
        <p>
          A study trains every variant with every seed, and says what each change buys:{' '}
          <code>ablate study studies/quick-start.yaml</code>
        </p>
      </Empty>
    );
  }
  const now = Date.now();
  return (
    <ul class="study-list">
      {live.studies.map(({ name, title, runs, finished, running, failed, updatedMs, problem }) => (
        <li key={name} class="card">
          <h2>
            <a href={addressOf(['study', name])}>{title}</a>
          </h2>
          <p class="quiet">{problem ?? `${name}, ${ago(updatedMs, now)}`}</p>
          {runs > 0 && (
            <>
              <p>
                {finished} of {countOfRuns(runs)} finished
                {running > 0 && `, ${running} running`}
                {failed > 0 && <span class="bad">, {failed} failed</span>}
              </p>
              <ProgressBar share={finished / runs} state={running > 0 ? 'running' : 'finished'} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
