#!/usr/bin/env bash
# What is to be tried where there is a graphics card, the most valuable first, in ten minutes at most: which card there is; a step of tuto, kernel by kernel, beside what
# the card reaches; all layers against float64; the steps of other models; 10,000 steps of tuto; steps and layers in float16, where the card has it; PyTorch's steps on the
# same card, where Python has it; and, in a checkout with its packages, the tests and a hundred devices opened and closed. Every part has its own limit of time and leaves a JSON file in $OUT (by default
# docs/results), and what it said in gpu.log.
#
# With GPU_TRAININGS=1 also trainings on CIFAR-10 (ABLATE_DATA_DIR, or downloaded), untried on a card so far, an hour at most: tuto for 10,000 steps with one seed and with
# 16 side by side, air94, and the long studies. What is recorded of their runs, without weights, is in runs.tar.gz: unpacked in the runs/ of another checkout, finished
# runs count there.
#
# Wants Node 20 or later and `npm run setup -- --gpu` done; or, on a bare machine, what bench/gpu-pack.sh has packed, in .gpu of the project.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(realpath "${OUT:-docs/results}")
log=$out/gpu.log
: > "$log"
failed=0

packed=.gpu/gpu.tar.xz
if [ -f "$packed" ]; then
  home=$(mktemp -d)
  tar -C "$home" -xJf "$packed"
  ldconfig -p | grep -q libvulkan.so.1 || { dpkg -x "$home"/libvulkan1*.deb / && ldconfig; } >> "$log" 2>&1
  node=$home/node
  ablate=("$node" "$home/dist-for-tests/cli/main.js")
  agreement=("$node" "$home/agreement.mjs")
else
  node=node
  ablate=(node --import tsx src/cli/main.ts)
  agreement=(node --import tsx test/webgpu-agreement.ts)
fi
# NVIDIA's containers may have the driver where the loader does not look.
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && [ -f "$icd" ] && ! ls /etc/vulkan/icd.d/*nvidia* /usr/share/vulkan/icd.d/*nvidia* > /dev/null 2>&1; then
  export VK_DRIVER_FILES=$icd
fi

# part NAME SECONDS COMMAND...: its standard output is $out/gpu-NAME.json, the rest goes to the log.
part() {
  local name=$1 seconds=$2 start=$SECONDS
  shift 2
  if timeout "$seconds" "$@" > "$out/gpu-$name.json" 2>> "$log"; then
    echo "$name: $((SECONDS - start)) s" | tee -a "$log"
  else
    echo "$name: failed with $? after $((SECONDS - start)) s; $log says why" | tee -a "$log"
    failed=1
  fi
}

bench() {
  local IFS=:
  set -- $1
  part "$1${4:+-$4}" 90 "${ablate[@]}" bench train "$1" --engine webgpu --batch-size "$2" --recipe "$3" --precision "${4:-f32}" --steps "${GPU_STEPS:-200}" --warm-up "${GPU_WARM_UP:-32}" \
    --repetitions "${GPU_REPETITIONS:-20}" --json
}

"${ablate[@]}" doctor >> "$log" 2>&1
grep -i graphics "$log" || true
read -r first rest <<< "${GPU_MODELS:-tuto:128:2017 air94:1000:airbench nin2:128:2017 resnet20:128:modern}"
bench "$first"
part agreement 150 "${agreement[@]}" ${GPU_CASES:+"$GPU_CASES"}
for each in $rest; do bench "$each"; done
runs=$(mktemp -d)
part training 90 "${ablate[@]}" train tuto --engine webgpu --data synthetic --steps "${GPU_TRAINING_STEPS:-10000}" --runs-dir "$runs" ${GPU_TRAINING_FLAGS:-} --json
part training-16 120 "${ablate[@]}" train tuto --engine webgpu --data synthetic --steps "${GPU_TRAINING_STEPS:-10000}" --seeds 1..16 --runs-dir "$runs" ${GPU_TRAINING_FLAGS:-} --json
if grep -q 'has --precision f16' "$log"; then
  for each in $first ${rest%% *}; do bench "$each:f16"; done
  # Some cases are above the tolerance by their nature: the file has them.
  timeout 150 "${agreement[@]}" "${GPU_CASES:-}" f16 > "$out/gpu-agreement-f16.json" 2>> "$log"
fi
if python3 -c 'import torch; assert torch.cuda.is_available()' 2> /dev/null; then
  torch() {
    for each in 'tuto 128 24' 'nin2 128 24' 'air94 1000 32'; do
      for precision in f32 bf16; do
        read -r model batch size <<< "$each"
        echo "{\"model\": \"$model\", \"batchSize\": $batch, \"precision\": \"$precision\", \"result\": $(python3 bench/compare/pytorch_step.py "$model" channels_last "$precision" 1 "$batch" "$size" 30 200 cuda)}"
      done
    done
  }
  export -f torch
  part pytorch 120 bash -c torch
fi
if [ -d node_modules/vitest ]; then
  ABLATE_TEST_GPU=1 timeout 300 npx vitest run test/webgpu.test.ts test/webgpu-training.test.ts test/webgpu-runs.test.ts test/webgpu-f16.test.ts --reporter=dot >> "$log" 2>&1 || failed=1
  timeout 120 node scripts/webgpu-lifetimes.mjs 100 >> "$log" 2>&1 || failed=1
fi
if [ "${GPU_TRAININGS:-0}" = 1 ]; then
  part tuto-1 120 "${ablate[@]}" train tuto --engine webgpu --steps 10000 --seed 1 --runs-dir "$runs" --json
  part tuto-16 300 "${ablate[@]}" train tuto --engine webgpu --steps 10000 --seeds 2..17 --runs-dir "$runs" --json
  part air94 180 "${ablate[@]}" train air94 --engine webgpu --recipe airbench --runs-dir "$runs" --json
  for study in models tensorsandbox; do
    part "study-$study" 1500 "${ablate[@]}" study "studies/$study.yaml" --engine webgpu --runs-dir "$runs" --output "$runs/reports/$study" --no-latency --json
  done
  tar -C "$runs" --exclude=checkpoints --exclude='events.out.*' --exclude=reports -czf "$out/runs.tar.gz" .
fi
exit $failed
