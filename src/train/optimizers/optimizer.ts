export interface Optimizer {
  /** State beside the parameters, by name, each an array in the arena's layout. Saved in checkpoints as `opt.<slot>.<parameter>`. */
  readonly slots: Readonly<Record<string, Float32Array>>;
  /**
   * Updates the arena's values from its gradients, then the moving average, where the optimizer was made with one.
   *
   * @param learningRate of this step
   * @param averageDecay of this step; not used without a moving average
   * @param progress the part of the run that is done, in [0, 1): decides which segments are frozen by now
   */
  step(learningRate: number, averageDecay: number, progress: number): void;
}
