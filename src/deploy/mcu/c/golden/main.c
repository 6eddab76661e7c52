/*
 * Made of a* /b/ *3 (dense) by ablate's export.
 * Its accuracy was not measured.
 */

/* Classifies the test images, and says whether the logits are what they must be: an example, and a check of a compiler or a board. */
#include "dense.h"
#include "dense_test_vectors.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    int i, right = 0;
    for (i = 0; i < DENSE_TEST_VECTORS; i++) {
        int8_t logits[DENSE_CLASSES];
        const int best = dense_classify(dense_test_images[i], logits);
        const int same = memcmp(logits, dense_test_logits[i], sizeof logits) == 0;
        printf("image %d: %s, %s\n", i, dense_classes[best], same ? "as expected" : "NOT the expected logits");
        right += same;
    }
    printf("%d of %d images gave the expected logits\n", right, DENSE_TEST_VECTORS);
    return right == DENSE_TEST_VECTORS ? 0 : 1;
}
