/** Sheets of small pictures with words below them: as SVG, or as PNG. */
import sharp from 'sharp';
import { encodePng, type Raster } from '../../runs/png.ts';
import { escape } from '../page.ts';
import { lightColours } from '../theme.ts';
import { enlarged } from './rasters.ts';

export interface SheetPicture {
  readonly raster: Raster;
  /** Lines below it. */
  readonly caption?: readonly string[];
}

export interface SheetGroup {
  readonly heading: string;
  readonly pictures: readonly SheetPicture[];
}

const [margin, gap, lineHeight, headingHeight, titleHeight] = [24, 8, 14, 30, 34];
const sheetWidth = 1000;
/** Narrower pictures are enlarged to about this. */
const pictureWidth = 56;
const captionWidth = 110;

/** @param side of a picture, in pixels, about; they are enlarged by whole factors */
export function pictureSheet(title: string, groups: readonly SheetGroup[], side = pictureWidth): string {
  const parts: string[] = [];
  let y = margin + titleHeight;
  for (const { heading, pictures } of groups) {
    if (pictures.length === 0) continue;
    parts.push(text(margin, y + 12, heading, { size: 14, weight: 600 }));
    y += headingHeight - 8;
    const widest = Math.max(...pictures.map(({ raster }) => Math.max(raster.width, raster.height)));
    const factor = Math.max(1, Math.round(side / widest));
    const lines = Math.max(...pictures.map(({ caption = [] }) => caption.length));
    const cell = {
      width: Math.max(widest * factor, lines > 0 ? captionWidth : 0) + gap,
      height: widest * factor + gap + (lines > 0 ? lines * lineHeight + 4 : 0),
    };
    const columns = Math.max(1, Math.floor((sheetWidth - 2 * margin + gap) / cell.width));
    pictures.forEach(({ raster, caption = [] }, i) => {
      const [left, top] = [margin + (i % columns) * cell.width, y + Math.floor(i / columns) * cell.height];
      const large = enlarged(raster, factor);
      const data = Buffer.from(encodePng(large)).toString('base64');
      parts.push(
        `<image x="${left}" y="${top}" width="${large.width}" height="${large.height}" href="data:image/png;base64,${data}"/>`,
      );
      caption.forEach((line, k) => {
        parts.push(text(left, top + widest * factor + 13 + k * lineHeight, line, { size: 11, muted: k > 0 }));
      });
    });
    y += Math.ceil(pictures.length / columns) * cell.height + 8;
  }
  const height = y + margin - 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${sheetWidth}" height="${height}" viewBox="0 0 ${sheetWidth} ${height}">
<rect width="100%" height="100%" fill="${lightColours.surface}"/>
${text(margin, margin + 14, title, { size: 18, weight: 600 })}
${parts.join('\n')}
</svg>
`;
}

interface TextStyle {
  readonly size: number;
  readonly weight?: number;
  readonly muted?: boolean;
}

function text(x: number, y: number, content: string, { size, weight = 400, muted = false }: TextStyle): string {
  const fill = muted ? lightColours.muted : lightColours.text;
  return `<text x="${x}" y="${y}" font-family="DejaVu Sans, Arial, sans-serif" font-size="${size}" font-weight="${weight}" fill="${fill}">${escape(content)}</text>`;
}

/** The sheet as a PNG image, at twice its size. */
export async function sheetAsPng(svg: string): Promise<Uint8Array> {
  return new Uint8Array(await sharp(Buffer.from(svg), { density: 144 }).png().toBuffer());
}
