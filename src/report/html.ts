/** The report as one page that needs nothing else: figures and styles are in it, and it follows the reader's light or dark. */
import type { Figure } from './render.ts';
import type { ReportData } from './report-data.ts';
import { configurationOf, describeChanges, describeEnvironmentLine, method, subtitle } from './summary.ts';
import { effectsTable, runsTable, variantsTable, type Table } from './tables.ts';
import { darkColours, lightColours, svgForPage } from './theme.ts';

/** A figure and its drawing. */
export interface DrawnFigure extends Figure {
  readonly svg: string;
}

export function htmlReport(data: ReportData, figures: readonly DrawnFigure[], confusions: readonly DrawnFigure[]): string {
  const effects = effectsTable(data);
  const rest = confusions.slice(1);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(data.title)}</title>
<link rel="icon" href="data:,">
<style>${styles}</style>
</head>
<body>
<main>
<h1>${escape(data.title)}</h1>
${paragraphs(data.description)}
<p class="muted">${escape(subtitle(data))}</p>
${data.notes.map((note) => `<p class="note">${escape(note)}</p>`).join('\n')}
${effects.rows.length > 0 ? `<h2>What each change buys</h2>\n${htmlTable(effects)}\n<p class="muted">${escape(method)}</p>` : ''}
${figures.map((figure) => section(figure.title, figure)).join('\n')}
<h2>Variants</h2>
${htmlTable(variantsTable(data))}
${confusions.length > 0 ? `<h2>Confusion matrices</h2>\n<p class="muted">${escape(confusions[0]!.description)}</p>\n${confusion(confusions[0]!)}` : ''}
${rest.length > 0 ? `<details><summary>The other ${rest.length}</summary>\n<div class="grid">${rest.map(confusion).join('\n')}</div></details>` : ''}
<h2>Runs</h2>
<details${runsTable(data).rows.length <= 12 ? ' open' : ''}><summary>All runs</summary>
${htmlTable(runsTable(data))}
</details>
<h2>How to get the same</h2>
<pre>${escape(data.command)}</pre>
${data.studyText === undefined ? '' : `<details><summary>The study file</summary><pre>${escape(data.studyText.trimEnd())}</pre></details>`}
<details><summary>Configuration of ${escape(data.reference ?? 'the first variant')}, and what the others change</summary>
${htmlTable({ header: ['variant', 'changed'], rows: data.variants.map((variant) => [variant.name, describeChanges(variant)]), alignments: ['left', 'left'] })}
${htmlTable({ header: ['key', 'value'], rows: configurationOf(data), alignments: ['left', 'left'] })}
</details>
<h3>Environment</h3>
<ul>${data.environments.map((environment) => `<li>${escape(describeEnvironmentLine(environment))}</li>`).join('\n')}</ul>
</main>
</body>
</html>
`;
}

function section(title: string, figure: DrawnFigure): string {
  return `<h2>${escape(title)}</h2>\n<p class="muted">${escape(figure.description)}</p>\n<figure>${drawing(figure)}</figure>`;
}

function confusion(figure: DrawnFigure): string {
  return `<figure><figcaption>${escape(figure.title)}</figcaption>${drawing(figure)}</figure>`;
}

function drawing({ svg, name, title, description }: DrawnFigure): string {
  const themed = svgForPage(svg.replace(/^<\?xml[^>]*>\s*|<!DOCTYPE[^>]*>\s*/g, ''), name);
  return themed.replace('<svg', `<svg role="img" aria-label="${escape(`${title}. ${description}`)}"`);
}

function htmlTable({ header, rows, alignments }: Table): string {
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

function paragraphs(text: string): string {
  return text
    .trim()
    .split(/\n\s*\n/)
    .filter((part) => part !== '')
    .map((part) => `<p>${escape(part)}</p>`)
    .join('\n');
}

function escape(text: string): string {
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
td { overflow-wrap: anywhere; min-width: 3.5em; }
td.right { white-space: nowrap; }
th { color: var(--muted); font-weight: 500; white-space: nowrap; }
.right { text-align: right; }
tr.better td:nth-last-child(3) { color: var(--better); font-weight: 600; }
tr.worse td:nth-last-child(3) { color: var(--worse); font-weight: 600; }
figure { margin: 12px 0; overflow-x: auto; }
figcaption { font-size: 13.5px; font-weight: 600; }
svg { max-width: none; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); gap: 12px; }
pre { background: color-mix(in srgb, var(--grid) 45%, transparent); padding: 12px; overflow-x: auto; font-size: 13px; border-radius: 4px; }
summary { cursor: pointer; color: var(--muted); margin: 8px 0; }
`;
