/*
 * Made of small.safetensors (squeeze1) by ablate's export. Training 2ac46b20c34b.
 * 8-bit integers, calibrated on 1,024 training images (mse); ablate 0.1.0.
 * Accuracy of these integers: 87.66% of 10,000 test images of cifar10 (float32: 87.50%).
 */
#ifndef CIFAR10_SMALL_H
#define CIFAR10_SMALL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The image: 24 rows of 24 pixels of 3 bytes, red, green and blue.
 * For a network that learnt from crops: the centre of a picture of the training images' size.
 */
#define CIFAR10_SMALL_HEIGHT 24
#define CIFAR10_SMALL_WIDTH 24
#define CIFAR10_SMALL_CHANNELS 3
#define CIFAR10_SMALL_CLASSES 10

/* A logit q stands for (q - CIFAR10_SMALL_LOGIT_ZERO) * CIFAR10_SMALL_LOGIT_SCALE. The code does without: the largest wins. */
#define CIFAR10_SMALL_LOGIT_ZERO (-128)
#define CIFAR10_SMALL_LOGIT_SCALE 0.0336490236222744f

/* What a call needs beside its stack; nothing in it outlives the call. */
typedef struct {
    int32_t windows[205];
    int8_t tensors[23080];
} cifar10_small_memory;

extern const char *const cifar10_small_classes[CIFAR10_SMALL_CLASSES];

/*
 * Classifies an image: returns the class, an index into cifar10_small_classes, and fills the logits, CIFAR10_SMALL_CLASSES of them. It has a static
 * cifar10_small_memory of its own: calls must not run at the same time. Compile with -DCIFAR10_SMALL_NO_STATIC_MEMORY to leave both out.
 */
#ifndef CIFAR10_SMALL_NO_STATIC_MEMORY
int cifar10_small_classify(const uint8_t *image, int8_t *logits);
#endif

/* The same in memory of the caller's. */
int cifar10_small_classify_in(cifar10_small_memory *memory, const uint8_t *image, int8_t *logits);

#ifdef __cplusplus
}
#endif

#endif
