/**
 * Colours of figures and pages. A figure is drawn in the light colours, each of which is used for one purpose only; a page that has both
 * light and dark replaces them by the variables of the same names.
 */

export const lightColours = {
  surface: '#fdfdfc',
  text: '#1b1b19',
  muted: '#6e6d68',
  grid: '#e6e5e1',
  reference: '#8f8e88',
  accent: '#2a78d6',
  better: '#0d7a54',
  worse: '#d0413f',
} as const;

export type ColourName = keyof typeof lightColours;

export const darkColours: Readonly<Record<ColourName, string>> = {
  surface: '#191918',
  text: '#f1f0ec',
  muted: '#a3a29b',
  grid: '#353532',
  reference: '#8b8a83',
  accent: '#4d97ee',
  better: '#2fb389',
  worse: '#ef7370',
};

const font = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** Vega-Lite's configuration of all figures. */
export const figureConfig = {
  background: lightColours.surface,
  font: font.replaceAll('"', "'"),
  padding: 8,
  view: { stroke: null },
  title: { color: lightColours.text, fontSize: 13, fontWeight: 600, anchor: 'start', offset: 8 },
  axis: {
    labelColor: lightColours.muted,
    titleColor: lightColours.muted,
    labelFontSize: 11,
    titleFontSize: 11,
    titleFontWeight: 400,
    gridColor: lightColours.grid,
    domainColor: lightColours.grid,
    tickColor: lightColours.grid,
    titlePadding: 8,
  },
  header: { labelColor: lightColours.text, titleColor: lightColours.text, labelFontSize: 11, labelLimit: 0 },
  legend: { labelColor: lightColours.muted, titleColor: lightColours.muted, labelFontSize: 11, orient: 'top' },
  text: { color: lightColours.text, fontSize: 11 },
} as const;

/** An SVG whose colours are the variables of a page (`--surface`, `--text`, ...), and whose names are its own, with `prefix`. */
export function svgForPage(svg: string, prefix: string): string {
  let themed = svg.replace(/ id="([^"]+)"/g, ` id="${prefix}-$1"`).replace(/url\(#([^)]+)\)/g, `url(#${prefix}-$1)`);
  for (const [name, colour] of Object.entries(lightColours)) themed = themed.replaceAll(colour, `var(--${name})`);
  return themed;
}

/**
 * The SVG of a file, which a page may show on either ground: where the reader prefers dark, each light colour is replaced by the dark one. Viewers that do
 * not know of that show it light, on its opaque ground.
 */
export function svgForFile(svg: string): string {
  const rules = Object.entries(lightColours).flatMap(([name, colour]) =>
    (['fill', 'stroke'] as const).map((property) => `[${property}="${colour}"]{${property}:${darkColours[name as ColourName]}}`),
  );
  return svg.replace(/<svg[^>]*>/, (tag) => `${tag}<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`);
}
