/** The report of a study as one page. */
import { drawing, escape, figureSection, htmlPage, htmlTable, paragraphs } from './page.ts';
import type { DrawnFigure } from './render.ts';
import type { ReportData } from './report-data.ts';
import { configurationOf, describeChanges, describeEnvironmentLine, hypothesesMethod, method, subtitle } from './summary.ts';
import { effectsTable, hypothesisTables, runsTable, variantsTable } from './tables.ts';

export function htmlReport(data: ReportData, figures: readonly DrawnFigure[], confusions: readonly DrawnFigure[]): string {
  const effects = effectsTable(data);
  const rest = confusions.slice(1);
  return htmlPage(
    data.title,
    `${paragraphs(data.description)}
<p class="muted">${escape(subtitle(data))}</p>
${data.notes.map((note) => `<p class="note">${escape(note)}</p>`).join('\n')}
${hypotheses(data)}
${effects.rows.length > 0 ? `<h2>What each change buys</h2>\n${htmlTable(effects)}\n<p class="muted">${escape(method)}</p>` : ''}
${figures.map((figure) => figureSection(figure.title, figure)).join('\n')}
<h2>Variants</h2>
${htmlTable(variantsTable(data))}
${data.costNotes.map((note) => `<p class="muted">${escape(note)}</p>`).join('\n')}
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
<ul>${data.environments.map((environment) => `<li>${escape(describeEnvironmentLine(environment))}</li>`).join('\n')}</ul>`,
  );
}

function hypotheses(data: ReportData): string {
  const tables = hypothesisTables(data).map(
    ({ title, criterion, table }) => `<h3>${escape(title)}</h3>\n<p class="muted">${escape(criterion)}</p>\n${htmlTable(table)}`,
  );
  return tables.length === 0
    ? ''
    : `<h2>What was believed</h2>\n<p class="muted">${escape(hypothesesMethod)}</p>\n${tables.join('\n')}`;
}

function confusion(figure: DrawnFigure): string {
  return `<figure><figcaption>${escape(figure.title)}</figcaption>${drawing(figure)}</figure>`;
}
