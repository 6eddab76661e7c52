import type { ReportVariant } from '../report-data.ts';
import type { Figure, TopLevelSpec } from '../render.ts';
import { lightColours } from '../theme.ts';

/** Larger matrices have no room for numbers. */
const mostNumbered = 20;

/** Shares of each class's images by prediction; undefined if no run recorded them. */
export function confusionFigure(
  { name, confusion, runs }: ReportVariant,
  classes: readonly string[],
  index: number,
): Figure | undefined {
  if (confusion === undefined) return undefined;
  const values = confusion.flatMap((row, i) => {
    const images = row.reduce((sum, count) => sum + count, 0);
    return row.map((count, j) => {
      const share = images === 0 ? 0 : count / images;
      return {
        label: classes[i] ?? String(i),
        prediction: classes[j] ?? String(j),
        share,
        text: share < 0.005 ? '' : String(Math.round(100 * share)),
      };
    });
  });
  const axis = (orient: string) => ({
    orient,
    domain: false,
    ticks: false,
    labelAngle: orient === 'bottom' ? -45 : 0,
    labelLimit: 90,
  });
  const spec = {
    data: { values },
    width: { step: 27 },
    height: { step: 24 },
    encoding: {
      x: { field: 'prediction', type: 'nominal', sort: null, title: 'prediction', axis: axis('bottom') },
      y: { field: 'label', type: 'nominal', sort: null, title: 'label', axis: axis('left') },
    },
    layer: [
      {
        mark: { type: 'rect', color: lightColours.accent, stroke: lightColours.grid, strokeWidth: 0.5 },
        // The square root lets rare confusions be seen beside the diagonal.
        encoding: {
          fillOpacity: {
            field: 'share',
            type: 'quantitative',
            scale: { type: 'sqrt', domain: [0, 1], range: [0, 1] },
            legend: null,
          },
        },
      },
      ...(classes.length <= mostNumbered
        ? [
            {
              mark: { type: 'text', fontSize: 10 },
              encoding: {
                text: { field: 'text' },
                color: { condition: { test: 'datum.share > 0.3', value: lightColours.surface }, value: lightColours.text },
              },
            },
          ]
        : []),
    ],
  };
  const finished = runs.filter(({ state }) => state === 'finished').length;
  return {
    name: `confusion-${index + 1}`,
    title: name,
    description: `What the images of each class (rows) were taken for, in percent${finished > 1 ? `, over ${finished} seeds together` : ''}.`,
    spec: spec as unknown as TopLevelSpec,
  };
}
