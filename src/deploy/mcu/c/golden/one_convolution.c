/*
 * Made of a* /b/ *3 (one_convolution) by ablate's export.
 * Its accuracy was not measured.
 */
#include "one_convolution.h"

#include <string.h>

/* Shifts of negative numbers must keep the sign, as all compilers have them. */
typedef char one_convolution_shifts_keep_signs[(-1 >> 1) == -1 ? 1 : -1];

/* The text of kernels.ts for: convolve */

static const int8_t logits_weights[57] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7, 30,
    67, -95, -58, -21, 16, 53, 90, -72, -35, 2, 39, 76, -86, -49, -12, 25, 62, 99, -63, -26, 11, 48, 85, -77, -40, -3,
    34, 71, 0, 0, 0,
};
static const int32_t logits_bias[2] = {
    830, 670,
};
static const int32_t logits_multipliers[2] = {
    1073741824, 1201741824,
};
static const uint8_t logits_shifts[2] = {
    7, 8,
};
static const convolution logits_layer = {
    2, 2, 3,
    1, 1, 2,
    3, 3, 2, 2, 1, 1,
    1, 2,
    -128, 123,
    0, -128, 127,
    logits_weights, logits_bias, logits_multipliers, logits_shifts
};

const char *const one_convolution_classes[ONE_CONVOLUTION_CLASSES] = {
    "cat",
    "dog",
};

int one_convolution_classify_in(one_convolution_memory *memory, const uint8_t *image, int8_t *logits)
{
    int32_t *const windows = memory->windows;
    int best = 0, i;

    /* logits: 3x3 convolution, stride 2, 2x2x3 to 2; 54 multiply-adds */
    convolve(&logits_layer, (const int8_t *)image, logits, windows);

    for (i = 1; i < ONE_CONVOLUTION_CLASSES; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

#ifndef ONE_CONVOLUTION_NO_STATIC_MEMORY
int one_convolution_classify(const uint8_t *image, int8_t *logits)
{
    static one_convolution_memory memory;
    return one_convolution_classify_in(&memory, image, logits);
}
#endif
