/** The functions in C that the layers of a network call: each is written only where something needs it. */

/** A function (or type) and what it calls, by name. */
interface Kernel {
  readonly needs: readonly KernelName[];
  readonly text: string;
}

export type KernelName = keyof typeof kernelTable;

const kernelTable = {
  simd: {
    needs: [],
    text: `/* Cortex-M4, M7, M33 and others multiply two pairs of 16-bit integers in one instruction. */
#if defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_FEATURE_MVE)
#include <arm_acle.h>
#define TWO_PRODUCTS 1
#endif`,
  },

  bytes: {
    needs: ['simd'],
    text: `#ifdef TWO_PRODUCTS
static inline int32_t load_four(const int8_t *from)
{
    int32_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

/* Bytes 0 and 2, and bytes 1 and 3, as pairs of 16-bit integers. */
static inline int32_t even_bytes(int32_t bytes)
{
    return __sxtb16(bytes);
}

static inline int32_t odd_bytes(int32_t bytes)
{
#ifdef __GNUC__
    int32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
#else
    return __sxtb16((int32_t)((uint32_t)bytes >> 8));
#endif
}
#endif`,
  },

  scaled: {
    needs: [],
    text: `/*
 * What scaled, below, is to be where the product may be within a float32's rounding of the half between upper - 1 and upper: then it becomes that
 * half, and the even integer of the two.
 */
static int32_t scaled_near_half(int32_t sum, int32_t multiplier, int shift, int32_t upper)
{
    const int32_t halves = 2 * upper - 1;
    const int64_t beyond = (int64_t)sum * multiplier - halves * ((int64_t)1 << (30 + shift));
    /* Half of the last of 24 bits, of a product of at least one half; it doubles with every power of two. */
    int64_t near = (int64_t)1 << (6 + shift);
    int32_t size = halves < 0 ? -halves : halves;
    if (size == 1 && (beyond < 0) == (halves > 0)) near /= 2;
    for (; size > 1; size /= 2) near *= 2;
    if (-near <= beyond && beyond <= near) return upper - (upper & 1);
    return beyond < 0 ? upper - 1 : upper;
}

/*
 * sum * multiplier / 2^(31 + shift) as if the product were a float32, to the nearest integer, of two the even one. That is the exact product to
 * the nearest integer but close to halves, which all have the same bits: about one sum in 2^(shift - 1) is looked at more closely. Sums are
 * below 2^30.
 */
static inline int32_t scaled(int32_t sum, int32_t multiplier, int shift)
{
    /* One more than half of 2^shift, so that what is close to a half has a fraction of 0 or 1. */
    const int32_t half = ((int32_t)1 << (shift - 1)) + 1, fraction = 2 * half - 4;
    const int32_t high = (int32_t)((int64_t)(2 * sum) * multiplier >> 32) + half;
    const int32_t value = high >> shift;
    return (high & fraction) == 0 ? scaled_near_half(sum, multiplier, shift, value) : value;
}`,
  },

  between: {
    needs: [],
    text: `static inline int8_t between(int32_t value, int32_t low, int32_t high)
{
    return (int8_t)(value < low ? low : value > high ? high : value);
}`,
  },

  convolution: {
    needs: ['scaled', 'between'],
    text: `/* A convolution, or a dense layer: its window covers the whole input. */
typedef struct {
    int in_height, in_width, in_channels;
    int out_height, out_width, filters;
    int kernel_height, kernel_width, stride_down, stride_right;
    int top, left;           /* padding */
    int groups;
    int out_stride;          /* bytes from a pixel of the output to the next */
    int flip;                /* -128 where the input is an image, whose bytes are the integers plus 128; else 0 */
    int padding;             /* what the input has outside, before it is flipped */
    int32_t out_zero, low, high;
    const int8_t *weights;
    const int32_t *bias;     /* less the sum of the weights times the input's zero point */
    const int32_t *multipliers;
    const uint8_t *shifts;
} convolution;`,
  },

  activation: {
    needs: ['convolution'],
    text: `/* What a filter makes of its sum. */
static inline int8_t activation(const convolution *layer, int filter, int32_t sum)
{
    const int32_t value = scaled(sum + layer->bias[filter], layer->multipliers[filter], layer->shifts[filter]);
    return between(value + layer->out_zero, layer->low, layer->high);
}`,
  },

  copyWindow: {
    needs: ['convolution'],
    text: `/* Copies the pixels that the window sees whose first pixel is (row, column). */
static void copy_window(const convolution *layer, const int8_t *in, int row, int column, int8_t *window)
{
    const int channels = layer->in_channels;
    const int width = layer->kernel_width * channels;
    const int missing = column < 0 ? -column : 0;                                  /* columns before the image */
    const int present = layer->in_width - column < layer->kernel_width ? layer->in_width - column : layer->kernel_width;
    const int first = missing * channels, end = present * channels;
    int8_t *target = window;
    int i;
    for (i = 0; i < layer->kernel_height; i++, target += width) {
        const int y = row + i;
        if (y < 0 || y >= layer->in_height || first >= end) {
            memset(target, layer->padding, (size_t)width);
            continue;
        }
        if (first > 0) memset(target, layer->padding, (size_t)first);
        memcpy(target + first, in + (y * layer->in_width + column + missing) * channels, (size_t)(end - first));
        if (end < width) memset(target + end, layer->padding, (size_t)(width - end));
    }
    if (layer->flip) {
        for (i = 0; i < width * layer->kernel_height; i++) window[i] = (int8_t)(window[i] ^ layer->flip);
    }
}`,
  },

  windows: {
    needs: ['copyWindow', 'bytes'],
    text: `/*
 * Two windows are multiplied with two filters at a time, so that every number is used twice once it is loaded. Where two products are one
 * instruction, the windows are pairs of 16-bit integers: the even and the odd bytes of four of the first window, then those of the second.
 */
#ifdef TWO_PRODUCTS
static int32_t *put_pairs(const int8_t *bytes, int length, int32_t *pairs)
{
    const int8_t *const end = bytes + length;
    for (; bytes < end; bytes += 4, pairs += 4) {
        const int32_t four = load_four(bytes);
        pairs[0] = even_bytes(four);
        pairs[1] = odd_bytes(four);
    }
    return pairs;
}

static int32_t *put_padding(int padding, int length, int32_t *pairs)
{
    for (; length > 0; length -= 4, pairs += 4) pairs[0] = pairs[1] = (int32_t)((uint32_t)(padding & 0xffff) * 0x10001u);
    return pairs;
}

/* Window 0 or 1; there is room for the bytes of one behind the pairs of both. */
static void put_window(const convolution *layer, const int8_t *in, int row, int column, int which, int32_t *windows)
{
    const int channels = layer->in_channels;
    const int width = layer->kernel_width * channels;
    int32_t *pairs = windows + 2 * which;
    int i;
    if (layer->flip || channels % 4 != 0) {
        const int length = layer->kernel_height * width;
        const int padded = (length + 3) / 4 * 4;
        int8_t *const bytes = (int8_t *)(windows + padded);
        memset(bytes + padded - 4, 0, 4);
        copy_window(layer, in, row, column, bytes);
        put_pairs(bytes, padded, pairs);
        return;
    }
    for (i = 0; i < layer->kernel_height; i++) {
        const int y = row + i;
        const int missing = column < 0 ? -column : 0;
        const int present = layer->in_width - column < layer->kernel_width ? layer->in_width - column : layer->kernel_width;
        if (y < 0 || y >= layer->in_height || missing >= present) {
            pairs = put_padding(layer->padding, width, pairs);
            continue;
        }
        pairs = put_padding(layer->padding, missing * channels, pairs);
        pairs = put_pairs(in + (y * layer->in_width + column + missing) * channels, (present - missing) * channels, pairs);
        pairs = put_padding(layer->padding, width - present * channels, pairs);
    }
}

/* Adds the products of both windows with two filters to their biases. Up to three bytes behind a filter are read, and are of no matter. */
static inline void dot_two_by_two(const int32_t *windows, const int8_t *w0, const int8_t *w1, int length, int32_t sums[4])
{
    int32_t s00 = sums[0], s01 = sums[1], s10 = s00, s11 = s01;
    for (; length > 0; length -= 4, windows += 4, w0 += 4, w1 += 4) {
        const int32_t a_even = windows[0], a_odd = windows[1], b_even = windows[2], b_odd = windows[3];
        const int32_t p = load_four(w0), q = load_four(w1);
        const int32_t p_even = even_bytes(p), p_odd = odd_bytes(p), q_even = even_bytes(q), q_odd = odd_bytes(q);
        s00 = __smlad(a_odd, p_odd, __smlad(a_even, p_even, s00));
        s10 = __smlad(b_odd, p_odd, __smlad(b_even, p_even, s10));
        s01 = __smlad(a_odd, q_odd, __smlad(a_even, q_even, s01));
        s11 = __smlad(b_odd, q_odd, __smlad(b_even, q_even, s11));
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[2] = s10;
    sums[3] = s11;
}
#else
static void put_window(const convolution *layer, const int8_t *in, int row, int column, int which, int32_t *windows)
{
    const int length = layer->kernel_height * layer->kernel_width * layer->in_channels;
    copy_window(layer, in, row, column, (int8_t *)windows + which * length);
}

static inline void dot_two_by_two(const int32_t *windows, const int8_t *w0, const int8_t *w1, int length, int32_t sums[4])
{
    const int8_t *x0 = (const int8_t *)windows, *x1 = x0 + length;
    int32_t s00 = sums[0], s01 = sums[1], s10 = s00, s11 = s01;
    int k;
    for (k = 0; k < length; k++) {
        s00 += x0[k] * w0[k];
        s01 += x0[k] * w1[k];
        s10 += x1[k] * w0[k];
        s11 += x1[k] * w1[k];
    }
    sums[0] = s00;
    sums[1] = s01;
    sums[2] = s10;
    sums[3] = s11;
}
#endif`,
  },

  convolve: {
    needs: ['windows'],
    text: `/* Windows are copied first, so that the output may lie over what has been read. */
static void convolve(const convolution *layer, const int8_t *in, int8_t *out, int32_t *windows)
{
    const int length = layer->kernel_height * layer->kernel_width * layer->in_channels;
    const int pixels = layer->out_height * layer->out_width, filters = layer->filters, out_stride = layer->out_stride;
    const int32_t zero = layer->out_zero, low = layer->low, high = layer->high;
    int pixel, row = 0, column = 0;
    for (pixel = 0; pixel < pixels; pixel += 2, out += 2 * out_stride) {
        /* The last of an odd number of pixels is its own neighbour, and so is the last of the filters. */
        const int stride = pixel + 1 < pixels ? out_stride : 0;
        const int8_t *weights = layer->weights;
        int which, filter;
        for (which = 0; which < 2; which++) {
            put_window(layer, in, row * layer->stride_down - layer->top, column * layer->stride_right - layer->left, which, windows);
            if (pixel + which + 1 < pixels && ++column == layer->out_width) {
                column = 0;
                row++;
            }
        }
        for (filter = 0; filter < filters; filter += 2, weights += 2 * length) {
            const int step = filter + 1 < filters;
            const int32_t m0 = layer->multipliers[filter], m1 = layer->multipliers[filter + step];
            const int shift0 = layer->shifts[filter], shift1 = layer->shifts[filter + step];
            int8_t *const first = out + filter, *const second = first + stride;
            int32_t sums[4];
            sums[0] = layer->bias[filter];
            sums[1] = layer->bias[filter + step];
            dot_two_by_two(windows, weights, weights + step * length, length, sums);
            first[0] = between(scaled(sums[0], m0, shift0) + zero, low, high);
            first[step] = between(scaled(sums[1], m1, shift1) + zero, low, high);
            second[0] = between(scaled(sums[2], m0, shift0) + zero, low, high);
            second[step] = between(scaled(sums[3], m1, shift1) + zero, low, high);
        }
    }
}`,
  },

  convolveDepthwise: {
    needs: ['copyWindow', 'activation', 'bytes'],
    text: `/* One channel for each filter; weights are [kernel height][kernel width][filters]. */
static void convolve_depthwise(const convolution *layer, const int8_t *in, int8_t *out, int32_t *windows)
{
    int8_t *const window = (int8_t *)windows;
    const int taps = layer->kernel_height * layer->kernel_width;
    const int channels = layer->in_channels, filters = layer->filters;
    const int filters_per_channel = filters / channels;
#ifdef TWO_PRODUCTS
    /* So many filters go four at a time, the others one by one. */
    const int fours = filters_per_channel == 1 ? filters & ~3 : 0;
#else
    const int fours = 0;
#endif
    int row, column;
    for (row = 0; row < layer->out_height; row++) {
        for (column = 0; column < layer->out_width; column++, out += layer->out_stride) {
            int filter, tap;
            copy_window(layer, in, row * layer->stride_down - layer->top, column * layer->stride_right - layer->left, window);
#ifdef TWO_PRODUCTS
            for (filter = 0; filter < fours; filter += 4) {
                const int8_t *x = window + filter, *w = layer->weights + filter;
                int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                for (tap = 0; tap < taps; tap++, x += channels, w += filters) {
                    const int32_t a = load_four(x), b = load_four(w);
                    const int32_t a_even = even_bytes(a), a_odd = odd_bytes(a), b_even = even_bytes(b), b_odd = odd_bytes(b);
                    s0 = __smlabb(a_even, b_even, s0);
                    s1 = __smlabb(a_odd, b_odd, s1);
                    s2 = __smlatt(a_even, b_even, s2);
                    s3 = __smlatt(a_odd, b_odd, s3);
                }
                out[filter] = activation(layer, filter, s0);
                out[filter + 1] = activation(layer, filter + 1, s1);
                out[filter + 2] = activation(layer, filter + 2, s2);
                out[filter + 3] = activation(layer, filter + 3, s3);
            }
#endif
            for (filter = fours; filter < filters; filter++) {
                const int8_t *x = window + filter / filters_per_channel, *w = layer->weights + filter;
                int32_t sum = 0;
                for (tap = 0; tap < taps; tap++, x += channels, w += filters) sum += *x * *w;
                out[filter] = activation(layer, filter, sum);
            }
        }
    }
}`,
  },

  convolveGroups: {
    needs: ['copyWindow', 'activation', 'dot'],
    text: `/* Each group of filters sees a part of the channels. */
static void convolve_groups(const convolution *layer, const int8_t *in, int8_t *out, int32_t *windows)
{
    int8_t *const window = (int8_t *)windows;
    const int taps = layer->kernel_height * layer->kernel_width;
    const int channels = layer->in_channels / layer->groups;
    const int filters = layer->filters / layer->groups;
    int row, column, filter, tap;
    for (row = 0; row < layer->out_height; row++) {
        for (column = 0; column < layer->out_width; column++, out += layer->out_stride) {
            const int8_t *w = layer->weights;
            copy_window(layer, in, row * layer->stride_down - layer->top, column * layer->stride_right - layer->left, window);
            for (filter = 0; filter < layer->filters; filter++) {
                const int8_t *x = window + filter / filters * channels;
                int32_t sum = 0;
                for (tap = 0; tap < taps; tap++, x += layer->in_channels, w += channels) sum += dot(x, w, channels);
                out[filter] = activation(layer, filter, sum);
            }
        }
    }
}`,
  },

  dot: {
    needs: ['bytes'],
    text: `/* The sum of products of bytes that lie one after the other. */
static inline int32_t dot(const int8_t *a, const int8_t *b, int length)
{
    int32_t sum = 0;
    int k = 0;
#ifdef TWO_PRODUCTS
    for (; k + 4 <= length; k += 4) {
        const int32_t p = load_four(a + k), q = load_four(b + k);
        sum = __smlad(odd_bytes(p), odd_bytes(q), __smlad(even_bytes(p), even_bytes(q), sum));
    }
#endif
    for (; k < length; k++) sum += a[k] * b[k];
    return sum;
}`,
  },

  dense: {
    needs: ['activation', 'dot'],
    text: `/* All inputs, in the order in which they lie in memory, with every filter. */
static void dense(const convolution *layer, const int8_t *in, int8_t *out)
{
    const int length = layer->in_height * layer->in_width * layer->in_channels;
    const int8_t *w = layer->weights;
    int filter;
    for (filter = 0; filter < layer->filters; filter++, w += length) {
        out[filter] = activation(layer, filter, dot(in, w, length));
    }
}`,
  },

  pool: {
    needs: [],
    text: `typedef struct {
    int in_height, in_width, channels;
    int out_height, out_width;
    int kernel_height, kernel_width, stride_down, stride_right;
    int top, left; /* padding, which is not seen */
} pool;

/* The rows or columns of the image, from the first to before the end, that a window sees. */
static void seen(int start, int kernel, int extent, int *first, int *end)
{
    *first = start < 0 ? 0 : start;
    *end = start + kernel < extent ? start + kernel : extent;
}`,
  },

  maxPool: {
    needs: ['pool'],
    text: `static void max_pool(const pool *layer, const int8_t *in, int8_t *out)
{
    const int channels = layer->channels;
    int row, column, y, x, channel;
    for (row = 0; row < layer->out_height; row++) {
        for (column = 0; column < layer->out_width; column++, out += channels) {
            int top, bottom, left, right;
            seen(row * layer->stride_down - layer->top, layer->kernel_height, layer->in_height, &top, &bottom);
            seen(column * layer->stride_right - layer->left, layer->kernel_width, layer->in_width, &left, &right);
            memcpy(out, in + (top * layer->in_width + left) * channels, (size_t)channels);
            for (y = top; y < bottom; y++) {
                for (x = left; x < right; x++) {
                    const int8_t *pixel = in + (y * layer->in_width + x) * channels;
                    for (channel = 0; channel < channels; channel++) {
                        if (pixel[channel] > out[channel]) out[channel] = pixel[channel];
                    }
                }
            }
        }
    }
}`,
  },

  averagePool: {
    needs: ['pool'],
    text: `/* Rounded to the nearest, halves away from zero. */
static void average_pool(const pool *layer, const int8_t *in, int8_t *out)
{
    const int channels = layer->channels;
    int row, column, y, x, channel;
    for (row = 0; row < layer->out_height; row++) {
        for (column = 0; column < layer->out_width; column++, out += channels) {
            int top, bottom, left, right, count;
            seen(row * layer->stride_down - layer->top, layer->kernel_height, layer->in_height, &top, &bottom);
            seen(column * layer->stride_right - layer->left, layer->kernel_width, layer->in_width, &left, &right);
            count = (bottom - top) * (right - left);
            for (channel = 0; channel < channels; channel++) {
                int32_t sum = 0;
                for (y = top; y < bottom; y++) {
                    for (x = left; x < right; x++) sum += in[(y * layer->in_width + x) * channels + channel];
                }
                out[channel] = (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
            }
        }
    }
}`,
  },

  globalAverage: {
    needs: ['scaled', 'between'],
    text: `static void global_average(const int8_t *in, int pixels, int channels, int32_t zero, int32_t multiplier, int shift,
                           int32_t out_zero, int8_t *out)
{
    int channel, pixel;
    for (channel = 0; channel < channels; channel++) {
        int32_t sum = -pixels * zero;
        for (pixel = 0; pixel < pixels; pixel++) sum += in[pixel * channels + channel];
        out[channel] = between(scaled(sum, multiplier, shift) + out_zero, -128, 127);
    }
}`,
  },

  add: {
    needs: ['between'],
    text: `typedef struct {
    int32_t zeros[2], multipliers[2];
    int shift;
    int32_t out_zero, low, high;
} addition;

/* Multipliers have 21 bits, so that the sum fits into 32; what is left of the zero points and of rounding is the same for all. */
static void add(const addition *layer, const int8_t *a, const int8_t *b, int length, int8_t *out)
{
    const int32_t a_multiplier = layer->multipliers[0], b_multiplier = layer->multipliers[1];
    const int32_t zero = layer->out_zero, low = layer->low, high = layer->high;
    const int shift = layer->shift;
    const int32_t start = ((int32_t)1 << (shift - 1)) - layer->zeros[0] * a_multiplier - layer->zeros[1] * b_multiplier;
    int i;
    for (i = 0; i < length; i++) {
        const int32_t sum = start + a[i] * a_multiplier + b[i] * b_multiplier;
        out[i] = between((sum >> shift) + zero, low, high);
    }
}`,
  },

  multiply: {
    needs: ['scaled', 'between'],
    text: `typedef struct {
    int32_t zeros[2];
    int32_t multiplier;
    int shift;
    int32_t out_zero;
} product;

/* The second has as many pixels as the first, or one. */
static void multiply(const product *layer, const int8_t *a, const int8_t *b, int pixels, int channels, int b_stride, int8_t *out)
{
    int pixel, channel;
    for (pixel = 0; pixel < pixels; pixel++, a += channels, b += b_stride, out += channels) {
        for (channel = 0; channel < channels; channel++) {
            const int32_t value = (a[channel] - layer->zeros[0]) * (b[channel] - layer->zeros[1]);
            out[channel] = between(scaled(value, layer->multiplier, layer->shift) + layer->out_zero, -128, 127);
        }
    }
}`,
  },

  copyChannels: {
    needs: [],
    text: `/* Copies all channels of each pixel to where pixels are \`stride\` bytes apart. */
static void copy_channels(const int8_t *in, int pixels, int channels, int8_t *out, int stride)
{
    int pixel;
    for (pixel = 0; pixel < pixels; pixel++) memcpy(out + pixel * stride, in + pixel * channels, (size_t)channels);
}`,
  },

  lookUp: {
    needs: [],
    text: `/* A function of each element, as a table of what -128 to 127 become. */
static void look_up(const int8_t *table, const int8_t *in, int length, int8_t *out)
{
    int i;
    for (i = 0; i < length; i++) out[i] = table[in[i] + 128];
}`,
  },

  copyImage: {
    needs: [],
    text: `/* Bytes less 128. */
static void copy_image(const uint8_t *image, int length, int8_t *out)
{
    int i;
    for (i = 0; i < length; i++) out[i] = (int8_t)(image[i] - 128);
}`,
  },
} as const satisfies Readonly<Record<string, { readonly needs: readonly string[]; readonly text: string }>>;

const kernels: Readonly<Record<KernelName, Kernel>> = kernelTable;

/** The functions that are asked for and those that they call, each once, in an order in which none is used before it is written. */
export function kernelText(wanted: Iterable<KernelName>): string {
  const all = new Set<KernelName>();
  const visit = (name: KernelName) => {
    kernels[name].needs.forEach(visit);
    all.add(name);
  };
  for (const name of wanted) visit(name);
  return [...all].map((name) => kernels[name].text).join('\n\n');
}
