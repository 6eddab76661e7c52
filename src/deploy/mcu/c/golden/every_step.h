/*
 * Made of a* /b/ *3 (every_step) by ablate's export.
 * Its accuracy was not measured.
 */
#ifndef EVERY_STEP_H
#define EVERY_STEP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The image: 4 rows of 4 pixels of 3 bytes, red, green and blue.
 * For a network that learnt from crops: the centre of a picture of the training images' size.
 */
#define EVERY_STEP_HEIGHT 4
#define EVERY_STEP_WIDTH 4
#define EVERY_STEP_CHANNELS 3
#define EVERY_STEP_CLASSES 6

/* A logit q stands for (q - EVERY_STEP_LOGIT_ZERO) * EVERY_STEP_LOGIT_SCALE. The code does without: the largest wins. */
#define EVERY_STEP_LOGIT_ZERO (-9)
#define EVERY_STEP_LOGIT_SCALE 0.0625f

/* What a call needs beside its stack; nothing in it outlives the call. */
typedef struct {
    int32_t windows[25];
    int8_t tensors[128];
} every_step_memory;

extern const char *const every_step_classes[EVERY_STEP_CLASSES];

/*
 * Classifies an image: returns the class, an index into every_step_classes, and fills the logits, EVERY_STEP_CLASSES of them. It has a static
 * every_step_memory of its own: calls must not run at the same time. Compile with -DEVERY_STEP_NO_STATIC_MEMORY to leave both out.
 */
#ifndef EVERY_STEP_NO_STATIC_MEMORY
int every_step_classify(const uint8_t *image, int8_t *logits);
#endif

/* The same in memory of the caller's. */
int every_step_classify_in(every_step_memory *memory, const uint8_t *image, int8_t *logits);

#ifdef __cplusplus
}
#endif

#endif
