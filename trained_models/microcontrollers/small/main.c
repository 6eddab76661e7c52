/*
 * Made of small.safetensors (squeeze1) by ablate's export. Training 2ac46b20c34b.
 * 8-bit integers, calibrated on 1,024 training images (mse); ablate 0.1.0.
 * Accuracy of these integers: 87.66% of 10,000 test images of cifar10 (float32: 87.50%).
 */

/* Classifies the test images, and says whether the logits are what they must be: an example, and a check of a compiler or a board. */
#include "cifar10_small.h"
#include "cifar10_small_test_vectors.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    int i, right = 0;
    for (i = 0; i < CIFAR10_SMALL_TEST_VECTORS; i++) {
        int8_t logits[CIFAR10_SMALL_CLASSES];
        const int best = cifar10_small_classify(cifar10_small_test_images[i], logits);
        const int same = memcmp(logits, cifar10_small_test_logits[i], sizeof logits) == 0;
        printf("image %d: %s, %s\n", i, cifar10_small_classes[best], same ? "as expected" : "NOT the expected logits");
        right += same;
    }
    printf("%d of %d images gave the expected logits\n", right, CIFAR10_SMALL_TEST_VECTORS);
    return right == CIFAR10_SMALL_TEST_VECTORS ? 0 : 1;
}
