/*
 * Made of a* /b/ *3 (dense) by ablate's export.
 * Its accuracy was not measured.
 */
#include "dense.h"

#include <string.h>

/* Shifts of negative numbers must keep the sign, as all compilers have them. */
typedef char dense_shifts_keep_signs[(-1 >> 1) == -1 ? 1 : -1];

/* The text of kernels.ts for: dense, copyImage */

static const int8_t logits_weights[24] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44,
};
static const int32_t logits_bias[2] = {
    305, 375,
};
static const int32_t logits_multipliers[2] = {
    1073741824, 1201741824,
};
static const uint8_t logits_shifts[2] = {
    6, 7,
};
static const convolution logits_layer = {
    2, 2, 3,
    1, 1, 2,
    2, 2, 1, 1, 0, 0,
    1, 2,
    0, -5,
    0, -128, 127,
    logits_weights, logits_bias, logits_multipliers, logits_shifts
};

const char *const dense_classes[DENSE_CLASSES] = {
    "cat",
    "dog",
};

int dense_classify_in(dense_memory *memory, const uint8_t *image, int8_t *logits)
{
    int8_t *const block = memory->tensors;
    int best = 0, i;

    /* The image as integers. */
    copy_image(image, 12, block);

    /* logits: dense layer, 2x2x3 to 2; 24 multiply-adds */
    dense(&logits_layer, block, logits);

    for (i = 1; i < DENSE_CLASSES; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

#ifndef DENSE_NO_STATIC_MEMORY
int dense_classify(const uint8_t *image, int8_t *logits)
{
    static dense_memory memory;
    return dense_classify_in(&memory, image, logits);
}
#endif
