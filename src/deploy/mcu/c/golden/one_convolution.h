/*
 * Made of a* /b/ *3 (one_convolution) by ablate's export.
 * Its accuracy was not measured.
 */
#ifndef ONE_CONVOLUTION_H
#define ONE_CONVOLUTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The image: 2 rows of 2 pixels of 3 bytes, red, green and blue.
 * For a network that learnt from crops: the centre of a picture of the training images' size.
 */
#define ONE_CONVOLUTION_HEIGHT 2
#define ONE_CONVOLUTION_WIDTH 2
#define ONE_CONVOLUTION_CHANNELS 3
#define ONE_CONVOLUTION_CLASSES 2

/* A logit q stands for (q - ONE_CONVOLUTION_LOGIT_ZERO) * ONE_CONVOLUTION_LOGIT_SCALE. The code does without: the largest wins. */
#define ONE_CONVOLUTION_LOGIT_ZERO (0)
#define ONE_CONVOLUTION_LOGIT_SCALE 0.0625f

/* What a call needs beside its stack; nothing in it outlives the call. */
typedef struct {
    int32_t windows[35];
    int8_t tensors[1];
} one_convolution_memory;

extern const char *const one_convolution_classes[ONE_CONVOLUTION_CLASSES];

/*
 * Classifies an image: returns the class, an index into one_convolution_classes, and fills the logits, ONE_CONVOLUTION_CLASSES of them. It has a static
 * one_convolution_memory of its own: calls must not run at the same time. Compile with -DONE_CONVOLUTION_NO_STATIC_MEMORY to leave both out.
 */
#ifndef ONE_CONVOLUTION_NO_STATIC_MEMORY
int one_convolution_classify(const uint8_t *image, int8_t *logits);
#endif

/* The same in memory of the caller's. */
int one_convolution_classify_in(one_convolution_memory *memory, const uint8_t *image, int8_t *logits);

#ifdef __cplusplus
}
#endif

#endif
