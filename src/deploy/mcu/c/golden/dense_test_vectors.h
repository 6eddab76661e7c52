/*
 * Made of a* /b/ *3 (dense) by ablate's export.
 * Its accuracy was not measured.
 */
#ifndef DENSE_TEST_VECTORS_H
#define DENSE_TEST_VECTORS_H

#include "dense.h"

/* Images, and the logits that dense_classify must give for them, to the bit. */
#define DENSE_TEST_VECTORS 2

static const uint8_t dense_test_images[DENSE_TEST_VECTORS][12] = {
    {
        0, 83, 166, 249, 76, 159, 242, 69, 152, 235, 62, 145,
    },
    {
        228, 55, 138, 221, 48, 131, 214, 41, 124, 207, 34, 117,
    },
};

static const int8_t dense_test_logits[DENSE_TEST_VECTORS][DENSE_CLASSES] = {
    {
        58, 84,
    },
    {
        -109, 23,
    },
};

#endif
