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
  /** Side that pictures are scaled to, in pixels. */
  readonly imageSize: number;
  /** Side of the central square that the network sees. */
  readonly inputSize: number;
  /** Fraction of test images classified correctly, where it is known. */
  readonly accuracy: number | null;
  readonly parameters: number;
  /** For one image. */
  readonly operations: number;
}
