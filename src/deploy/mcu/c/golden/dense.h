/*
 * Made of a* /b/ *3 (dense) by ablate's export.
 * Its accuracy was not measured.
 */
#ifndef DENSE_H
#define DENSE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The image: 2 rows of 2 pixels of 3 bytes, red, green and blue.
 * For a network that learnt from crops: the centre of a picture of the training images' size.
 */
#define DENSE_HEIGHT 2
#define DENSE_WIDTH 2
#define DENSE_CHANNELS 3
#define DENSE_CLASSES 2

/* A logit q stands for (q - DENSE_LOGIT_ZERO) * DENSE_LOGIT_SCALE. The code does without: the largest wins. */
#define DENSE_LOGIT_ZERO (0)
#define DENSE_LOGIT_SCALE 0.0625f

/* What a call needs beside its stack; nothing in it outlives the call. */
typedef struct {
    int32_t windows[1];
    int8_t tensors[12];
} dense_memory;

extern const char *const dense_classes[DENSE_CLASSES];

/*
 * Classifies an image: returns the class, an index into dense_classes, and fills the logits, DENSE_CLASSES of them. It has a static
 * dense_memory of its own: calls must not run at the same time. Compile with -DDENSE_NO_STATIC_MEMORY to leave both out.
 */
#ifndef DENSE_NO_STATIC_MEMORY
int dense_classify(const uint8_t *image, int8_t *logits);
#endif

/* The same in memory of the caller's. */
int dense_classify_in(dense_memory *memory, const uint8_t *image, int8_t *logits);

#ifdef __cplusplus
}
#endif

#endif
