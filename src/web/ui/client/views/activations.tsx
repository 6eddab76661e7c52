/** What each layer of a network makes of an image. */
import { useEffect, useRef } from 'preact/hooks';
import type { RunDetails, ShownActivations, ShownMaps } from '../../protocol.ts';
import { Empty } from '../parts/controls.tsx';
import { useFetched } from '../state/fetched.ts';
import { choose, type Place } from '../state/location.ts';
import { Picture } from './gallery.tsx';

/** Classes whose probabilities are told. */
const classesTold = 5;

export function Activations({ place, details: { id, checkpoints } }: { readonly place: Place; readonly details: RunDetails }) {
  const image = Number(place.choices.get('image') ?? 0);
  const step = checkpoints.at(-1)?.step;
  const query = new URLSearchParams({ id, image: String(image), step: String(step ?? '') }).toString();
  const { data, problem } = useFetched<ShownActivations>(step === undefined ? undefined : `api/activations?${query}`);
  if (step === undefined) return <Empty title="There is no checkpoint yet" />;
  return (
    <section class="activations" aria-label="Activations">
      <div class="toolbar">
        <label class="field">
          <span>Image</span>
          <input
            type="number"
            class="number-field"
            min="0"
            value={image}
            onChange={(event) => {
              choose({ image: String(Math.max(0, Math.floor(Number(event.currentTarget.value)))) });
            }}
          />
        </label>
        <span class="quiet">counted from 0, among the images that the run is evaluated on</span>
      </div>
      <div class="card seen">
        <Picture key={image} id={id} image={image} label="" isAsked={data !== undefined} />
        {data !== undefined && (
          <ol class="said">
            {[...data.probabilities]
              .sort((a, b) => b.probability - a.probability)
              .slice(0, classesTold)
              .map(({ label, probability }) => (
                <li key={label}>
                  <span>{label}</span>
                  <span class="bar running">
                    <span style={{ width: `${100 * probability}%` }} />
                  </span>
                  <span class="number">{(100 * probability).toFixed(1)}%</span>
                </li>
              ))}
          </ol>
        )}
      </div>
      {problem !== undefined && <p class="banner">{problem}</p>}
      {data === undefined && problem === undefined && <Empty title="Computing…" />}
      {data?.layers.map((layer) => (
        <section key={layer.name} aria-label={layer.name}>
          <h3>
            {layer.name}{' '}
            <span class="quiet">
              {layer.kind === layer.name ? '' : `${layer.kind}, `}
              {layer.channels} × {layer.height} × {layer.width}
              {layer.shown < layer.channels && `: the first ${layer.shown} channels`}
            </span>
          </h3>
          <Maps maps={layer} />
        </section>
      ))}
    </section>
  );
}

const gap = 1;
/** Of a map, in pixels of the page, where there is room. */
const mapSide = 76;

/** The picture has the maps one below the other. */
function Maps({ maps: { name, shown, width, height, png } }: { readonly maps: ShownMaps }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const columns = Math.min(shown, 16);
  const rows = Math.ceil(shown / columns);
  useEffect(() => {
    const strip = new Image();
    strip.addEventListener('load', () => {
      const context = canvas.current?.getContext('2d');
      if (context === null || context === undefined) return;
      for (let i = 0; i < shown; i++) {
        const [x, y] = [(i % columns) * (width + gap), Math.floor(i / columns) * (height + gap)];
        context.drawImage(strip, 0, i * height, width, height, x, y, width, height);
      }
    });
    strip.src = `data:image/png;base64,${png}`;
  }, [png]);
  return (
    <canvas
      ref={canvas}
      class="maps"
      role="img"
      aria-label={`${shown} channels of ${name}`}
      style={{ width: `${columns * mapSide}px` }}
      width={columns * (width + gap) - gap}
      height={rows * (height + gap) - gap}
    />
  );
}
