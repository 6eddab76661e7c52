import { expect, test } from 'vitest';
import { escapeInline, fenced, image, markdownTable, paragraphsOf, plainText } from './markdown-parts.ts';
import { escape, htmlPage, htmlTable, paragraphs } from './page.ts';
import type { Figure } from './render.ts';

test('a name is shown as it is, within a line', () => {
  const shown: readonly (readonly [string, string])[] = [
    ['no LRN (24x24), 0.5% & more', 'no LRN (24x24), 0.5% & more'],
    ['**bold** _a_ `code`', String.raw`\*\*bold\*\* \_a\_ \`code\``],
    ['a | b \\ c', String.raw`a \| b \\ c`],
    ['<script>alert(1)</script>', String.raw`\<script\>alert(1)\</script\>`],
    ['[x](javascript:y) ![z](w)', String.raw`\[x\](javascript:y) !\[z\](w)`],
    ['&lt;b> &#60; &AMP; R&D', String.raw`\&lt;b\> \&#60; \&AMP; R\&D`],
    ['~gone~ $x^2$', String.raw`\~gone\~ \$x^2\$`],
    ['two\nlines \n and more', 'two lines and more'],
    ['-0.42', '-0.42'],
  ];
  for (const [text, expected] of shown) expect(escapeInline(text)).toBe(expected);
});

test('a text of its own begins nothing but a paragraph', () => {
  const starts = ['# a', '- a', '+ a', '1. a', '12) a', '=== a', '> a', '* a', '2017 a', 'a - b'];
  expect(starts.map(plainText)).toEqual([
    ...[String.raw`\# a`, String.raw`\- a`, String.raw`\+ a`, String.raw`1\. a`, String.raw`12\) a`, String.raw`\=== a`],
    ...[String.raw`\> a`, String.raw`\* a`, '2017 a', 'a - b'],
  ]);
  expect(plainText(' one\ntwo\n \n# three\n\n\n')).toBe('one two\n\n\\# three');
  expect(paragraphsOf('\n\n a \n b\n\t\nc\n\n')).toEqual(['a \n b', 'c']);
  expect(paragraphsOf(' ')).toEqual([]);
});

test('tables: what is in a cell opens no other, and ends no row', () => {
  const table = { header: ['a|b', 'n'], rows: [['x\ny', '-1']], alignments: ['left', 'right'] } as const;
  expect(markdownTable(table)).toBe('| a\\|b | n |\n|---|---:|\n| x y | -1 |');
  expect(htmlTable({ ...table, header: ['<a>', 'n'] })).toBe(
    '<div class="table"><table><thead><tr><th>&lt;a&gt;</th><th class="right">n</th></tr></thead><tbody>\n' +
      '<tr><td>x\ny</td><td class="right">-1</td></tr>\n</tbody></table></div>',
  );
});

test('rows that say better or worse are told from others', () => {
  const verdicts = ['better', 'worse', 'unresolved'].map((verdict) => ['x', verdict]);
  const html = htmlTable({ header: ['', ''], rows: verdicts, alignments: ['left', 'left'] });
  expect([...html.matchAll(/<tr(.*?)><td>/g)].map(([, attributes]) => attributes)).toEqual([
    ' class="better"',
    ' class="worse"',
    '',
  ]);
});

test('code stays code, whatever fences are in it; the text of an image ends where it should', () => {
  expect(fenced('yaml', 'a: 1')).toBe('```yaml\na: 1\n```');
  expect(fenced('bash', 'a `b` ``` c')).toBe('````bash\na `b` ``` c\n````');
  expect(fenced('', '`````')).toBe('``````\n`````\n``````');
  expect(image({ name: 'effects', title: 'a](b) [c' } as Figure)).toBe(String.raw`![a\](b) \[c](figures/effects.svg)`);
});

test('HTML: names and paragraphs are text', () => {
  expect(escape(`<a href="x">&'`)).toBe(`&lt;a href=&quot;x&quot;&gt;&amp;'`);
  expect(paragraphs('one\n\ntwo < three\n')).toBe('<p>one</p>\n<p>two &lt; three</p>');
  const page = htmlPage('a </title><script>', '<p>body</p>');
  expect(page).toContain('<title>a &lt;/title&gt;&lt;script&gt;</title>');
  expect(page).toContain('<h1>a &lt;/title&gt;&lt;script&gt;</h1>\n<p>body</p>\n</main>');
  expect(page).not.toContain('<script');
});
