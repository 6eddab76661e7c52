#!/bin/bash
# Instructions that TensorFlow Lite Micro with CMSIS-NN takes for an image on a Cortex-M4 in QEMU, and its arena, for a network that
# bench/microcontrollers.ts has exported: to compare with what the C code of ablate takes there.
#
#     bench/tflm/measure.sh <sources> <folder of the network in --work> <its name>
#
# <sources> holds checkouts of tensorflow/tflite-micro, ARM-software/CMSIS-NN, google/flatbuffers, google/gemmlowp and google/ruy. Needs Debian's
# gcc-arm-none-eabi, libstdc++-arm-none-eabi-newlib and qemu-system-arm. The network may have convolutions, sums, averages and dense layers.
# If flatbuffers is of another version than tensorflow/lite/schema/schema_generated.h expects, take the static_assert at its beginning out first.
set -eu
sources=$(realpath "$1") network=$(realpath "$2") name=$3
here=$(realpath "$(dirname "$0")")
cortex=$here/../../test/cortex-m
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$sources/tflite-micro"

flags=(-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -O3 -ffunction-sections -fdata-sections -w)
# CXX_HEADERS: where C++ headers for the core are, if the compiler does not find them.
for folder in ${CXX_HEADERS:-}; do flags+=(-isystem "$folder"); done
includes=(-I. -I../CMSIS-NN -I../CMSIS-NN/Include -I../flatbuffers/include -I../gemmlowp -I../ruy -I"$network" -I"$work")
plus=(-std=c++17 -fno-rtti -fno-exceptions -fno-threadsafe-statics -DTF_LITE_STATIC_MEMORY -DTF_LITE_STRIP_ERROR_STRINGS -DCMSIS_NN -DNDEBUG)

lite=tensorflow/lite
compiled=()
compile() { # compiler, file, flags...
  local compiler=$1 file=$2 object
  shift 2
  object=$work/$(echo "$file" | tr / _).o
  "$compiler" "${flags[@]}" "$@" "${includes[@]}" -c "$file" -o "$object"
  compiled+=("$object")
}
for file in $(ls $lite/micro/*.cc $lite/micro/arena_allocator/*.cc $lite/micro/memory_planner/*.cc $lite/micro/tflite_bridge/*.cc |
  grep -v '_test\|test_help\|fake_\|mock_\|recording_\|benchmark\|system_setup\|debug_log.cc\|hexdump\|micro_time') \
  $lite/core/c/common.cc $lite/core/api/{flatbuffer_conversions,tensor_utils}.cc $lite/kernels/kernel_util.cc \
  $lite/kernels/internal/{common,quantization_util,tensor_ctypes,portable_tensor_utils,runtime_shape,tensor_utils}.cc \
  $lite/kernels/internal/reference/portable_tensor_utils.cc tensorflow/compiler/mlir/lite/schema/schema_utils.cc \
  tensorflow/compiler/mlir/lite/core/api/error_reporter.cc $lite/micro/kernels/cmsis_nn/{conv,add}.cc \
  $lite/micro/kernels/{conv_common,add_common,kernel_util,reduce,reduce_common,reshape,reshape_common}.cc; do
  compile arm-none-eabi-g++ "$file" "${plus[@]}"
done
for file in ../CMSIS-NN/Source/{ConvolutionFunctions,NNSupportFunctions,BasicMathFunctions,FullyConnectedFunctions}/*.c; do
  case $file in *_f16* | *_f32*) continue ;; esac
  compile arm-none-eabi-gcc "$file" -std=c99
done
(cd "$network" && xxd -i "$name.tflite") | sed "s/^unsigned char [^[]*/alignas(16) const unsigned char model_data/; s/^unsigned int .*//" > "$work/model.h"
compile arm-none-eabi-g++ "$here/main.cc" "${plus[@]}" "-DVECTORS=\"${name}_test_vectors.h\"" "-DIMAGES=${name}_test_images" "-DLOGITS=${name}_test_logits"
compile arm-none-eabi-gcc "$cortex/startup.c" -std=c99
# shellcheck disable=SC2086
arm-none-eabi-g++ "${flags[@]}" --specs=rdimon.specs -nostartfiles -Wl,--gc-sections -T "$cortex/link.ld" "${compiled[@]}" ${CXX_LIBRARIES:+-L$CXX_LIBRARIES} \
  -o "$work/tflm.elf"
qemu-system-arm -M mps2-an386 -nographic -icount shift=0 -semihosting-config enable=on,target=native -kernel "$work/tflm.elf"
