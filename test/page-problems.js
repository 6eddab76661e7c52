/* global document, getComputedStyle */
/*
 * Run in a page by a test: texts of figures that cover each other or are cut off, and texts too near to their ground in brightness
 * (contrast as WCAG 2 defines it; it asks for 4.5). Its value is that of the last expression.
 */
(() => {
  const minimumContrast = 4.5;

  function luminance(colour) {
    const [r, g, b] = colour.match(/\d+(\.\d+)?/g).map(Number);
    const linear = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  }

  function contrast(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  }

  for (const details of document.querySelectorAll('details')) details.open = true;
  const ground = getComputedStyle(document.body).backgroundColor;
  const overlapping = [];
  const faint = [];
  const cut = [];

  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim() !== '');
    const found = texts.map((text) => ({
      name: text.textContent,
      box: text.getBoundingClientRect(),
      slanted: /rotate\((?!0\))/.test(text.getAttribute('transform') ?? ''),
    }));
    found.forEach((a, i) => {
      const { left, right, top, bottom } = a.box;
      if (left < frame.left - 1 || right > frame.right + 1 || top < frame.top - 1 || bottom > frame.bottom + 1) cut.push(a.name);
      for (const b of found.slice(i + 1)) {
        const width = Math.min(right, b.box.right) - Math.max(left, b.box.left);
        const height = Math.min(bottom, b.box.bottom) - Math.max(top, b.box.top);
        // The boxes of slanted texts side by side overlap though the texts do not.
        if (width > 1 && height > 3 && !(a.slanted && b.slanted)) overlapping.push(`${a.name} / ${b.name}`);
      }
    });
    // In matrices the ground of a text is its cell.
    if (svg.closest('figure').querySelector('figcaption') !== null) continue;
    for (const text of texts) {
      const { fill } = getComputedStyle(text);
      if (contrast(fill, ground) < minimumContrast) faint.push(`${text.textContent} (${fill} on ${ground})`);
    }
  }
  for (const element of document.querySelectorAll('h1, h2, h3, p, li, th, td, summary, pre')) {
    const { color } = getComputedStyle(element);
    if (contrast(color, ground) < minimumContrast) faint.push(`${element.textContent} (${color} on ${ground})`);
  }
  return { overlapping, faint, cut };
})();
