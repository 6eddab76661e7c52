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
  const pictures = usePictures(id, items[0]?.image);

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
      ? 'Mistakes, the surest first'
      : isRight
        ? `${classes[label]!}, recognized, the least sure first`
        : `${classes[label]!} taken for ${classes[prediction]!}, the surest first`;
  return (
    <section aria-labelledby="gallery">
      <h3 id="gallery">
        {title} <span class="quiet">{formatCount(total)}</span>
      </h3>
      {!pictures.areThere && total > 0 && (
        <p class="quiet" role="status">
          {pictures.problem === undefined ? 'Reading the images of the data set…' : `There are no pictures: ${pictures.problem}`}
        </p>
      )}
      <ul class="gallery">
        {items.map((item) => (
          <li key={item.image}>
            <a
              href={addressOf(['run', id], { tab: 'activations', image: String(item.image) })}
              title={`image ${item.image}: what each layer makes of it`}
            >
              <Picture id={id} image={item.image} label={classes[item.label] ?? String(item.label)} isAsked={pictures.areThere} />
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

/**
 * Whether this machine has the pictures of a run, by one of them. Until the server has read the data set it answers none: others that wait for it
 * would keep all the connections of the browser.
 */
function usePictures(id: string, image: number | undefined): { readonly areThere: boolean; readonly problem?: string } {
  const [problem, setProblem] = useState<string>();
  const [areThere, setThere] = useState(false);
  useEffect(() => {
    if (image === undefined || areThere) return;
    const controller = new AbortController();
    const look = async () => {
      const response = await fetch(pictureAddress(id, image), { signal: controller.signal });
      // Read to its end in either case: an answer that is not read keeps its connection.
      const text = await response.text();
      setThere(response.ok);
      setProblem(response.ok ? undefined : text);
    };
    look().catch(() => undefined);
    return () => {
      controller.abort();
    };
  }, [id, image]);
  return { areThere, ...(problem !== undefined && { problem }) };
}

function pictureAddress(id: string, image: number): string {
  return `api/picture.png?${new URLSearchParams({ id, image: String(image) }).toString()}`;
}

interface PictureProps {
  readonly id: string;
  readonly image: number;
  readonly label: string;
  /** Whether it is there to ask for. */
  readonly isAsked: boolean;
}

/** A picture of the data set, where this machine has it. */
export function Picture({ id, image, label, isAsked }: PictureProps) {
  const [isMissing, setMissing] = useState(false);
  if (isMissing || !isAsked) return <span class="picture missing">no. {image}</span>;
  return (
    <img
      class="picture"
      loading="lazy"
      alt={`image ${image}, ${label}`}
      src={pictureAddress(id, image)}
      onError={() => {
        setMissing(true);
      }}
    />
  );
}
