/**
 * The library: what is exported here is documented in docs/api.md and promised; everything else may change. Nothing here prints or ends the
 * process: progress is told to callbacks, an AbortSignal stops, and errors for the user are an AblateError.
 */

// Networks
export { defineModel, type InputSize, type ModelDefinition, type ModelSource } from './models/model.ts';
export { modelDefinition, modelNames } from './models/registry.ts';
export {
  choice,
  count,
  flag,
  number,
  type BooleanSetting,
  type ChoiceSetting,
  type NumberSetting,
  type Resolved,
  type ResolvedSettings,
  type Setting,
  type Settings,
  type ValueOf,
} from './models/settings.ts';
export { buildNetwork, describeNetwork, type LayerDescription, type NetworkDescription } from './nn/description.ts';
export type { Activation, ActivationOption, ActivationType, ActivationOptions } from './nn/activation.ts';
export type { Layer, LayerKind, LayerOf, AttributesOf } from './nn/layer.ts';
export type { ConvOptions } from './nn/layers/conv.ts';
export type { DenseOptions } from './nn/layers/dense.ts';
export type { BatchNormOptions, LrnOptions } from './nn/layers/normalization.ts';
export type { PoolOptions } from './nn/layers/pool.ts';
export {
  defineLayer,
  type CustomBackward,
  type CustomFacts,
  type CustomForward,
  type CustomLayer,
  type CustomLayers,
  type CustomOptions,
  type CustomParameter,
  type PlainData,
  type Values,
} from './nn/custom.ts';
export { checkCustomGradients, type CheckedLayer } from './engine/custom-gradients.ts';
export {
  countMultiplyAdds,
  countOperations,
  countParameters,
  NetworkBuilder,
  withCustomLayers,
  type Network,
  type Tensor,
} from './nn/network.ts';
export type { Initializer, ParameterSpec, ParameterRole, ParameterKind } from './nn/parameter.ts';
export type { Shape } from './nn/shape.ts';
export { networkTable } from './nn/table.ts';
export { loadModel, type LoadedModel } from './user/model-file.ts';
export type { LoadFileOptions, UserFile } from './user/load-file.ts';
export { recordOfFile, type RecordedKind } from './user/recorded-file.ts';
export type { WindowOptions } from './nn/checks.ts';

// Images
export {
  defineAugmentation,
  type AugmentationDefinition,
  type AugmentationResult,
  type AugmentationSource,
} from './user/augmentation.ts';
export { loadAugmentation, type LoadedAugmentation } from './user/augmentation-file.ts';
export type { AugmentationImage, AugmentationRandom } from './data/own-augmentation.ts';
export type { DataProgress, Dataset, ImageSet, Labels, OnDataProgress, SplitName } from './data/dataset.ts';
export { loadDataset } from './user/dataset.ts';
export type { LoadOptions } from './data/registry.ts';
export { defineDataset, loadOwnDataset, type DatasetDefinition, type DatasetSource, type OwnImages } from './data/own-dataset.ts';
export { generateSynthetic, type SyntheticOptions } from './data/synthetic.ts';
export type { Preprocessing } from './data/preprocessing.ts';

// Engines
export type {
  CompileOptions,
  DeviceArray,
  Engine,
  InferencePlan,
  ParameterArena,
  Precision,
  TrainingPlan,
  SharedBatch,
  ArenaEntry,
  ForwardOptions,
  LossOptions,
  OverRoot,
  ProductShape,
  Staging,
  Targets,
  TrainingOptions,
  VectorMath,
} from './engine/engine.ts';
export {
  engineNames,
  openEngine,
  type ChosenEngine,
  type EngineChoice,
  type EngineName,
  type OpenEngineOptions,
} from './engine/registry.ts';

// Training
export { createClassifier, type Classifier, type DatasetFacts, type ImageShape, type TrainingFacts } from './train/classifier.ts';
export { loadConfig } from './train/config-file.ts';
export type { Validated } from './train/validation-watch.ts';
export { changeConfig, resolveConfig } from './train/config.ts';
export type { ConfigOverrides, TrainingConfig } from './train/config-schema.ts';
export { resumeConfig } from './train/resume.ts';
export { train } from './train/train.ts';
export type {
  NamedWeights,
  TrainHooks,
  TrainOptions,
  TrainProgress,
  TrainResult,
  WhyStopped,
  TrainStart,
  WeightsEvaluation,
} from './train/train-options.ts';
export { DivergenceError } from './train/trainer.ts';
export { findRun, type Run } from './runs/run-folder.ts';
export type { Safetensors, Tensor as WeightsTensor } from './runs/safetensors.ts';
export type { Collective } from './cluster/collective.ts';

// Trained weights
export { writeSavedWeights } from './compress/weights-file.ts';
export { evaluateSaved, type SavedEvaluation, type SavedEvaluationOptions } from './train/saved-evaluation.ts';
export { readSavedModel, readTrainedModel, type SavedModel, type TrainedModelOptions } from './train/saved-model.ts';
export type { Evaluation } from './train/tally.ts';
export type { TtaLevel } from './train/test-time-augmentation.ts';
export type { WeightsKind } from './train/weights.ts';
export type { OnImage } from './train/evaluate.ts';

// Frozen files
export { accuracyRecord, evaluateFrozen, type FrozenEvaluationOptions } from './deploy/evaluate.ts';
export { freeze, type FreezeOptions, type Frozen } from './deploy/freeze.ts';
export { openFrozenModel, writeFrozenFile, type FrozenModel } from './deploy/frozen-model.ts';
export { labelImage, type Labelled, type LabelOptions } from './deploy/label.ts';
export type { FrozenAccuracy, FrozenMetadata } from './deploy/metadata.ts';
export type { RuntimeOptions, RuntimeSession, ImageBatch, Predictions } from './deploy/onnx-runtime.ts';
export type { Weights } from './deploy/onnx/rule.ts';
export type { Quantization } from './deploy/quantization.ts';

// Smaller networks
export {
  compress,
  type Compressed,
  type CompressHooks,
  type CompressOptions,
  type CompressRequest,
  type Stage,
  type Stopped,
  type CompressedLayer,
  type StageFile,
} from './compress/pipeline.ts';
export type { CompressTargets, StopReason, Reached, RoundSettings } from './compress/rounds.ts';
export {
  planPruning,
  prune,
  type FilterPruning,
  type NetworkReport,
  type PruneResult,
  type PrunedNetwork,
  type PruningPlan,
  type PruningRequest,
  type PruningWork,
  type WeightPruning,
  type PruningRecord,
} from './compress/prune/prune.ts';
export type { ShrinkTarget, Shrunk } from './compress/prune/shrink.ts';
export {
  quantize,
  type CheckSettings,
  type FloatFile,
  type Quantized,
  type QuantizeOptions,
  type MeasuredCheck,
} from './compress/quantize/quantize.ts';
export type { MeasuredNetwork, Measuring } from './compress/network.ts';
export type { FilterScope } from './compress/prune/filter-order.ts';
export type { NetworkSize } from './compress/prune/measure.ts';

// Studies
export {
  measureStudyFiles,
  type FileMeasuring,
  type StudyFilesOptions,
  type StudyFileTask,
} from './compress/quantize/study-files.ts';
export { readStudyResults } from './report/study-report.ts';
export type { ReportData, ReportRun, ReportVariant, Cost } from './report/report-data.ts';
export { writeReport } from './report/write-report.ts';
export type { Effect } from './study/effects.ts';
export type { Launcher, Job, JobEnd } from './study/launcher.ts';
export { localLauncher, type LocalOptions } from './study/launchers/local.ts';
export { planStudy, type PlannedRun, type StudyPlan } from './study/plan.ts';
export { runStudy, type RunProgress, type StudyHooks, type StudyOptions } from './study/runner.ts';
export { defineStudy, readStudyFile, type StudyFile } from './study/study-file.ts';
export { loadStudyModels, studyModels, type StudyModels } from './study/study-models.ts';
export type { StudyDefinition, StudySource } from './study/study-schema.ts';
export type { StudyRun, StudyRunState, RecordedDataset } from './study/study-state.ts';
export type { FileResult } from './study/file-results.ts';
export type { EnvironmentRecord } from './runs/environment.ts';
export type { StudyQuantization } from './study/quantization.ts';
export type { WrittenReport } from './report/report-files.ts';
export type { Contrast } from './study/contrast.ts';
export type { Estimate } from './study/statistics.ts';
export type { Design } from './study/design.ts';

// Errors
export { AblateError, ConfigurationError, DataError } from './util/errors.ts';
