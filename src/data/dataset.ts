/** Labelled images held in shared memory, so that worker threads read them without a copy. */
export interface ImageSet {
  readonly count: number;
  /** `[count, C, H, W]`, 0-255, over a SharedArrayBuffer. */
  readonly images: Uint8Array;
  /** `[count]`, class indices, over a SharedArrayBuffer. */
  readonly labels: Labels;
}

/** Class indices: of more than 256 classes, two bytes each. */
export type Labels = Uint8Array | Uint16Array;

/** Classes that labels can tell apart. A confusion matrix of so many takes 130 MB. */
export const mostClasses = 4096;

export const splitNames = ['train', 'val', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

export interface Dataset {
  /** As given on the command line: `cifar10`, `synthetic`, `images:<folder>?size=96`. */
  readonly name: string;
  readonly classes: readonly string[];
  /** `[C, H, W]` of the stored images. */
  readonly shape: readonly [channels: number, height: number, width: number];
  /** Whether the images are generated; every report must say so. */
  readonly synthetic: boolean;
  /** sha256 over all images and labels, and what they were made with: two runs are comparable only if it is the same. */
  readonly fingerprint: string;
  /** What a run keeps of where they came from, by the names of its records: the file of code that made them. */
  readonly records?: Readonly<Record<string, unknown>>;
  readonly train: ImageSet;
  readonly test: ImageSet;
}

/** How far a long preparation (download, decoding) has come. */
export interface DataProgress {
  /** In words: `downloading CIFAR-10`. */
  readonly activity: string;
  readonly done: number;
  /** Undefined if unknown. */
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'images';
}

export type OnDataProgress = (progress: DataProgress) => void;
