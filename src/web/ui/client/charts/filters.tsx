/** The filters of the first convolution, at each checkpoint that is kept. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { formatCount } from '../../../../util/format.ts';
import type { RunDetails, ShownFilters } from '../../protocol.ts';

/** Checkpoints shown, over the whole run. */
const mostShown = 8;

export function Filters({ details }: { readonly details: RunDetails }) {
  const { filters, checkpoints, id } = details;
  if (filters === undefined) return <p class="quiet">The first layer of this network does not see the picture itself.</p>;
  if (checkpoints.length === 0) return <p class="quiet">There is no checkpoint yet.</p>;
  const last = checkpoints.length - 1;
  const shown =
    checkpoints.length <= mostShown
      ? checkpoints
      : Array.from({ length: mostShown }, (_, i) => checkpoints[Math.round((i * last) / (mostShown - 1))]!);
  return (
    <>
      <p class="quiet">
        What {filters.layer} looks for: {filters.count} filters of {filters.width} × {filters.height} pixels, each scaled from its
        smallest weight to its largest.
      </p>
      <ul class="filters">
        {shown.map(({ step }) => (
          <li key={step} class="card">
            <h3>step {formatCount(step)}</h3>
            <FilterPictures
              filters={filters}
              label={`${filters.count} filters of ${filters.layer} after ${formatCount(step)} steps`}
              url={`api/filters.png?${new URLSearchParams({ id, step: String(step), layer: filters.layer }).toString()}`}
            />
          </li>
        ))}
      </ul>
    </>
  );
}

const gap = 1;

/** The picture has the filters one below the other. */
function FilterPictures({
  filters: { count, width, height },
  url,
  label,
}: {
  readonly filters: ShownFilters;
  readonly url: string;
  readonly label: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [isMissing, setMissing] = useState(false);
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  useEffect(() => {
    const strip = new Image();
    strip.addEventListener('load', () => {
      const context = canvas.current?.getContext('2d');
      if (context === null || context === undefined) return;
      for (let i = 0; i < count; i++) {
        const [x, y] = [(i % columns) * (width + gap), Math.floor(i / columns) * (height + gap)];
        context.drawImage(strip, 0, i * height, width, height, x, y, width, height);
      }
    });
    strip.addEventListener('error', () => {
      setMissing(true);
    });
    strip.src = url;
  }, [url]);
  if (isMissing) return <p class="quiet">This checkpoint is gone.</p>;
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={label}
      width={columns * (width + gap) - gap}
      height={rows * (height + gap) - gap}
    />
  );
}
