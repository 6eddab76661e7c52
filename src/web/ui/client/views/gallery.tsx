/** Images with what the network says of them. */
import { useEffect, useState } from 'preact/hooks';
import { formatCount } from '../../../../util/format.ts';
import type { ShownPrediction, ShownPredictions } from '../../protocol.ts';
import { addressOf } from '../state/location.ts';

interface Props {
  readonly id: string;
  readonly classes: readonly string[];
  /** Of the evaluation: another one has other predictions. */
  readonly step: number;
  /** The cell of the confusion matrix that is looked at; all mistakes by default. */
  readonly label?: number;
  readonly prediction?: number;
}

const percent = (fraction: number) => `${(100 * fraction).toFixed(1)}%`;

export function Gallery({ id, classes, step, label, prediction }: Props) {
  const [items, setItems] = useState<readonly ShownPrediction[]>([]);
  const [total, setTotal] = useState<number>();
  const [isMissing, setMissing] = useState(false);

  const ask = async (first: number, signal?: AbortSignal): Promise<void> => {
    const query = new URLSearchParams({
      id,
      first: String(first),
      ...(label !== undefined && { label: String(label) }),
      ...(prediction !== undefined && { prediction: String(prediction) }),
    });
    const response = await fetch(`api/predictions?${query.toString()}`, signal && { signal });
    if (!response.ok) {
      setMissing(true);
      return;
    }
    const found = (await response.json()) as ShownPredictions;
    setMissing(false);
    setTotal(found.total);
    setItems((before) => [...(first === 0 ? [] : before), ...found.items]);
  };

  useEffect(() => {
    const controller = new AbortController();
    // A lost connection is told at the top of the page.
    ask(0, controller.signal).catch(() => undefined);
    return () => {
      controller.abort();
    };
  }, [id, step]);

  if (isMissing) {
    return (
      <p class="quiet">
        This run kept no record of what it said of each image. <code>ablate eval {id} --mistakes mistakes.html</code> evaluates it
        anew.
      </p>
    );
  }
  if (total === undefined) return null;
  const isRight = label !== undefined && label === prediction;
  const title =
    label === undefined || prediction === undefined
      ? 'The surest mistakes'
      : isRight
        ? `${classes[label]!}, told rightly, the least sure first`
        : `${classes[label]!} taken for ${classes[prediction]!}, the surest first`;
  return (
    <section aria-labelledby="gallery">
      <h3 id="gallery">
        {title} <span class="quiet">{formatCount(total)}</span>
      </h3>
      <ul class="gallery">
        {items.map((item) => (
          <li key={item.image}>
            <a
              href={addressOf(['run', id], { tab: 'activations', image: String(item.image) })}
              title={`image ${item.image}: what each layer makes of it`}
            >
              <Picture id={id} image={item.image} label={classes[item.label] ?? String(item.label)} />
            </a>
            <p>
              <b>{classes[item.label] ?? item.label}</b>
            </p>
            {item.prediction === item.label ? (
              <p>{percent(item.probability)}</p>
            ) : (
              <>
                <p class="bad">
                  <span>{classes[item.prediction] ?? item.prediction}</span> {percent(item.probability)}
                </p>
                <p class="quiet">
                  <span>{classes[item.label] ?? item.label}</span> {percent(item.labelProbability)}
                </p>
              </>
            )}
          </li>
        ))}
      </ul>
      {items.length < total && (
        <button
          type="button"
          class="button"
          onClick={() => {
            ask(items.length).catch(() => undefined);
          }}
        >
          more
        </button>
      )}
    </section>
  );
}

/** A picture of the data set, where this machine has it. */
export function Picture({ id, image, label }: { readonly id: string; readonly image: number; readonly label: string }) {
  const [isMissing, setMissing] = useState(false);
  if (isMissing) return <span class="picture missing">no. {image}</span>;
  return (
    <img
      class="picture"
      loading="lazy"
      alt={`image ${image}, ${label}`}
      src={`api/picture.png?${new URLSearchParams({ id, image: String(image) }).toString()}`}
      onError={() => {
        setMissing(true);
      }}
    />
  );
}
