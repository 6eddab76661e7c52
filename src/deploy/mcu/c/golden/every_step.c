/*
 * Made of a* /b/ *3 (every_step) by ablate's export.
 * Its accuracy was not measured.
 */
#include "every_step.h"

#include <string.h>

/* Shifts of negative numbers must keep the sign, as all compilers have them. */
typedef char every_step_shifts_keep_signs[(-1 >> 1) == -1 ? 1 : -1];

/* The text of kernels.ts for: convolve, copyChannels, convolveDepthwise, convolveGroups, add, maxPool, averagePool, lookUp, globalAverage, dense, multiply, copyImage */

static const int8_t stem_weights[21] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, 0, 0, 0,
};
static const int32_t stem_bias[2] = {
    220, 575,
};
static const int32_t stem_multipliers[2] = {
    1073741824, 1201741824,
};
static const uint8_t stem_shifts[2] = {
    6, 7,
};
static const convolution stem_layer = {
    4, 4, 3,
    4, 4, 2,
    1, 3, 1, 1, 0, 1,
    1, 5,
    0, -5,
    -5, -5, 127,
    stem_weights, stem_bias, stem_multipliers, stem_shifts
};

static const int8_t halved_weights[80] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7, 30,
    67, -95, -58, -21, 16, 53, 90, -72, -35, 2, 39, 76, -86, -49, -12, 25, 62, 99, -63, -26, 11, 48, 85, -77, -40, -3,
    34, 71, -91, -54, -17, 20, 57, 94, -68, -31, 6, 43, 80, -82, -45, -8, 29, 66, -96, -59, -22, 15, 52, 89, -73, -36,
    1, 38,
};
static const int32_t halved_bias[4] = {
    380, 50, 715, -1605,
};
static const int32_t halved_multipliers[4] = {
    1073741824, 1201741824, 1329741824, 1457741824,
};
static const uint8_t halved_shifts[4] = {
    7, 8, 7, 8,
};
static const convolution halved_layer = {
    4, 4, 5,
    2, 2, 4,
    2, 2, 2, 2, 0, 0,
    1, 4,
    0, -5,
    -20, -20, 96,
    halved_weights, halved_bias, halved_multipliers, halved_shifts
};

static const int8_t depthwise_weights[36] = {
    -99, 35, -30, -95, -62, 72, 7, -58, -25, -90, 44, -21, 12, -53, 81, 16, 49, -16, -81, 53, 86, 21, -44, 90, -76, 58,
    -7, -72, -39, 95, 30, -35, -2, -67, 67, 2,
};
static const int32_t depthwise_bias[4] = {
    -2120, 1400, 940, -3500,
};
static const int32_t depthwise_multipliers[4] = {
    1073741824, 1201741824, 1329741824, 1457741824,
};
static const uint8_t depthwise_shifts[4] = {
    6, 7, 6, 7,
};
static const convolution depthwise_layer = {
    2, 2, 4,
    2, 2, 4,
    3, 3, 1, 1, 1, 1,
    4, 4,
    0, -20,
    7, -128, 127,
    depthwise_weights, depthwise_bias, depthwise_multipliers, depthwise_shifts
};

static const int8_t groups_weights[4] = {
    -99, -62, -25, 12,
};
static const int32_t groups_bias[2] = {
    -2220, 40,
};
static const int32_t groups_multipliers[2] = {
    1073741824, 1201741824,
};
static const uint8_t groups_shifts[2] = {
    6, 7,
};
static const convolution groups_layer = {
    2, 2, 4,
    2, 2, 2,
    1, 1, 1, 1, 0, 0,
    2, 2,
    0, -20,
    3, -128, 127,
    groups_weights, groups_bias, groups_multipliers, groups_shifts
};

static const int8_t wide_weights[11] = {
    -99, -62, -25, 12, 49, 86, -76, -39, 0, 0, 0,
};
static const int32_t wide_bias[4] = {
    1483, 339, -805, -755,
};
static const int32_t wide_multipliers[4] = {
    1073741824, 1201741824, 1329741824, 1457741824,
};
static const uint8_t wide_shifts[4] = {
    6, 7, 6, 7,
};
static const convolution wide_layer = {
    2, 2, 2,
    2, 2, 4,
    1, 1, 1, 1, 0, 0,
    1, 4,
    0, 3,
    0, -128, 127,
    wide_weights, wide_bias, wide_multipliers, wide_shifts
};

static const addition sum_layer = {{7, 0}, {1000000, 1500000}, 20, -30, -30, 127};

static const pool largest_layer = {2, 2, 4, 2, 2, 3, 3, 1, 1, 1, 1};

static const pool mean_layer = {2, 2, 4, 2, 2, 1, 2, 1, 1, 0, 0};

static const int8_t part_one_weights[24] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44,
};
static const int32_t part_one_bias[3] = {
    -3620, 1050, -250,
};
static const int32_t part_one_multipliers[3] = {
    1073741824, 1201741824, 1329741824,
};
static const uint8_t part_one_shifts[3] = {
    6, 7, 6,
};
static const convolution part_one_layer = {
    2, 2, 8,
    2, 2, 3,
    1, 1, 1, 1, 0, 0,
    1, 5,
    0, -30,
    0, -128, 127,
    part_one_weights, part_one_bias, part_one_multipliers, part_one_shifts
};

static const int8_t part_one_2_weights[32] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7, 30,
    67, -95, -58, -21, 16, 53,
};
static const int32_t part_one_2_bias[2] = {
    -2870, 0,
};
static const int32_t part_one_2_multipliers[2] = {
    1073741824, 1201741824,
};
static const uint8_t part_one_2_shifts[2] = {
    6, 7,
};
static const convolution part_one_2_layer = {
    2, 2, 8,
    2, 2, 2,
    2, 1, 1, 1, 0, 0,
    1, 5,
    0, -30,
    0, -128, 127,
    part_one_2_weights, part_one_2_bias, part_one_2_multipliers, part_one_2_shifts
};

static const int8_t curve_table[256] = {
    -32, -32, -31, -31, -31, -31, -30, -30, -30, -30, -29, -29, -29, -29, -28, -28, -28, -28, -27, -27, -27, -27, -26,
    -26, -26, -26, -25, -25, -25, -25, -24, -24, -24, -24, -23, -23, -23, -23, -22, -22, -22, -22, -21, -21, -21, -21,
    -20, -20, -20, -20, -19, -19, -19, -19, -18, -18, -18, -18, -17, -17, -17, -17, -16, -16, -16, -16, -15, -15, -15,
    -15, -14, -14, -14, -14, -13, -13, -13, -13, -12, -12, -12, -12, -11, -11, -11, -11, -10, -10, -10, -10, -9, -9, -9,
    -9, -8, -8, -8, -8, -7, -7, -7, -7, -6, -6, -6, -6, -5, -5, -5, -5, -4, -4, -4, -4, -3, -3, -3, -3, -2, -2, -2, -2,
    -1, -1, -1, -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54,
    55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
    84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109,
    110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
};

static const int8_t gate_weights[25] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7,
};
static const int32_t gate_bias[5] = {
    6000, 140, 2240, -3620, -1520,
};
static const int32_t gate_multipliers[5] = {
    1073741824, 1201741824, 1329741824, 1457741824, 1585741824,
};
static const uint8_t gate_shifts[5] = {
    6, 7, 6, 7, 6,
};
static const convolution gate_layer = {
    1, 1, 5,
    1, 1, 5,
    1, 1, 1, 1, 0, 0,
    1, 5,
    0, 40,
    -128, -128, 127,
    gate_weights, gate_bias, gate_multipliers, gate_shifts
};

static const product scaled_layer = {{0, -128}, 1610612736, 4, 2};

static const product square_layer = {{2, 2}, 1610612736, 4, 2};

static const int8_t rows_weights[33] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7, 30,
    67, -95, -58, -21, 0, 0, 0,
};
static const int32_t rows_bias[3] = {
    1242, 306, -232,
};
static const int32_t rows_multipliers[3] = {
    1073741824, 1201741824, 1329741824,
};
static const uint8_t rows_shifts[3] = {
    6, 7, 6,
};
static const convolution rows_layer = {
    2, 2, 5,
    1, 2, 3,
    2, 1, 2, 1, 0, 0,
    1, 3,
    0, 2,
    0, -128, 127,
    rows_weights, rows_bias, rows_multipliers, rows_shifts
};

static const int8_t logits_weights[36] = {
    -99, -62, -25, 12, 49, 86, -76, -39, -2, 35, 72, -90, -53, -16, 21, 58, 95, -67, -30, 7, 44, 81, -81, -44, -7, 30,
    67, -95, -58, -21, 16, 53, 90, -72, -35, 2,
};
static const int32_t logits_bias[6] = {
    1000, 300, -400, -1100, -1800, -2500,
};
static const int32_t logits_multipliers[6] = {
    1073741824, 1201741824, 1329741824, 1457741824, 1585741824, 1713741824,
};
static const uint8_t logits_shifts[6] = {
    6, 7, 6, 7, 6, 7,
};
static const convolution logits_layer = {
    1, 2, 3,
    1, 1, 6,
    1, 2, 1, 1, 0, 0,
    1, 6,
    0, 0,
    -9, -128, 127,
    logits_weights, logits_bias, logits_multipliers, logits_shifts
};

const char *const every_step_classes[EVERY_STEP_CLASSES] = {
    "plain ~",
    "a \"quoted\" word",
    "back\\slash",
    "what\?\?=",
    "V\303\266gel",
    "tab\0111, delete\1772",
};

int every_step_classify_in(every_step_memory *memory, const uint8_t *image, int8_t *logits)
{
    int8_t *const block = memory->tensors;
    int32_t *const windows = memory->windows;
    int best = 0, i;

    /* The image as integers. */
    copy_image(image, 48, block + 80);

    /* stem: 1x3 convolution, 4x4x3 to 4x4x2, ReLU; 288 multiply-adds */
    convolve(&stem_layer, block + 80, block + 3, windows);

    /* joined: joined channels, 4x4x3 and 4x4x2 to 4x4x5 */
    copy_channels(block + 80, 16, 3, block, 5);

    /* halved: 2x2 convolution, stride 2, 4x4x5 to 2x2x4, ReLU6; 320 multiply-adds */
    convolve(&halved_layer, block, block, windows);

    /* depthwise: 3x3 depthwise convolution, 2x2x4 to 2x2x4; 144 multiply-adds */
    convolve_depthwise(&depthwise_layer, block, block + 16, windows);

    /* groups: 1x1 convolution in 2 groups, 2x2x4 to 2x2x2; 16 multiply-adds */
    convolve_groups(&groups_layer, block, block + 32, windows);

    /* wide: 1x1 convolution, 2x2x2 to 2x2x4; 32 multiply-adds */
    convolve(&wide_layer, block + 32, block, windows);

    /* sum: sum, 2 of 2x2x4 to 2x2x4, ReLU */
    add(&sum_layer, block + 16, block, 16, block);

    /* largest: max pool of 3x3 pixels, 2x2x4 to 2x2x4 */
    max_pool(&largest_layer, block, block + 32);

    /* mean: average pool of 1x2 pixels, 2x2x4 to 2x2x4 */
    average_pool(&mean_layer, block, block + 48);

    /* pools: joined channels, 2 of 2x2x4 to 2x2x8 */
    copy_channels(block + 32, 4, 4, block, 8);
    copy_channels(block + 48, 4, 4, block + 4, 8);

    /* part/one: 1x1 convolution, 2x2x8 to 2x2x3; 96 multiply-adds */
    convolve(&part_one_layer, block, block + 32, windows);

    /* part-one: 2x1 convolution, 2x2x8 to 2x2x2; 128 multiply-adds */
    convolve(&part_one_2_layer, block, block + 35, windows);

    /* parts: joined channels, 2x2x3 and 2x2x2 to 2x2x5; they lie where they belong already */

    /* curve: leakyRelu, 2x2x5 */
    look_up(curve_table, block + 32, 20, block);

    /* average: average over all pixels, 2x2x5 to 5 */
    global_average(block, 4, 5, 0, 1073741824, 3, 40, block + 20);

    /* gate: dense layer, 5 to 5, hard sigmoid; 25 multiply-adds */
    dense(&gate_layer, block + 20, block + 28);

    /* scaled: product, 2x2x5 and 5 to 2x2x5 */
    multiply(&scaled_layer, block, block + 28, 4, 5, 0, block);

    /* square: product, 2 of 2x2x5 to 2x2x5 */
    multiply(&square_layer, block, block, 4, 5, 5, block);

    /* rows: 2x1 convolution, stride 2x1, 2x2x5 to 1x2x3; 60 multiply-adds */
    convolve(&rows_layer, block, block, windows);

    /* logits: dense layer, 1x2x3 to 6; 36 multiply-adds */
    dense(&logits_layer, block, logits);

    for (i = 1; i < EVERY_STEP_CLASSES; i++) {
        if (logits[i] > logits[best]) best = i;
    }
    return best;
}

#ifndef EVERY_STEP_NO_STATIC_MEMORY
int every_step_classify(const uint8_t *image, int8_t *logits)
{
    static every_step_memory memory;
    return every_step_classify_in(&memory, image, logits);
}
#endif
