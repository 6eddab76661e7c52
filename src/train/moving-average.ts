/**
 * An exponential moving average of the parameters: average += (1 - decay) * (value - average) after every step.
 *
 * It covers the trainable parameters and the running statistics of batch normalization alike, so that a network evaluated with its
 * averages has statistics that belong to about the same weights; frozen parameters never change.
 */
export interface MovingAverage {
  readonly decay: number;
  /** Start with a short memory: decay = min(decay, (1 + t) / (10 + t)), t the steps taken (TensorFlow's rule). */
  readonly warmup: boolean;
}

/** The decay of one step; `step` is the number of steps taken before it. */
export function averageDecayAt({ decay, warmup }: MovingAverage, step: number): number {
  return warmup ? Math.min(decay, (1 + step) / (10 + step)) : decay;
}
