/** What the server tells the page of a frozen file. */
export interface DemoModel {
  /** Where its bytes are, relative to the page. */
  readonly url: string;
  /** Name of the file. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly model: string;
  readonly run: string | null;
  readonly classes: readonly string[];
  /** `[C, H, W]` that pictures are scaled to; one channel for grey. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Of the central part that the network sees. */
  readonly inputSize: readonly [height: number, width: number];
  /** Fraction of test images classified correctly, where it is known. */
  readonly accuracy: number | null;
  readonly parameters: number;
  /** For one image. */
  readonly operations: number;
}
