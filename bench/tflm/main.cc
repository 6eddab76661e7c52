/* Runs test images in TensorFlow Lite Micro, and counts instructions as bench/microcontrollers.ts does: by timer 0 of the board. */
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include VECTORS
#include "model.h"

#include <cstdarg>
#include <cstdio>

#define CONTROL (*(volatile uint32_t *)0x40000000u)
#define VALUE (*(volatile uint32_t *)0x40000004u)
#define RELOAD (*(volatile uint32_t *)0x40000008u)

alignas(16) static uint8_t arena[512 * 1024];
static const int images = 20;

extern "C" {
void *__dso_handle = nullptr;
int __cxa_atexit(void (*)(void *), void *, void *) { return 0; }
void DebugLog(const char *format, va_list arguments) { vprintf(format, arguments); }
int DebugVsnprintf(char *buffer, size_t size, const char *format, va_list arguments) { return vsnprintf(buffer, size, format, arguments); }

int main(void)
{
    static tflite::MicroMutableOpResolver<4> resolver;
    resolver.AddConv2D();
    resolver.AddAdd();
    resolver.AddMean();
    resolver.AddReshape();
    static tflite::MicroInterpreter interpreter(tflite::GetModel(model_data), resolver, arena, sizeof arena);
    if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
    uint32_t ticks = 0;
    int same = 0, total = 0;
    RELOAD = 0xffffffffu;
    VALUE = 0xffffffffu;
    CONTROL = 1;
    for (int i = 0; i < images; i++) {
        int8_t *const input = interpreter.input(0)->data.int8;
        for (size_t k = 0; k < sizeof IMAGES[0]; k++) input[k] = (int8_t)(IMAGES[i][k] - 128);
        const uint32_t before = VALUE;
        interpreter.Invoke();
        ticks += before - VALUE;
        for (size_t k = 0; k < sizeof LOGITS[0]; k++, total++) same += interpreter.output(0)->data.int8[k] == LOGITS[i][k];
    }
    printf("arena %u bytes, %lu instructions an image, %d of %d logits the same\n", (unsigned)interpreter.arena_used_bytes(),
           (unsigned long)((uint64_t)ticks * 40 / images), same, total);
    return 0;
}
}
