/** What goes beside the code: images with the logits that it must give, a program that tries them, and a Makefile. */
import { head, macro, numberLines, type CodeOptions } from './source.ts';

/** Images and what the plan makes of them. */
export interface TestVectors {
  /** `[count, height, width, channels]` */
  readonly images: Uint8Array;
  /** `[count, classes]` */
  readonly logits: Int8Array;
  readonly count: number;
}

/** `<name>_test_vectors.h` */
export function testVectorsFile({ name, origin, classes }: CodeOptions, { images, logits, count }: TestVectors): string {
  const prefix = macro(name);
  const imageLength = images.length / count;
  const rows = (values: ArrayLike<number> & { subarray(start: number, end: number): ArrayLike<number> }, length: number) =>
    Array.from(
      { length: count },
      (_, i) => `    {\n${numberLines(values.subarray(i * length, (i + 1) * length), '        ')}\n    },`,
    ).join('\n');
  return `${head(origin)}
#ifndef ${prefix}_TEST_VECTORS_H
#define ${prefix}_TEST_VECTORS_H

#include "${name}.h"

/* Images, and the logits that ${name}_classify must give for them, to the bit. */
#define ${prefix}_TEST_VECTORS ${count}

static const uint8_t ${name}_test_images[${prefix}_TEST_VECTORS][${imageLength}] = {
${rows(images, imageLength)}
};

static const int8_t ${name}_test_logits[${prefix}_TEST_VECTORS][${prefix}_CLASSES] = {
${rows(logits, classes.length)}
};

#endif
`;
}

/** `main.c` */
export function mainFile({ name, origin }: CodeOptions): string {
  const prefix = macro(name);
  return `${head(origin)}

/* Classifies the test images, and says whether the logits are what they must be: an example, and a check of a compiler or a board. */
#include "${name}.h"
#include "${name}_test_vectors.h"

#include <stdio.h>
#include <string.h>

int main(void)
{
    int i, right = 0;
    for (i = 0; i < ${prefix}_TEST_VECTORS; i++) {
        int8_t logits[${prefix}_CLASSES];
        const int best = ${name}_classify(${name}_test_images[i], logits);
        const int same = memcmp(logits, ${name}_test_logits[i], sizeof logits) == 0;
        printf("image %d: %s, %s\\n", i, ${name}_classes[best], same ? "as expected" : "NOT the expected logits");
        right += same;
    }
    printf("%d of %d images gave the expected logits\\n", right, ${prefix}_TEST_VECTORS);
    return right == ${prefix}_TEST_VECTORS ? 0 : 1;
}
`;
}

/** `Makefile` */
export function makefile({ name, origin }: CodeOptions): string {
  return `${origin.map((line) => `# ${line}`).join('\n')}
#
#   make check       compiles for this machine and tries the test images
#   make clean ${name}.o CC=arm-none-eabi-gcc CFLAGS='-O2 -mcpu=cortex-m4 -mthumb'
#                    compiles for a board; make clean before the next check

CFLAGS ?= -O2
WARNINGS = -std=c99 -Wall -Wextra -Wpedantic -Wconversion

check: ${name}_test
\t./${name}_test

${name}_test: main.o ${name}.o
\t$(CC) $(CFLAGS) -o $@ main.o ${name}.o

${name}.o: ${name}.c ${name}.h
\t$(CC) $(WARNINGS) $(CFLAGS) -c -o $@ ${name}.c

main.o: main.c ${name}.h ${name}_test_vectors.h
\t$(CC) $(WARNINGS) $(CFLAGS) -c -o $@ main.c

clean:
\trm -f ${name}_test main.o ${name}.o

.PHONY: check clean
`;
}
