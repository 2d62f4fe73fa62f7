/* Images from a closed form, the same as scripts/make-golden-eval.py makes: a tent with texture,
 * all values multiples of 1/256. The values start at -`offset`: with 0.5 the
 * image looks z-scored, with -0.5 like a magnitude image whose background is not black. */
#pragma once

#include <stddef.h>

static inline int least(int a, int b)
{
    return a < b ? a : b;
}

static inline void make_reference(float *x, int h, int w, double offset)
{
    for (long i = 0; i < h; i++)
        for (long j = 0; j < w; j++) {
            long tent = least((int)i, h - 1 - (int)i) + least((int)j, w - 1 - (int)j);
            long texture = (7 * i * i + 11 * j * j + 13 * i * j + 17 * i + 19 * j) % 64;
            x[i * w + j] = (float)((double)(8 * tent + texture) / 256.0 - offset);
        }
}

static inline void make_image(float *x, int h, int w, double offset)
{
    make_reference(x, h, w, offset);
    for (long i = 0; i < h; i++)
        for (long j = 0; j < w; j++)
            x[i * w + j] += (float)((5 * i * i + 3 * j * j + 29 * i * j + i) % 33 - 16) / 256.0f;
}
