/** What the images of each class were taken for. */
import type { ShownEvaluation } from '../../protocol.ts';

interface Props {
  readonly evaluation: ShownEvaluation;
  /** The cell that is chosen, as `label prediction`. */
  readonly chosen: string | undefined;
  readonly onChoose: (label: number, prediction: number) => void;
}

/** More classes are told as a list. */
const mostInMatrix = 30;
const pairsListed = 20;

export function Confusion({ evaluation, chosen, onChoose }: Props) {
  const { perClass, confusion } = evaluation;
  const names = perClass.map(({ label }) => label);
  return (
    <div class="confusion">
      {names.length <= mostInMatrix && (
        <div class="card">
          <p class="quiet caption">Rows: what it is. Columns: what the network says. Numbers of images.</p>
          <div class="scroll" tabIndex={0} role="region" aria-label="Confusion matrix">
            <table>
              <thead>
                <tr>
                  <td />
                  {names.map((name) => (
                    <th key={name} scope="col">
                      <span>{name}</span>
                    </th>
                  ))}
                  <th scope="col" class="number">
                    <span>right</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {confusion.map((row, label) => {
                  const total = row.reduce((sum, count) => sum + count, 0);
                  return (
                    <tr key={names[label]}>
                      <th scope="row">{names[label]}</th>
                      {row.map((count, prediction) => {
                        const share = total === 0 ? 0 : count / total;
                        const colour = label === prediction ? 'var(--accent)' : 'var(--bad)';
                        return (
                          <td
                            key={prediction}
                            style={{
                              background: `color-mix(in srgb, ${colour} ${Math.round(45 * Math.sqrt(share))}%, transparent)`,
                            }}
                          >
                            {count > 0 && (
                              <button
                                type="button"
                                aria-pressed={chosen === `${label} ${prediction}`}
                                aria-label={`${names[label]!} taken for ${names[prediction]!}: ${count}`}
                                onClick={() => {
                                  onChoose(label, prediction);
                                }}
                              >
                                {count}
                              </button>
                            )}
                          </td>
                        );
                      })}
                      <td class="number right">{`${(100 * perClass[label]!.accuracy).toFixed(1)}%`}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        </div>
      )}
      <section aria-labelledby="confused">
        <h3 id="confused">
          Most often confused <span class="quiet">images, and their share of the class</span>
        </h3>
        <ol class="pairs">
          {pairsOf(confusion)
            .slice(0, pairsListed)
            .map(({ label, prediction, count, share }) => (
              <li key={`${label} ${prediction}`}>
                <button
                  type="button"
                  aria-pressed={chosen === `${label} ${prediction}`}
                  onClick={() => {
                    onChoose(label, prediction);
                  }}
                >
                  <span>
                    {names[label]} <span class="quiet">taken for</span> {names[prediction]}
                  </span>
                  <span class="number">
                    {count} <span class="quiet">{(100 * share).toFixed(1)}%</span>
                  </span>
                </button>
              </li>
            ))}
        </ol>
      </section>
    </div>
  );
}

/** Mistakes by how many images there are of each. */
function pairsOf(confusion: ShownEvaluation['confusion']) {
  return confusion
    .flatMap((row, label) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      return row.flatMap((count, prediction) =>
        prediction === label || count === 0 ? [] : [{ label, prediction, count, share: count / total }],
      );
    })
    .sort((a, b) => b.count - a.count);
}
