/** What all reports have in common as pages: a page that needs nothing else, as figures and styles are in it, and that follows the reader's light or dark. */
import { paragraphsOf } from './markdown-parts.ts';
import type { DrawnFigure } from './render.ts';
import type { Table } from './tables.ts';
import { darkColours, lightColours, svgForPage } from './theme.ts';

/** @param body HTML, below the title */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}</title>
<link rel="icon" href="data:,">
<style>${styles}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

/** A figure under its title, with what to see in it. */
export function figureSection(title: string, figure: DrawnFigure): string {
  return `<h2>${escape(title)}</h2>\n<p class="muted">${escape(figure.description)}</p>\n<figure>${drawing(figure)}</figure>`;
}

/** A figure of several columns has a second drawing, which narrow pages show in place of the first. */
export function drawing({ svg, narrowSvg, name, title, description }: DrawnFigure): string {
  const draw = (drawn: string, prefix: string, className: string) =>
    svgForPage(drawn.replace(/^<\?xml[^>]*>\s*|<!DOCTYPE[^>]*>\s*/g, ''), prefix)
      .replace(' class="marks"', '')
      .replace('<svg', `<svg${className} role="img" aria-label="${escape(`${title}. ${description}`)}"`);
  if (narrowSvg === undefined) return draw(svg, name, '');
  return `${draw(svg, name, ' class="wide"')}\n${draw(narrowSvg, `${name}-narrow`, ' class="narrow"')}`;
}

export function htmlTable({ header, rows, alignments }: Table): string {
  const cells = (tag: 'th' | 'td', row: readonly string[]) =>
    row.map((cell, i) => `<${tag}${alignments[i] === 'right' ? ' class="right"' : ''}>${escape(cell)}</${tag}>`).join('');
  const body = rows.map((row) => `<tr${rowClass(row)}>${cells('td', row)}</tr>`).join('\n');
  return `<div class="table"><table><thead><tr>${cells('th', header)}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

/** Rows that say better or worse have the colour of their point in the figure. */
function rowClass(row: readonly string[]): string {
  const verdict = row.find((cell) => cell === 'better' || cell === 'worse');
  return verdict === undefined ? '' : ` class="${verdict}"`;
}

export function paragraphs(text: string): string {
  return paragraphsOf(text)
    .map((part) => `<p>${escape(part)}</p>`)
    .join('\n');
}

export function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function variables(colours: Readonly<Record<string, string>>): string {
  return Object.entries(colours)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ');
}

const styles = `
:root { ${variables(lightColours)} }
@media (prefers-color-scheme: dark) { :root { ${variables(darkColours)} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 8px; }
h2 { font-size: 19px; margin: 40px 0 8px; }
h3 { font-size: 15px; margin: 24px 0 4px; }
p { margin: 8px 0; max-width: 75ch; }
.muted { color: var(--muted); font-size: 13.5px; }
.note { border-left: 3px solid var(--accent); padding: 4px 12px; }
.table { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; text-align: left; border-bottom: 1px solid var(--grid); vertical-align: top; }
td { overflow-wrap: break-word; max-width: 22em; }
td.right { white-space: nowrap; }
.table :is(th, td):first-child { position: sticky; left: 0; background: var(--surface); }
th { color: var(--muted); font-weight: 500; white-space: nowrap; }
.right { text-align: right; }
tr.better td:nth-last-child(3) { color: var(--better); font-weight: 600; }
tr.worse td:nth-last-child(3) { color: var(--worse); font-weight: 600; }
figure { margin: 12px 0; overflow-x: auto; }
/* What is wider than the page scrolls: a shadow at the edge says that there is more. */
figure, .table { --more: color-mix(in srgb, var(--text) 22%, transparent); background:
  linear-gradient(to right, var(--surface) 40%, transparent) left / 28px 100% no-repeat local,
  linear-gradient(to left, var(--surface) 40%, transparent) right / 28px 100% no-repeat local,
  linear-gradient(to right, var(--more), transparent) left / 12px 100% no-repeat scroll,
  linear-gradient(to left, var(--more), transparent) right / 12px 100% no-repeat scroll; }
figcaption { font-size: 13.5px; font-weight: 600; }
svg { max-width: none; height: auto; }
.narrow { display: none; }
@media (max-width: 640px) { svg { max-width: 100%; } .wide { display: none; } .narrow { display: inline; } }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(400px, 100%), 1fr)); gap: 12px; }
pre { background: color-mix(in srgb, var(--grid) 45%, transparent); padding: 12px; overflow-x: auto; font-size: 13px; border-radius: 4px; }
summary { cursor: pointer; color: var(--muted); margin: 8px 0; }
`;
