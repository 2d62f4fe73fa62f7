/* Maps of float32 pixels as the factors of bfloat16 products: conversion, and the layouts of
 * bf16_product.h. No state, no memory, no threads. */
#pragma once

#include "nn/bf16_product.h"

/* A map (N,H,W,C) whose channels come from one or two places: the halves of a joined map, or, for
 * a transposed convolution, the two rows of y below a pixel of x. Distances in floats. */
struct bf16_norm {   /* and ReLU, to be applied (norm_piece.h) */
    const float *at; /* means, scales and shifts, `tile` of each, 3 `tile` from image to image */
    size_t tile;     /* whole columns of 16, and whole pixels */
    float slope;
};
struct bf16_run {
    const float *at;
    const float
        *sign; /* or NULL: what has passed a ReLU of `slope`, to pass `at` back through it */
    int len;   /* channels */
    size_t image, row, pixel;
    struct bf16_norm norm; /* of `at`; NULL: none */
};
enum { BF16_MAP_MOST = 1 << 12 }; /* channels, of a map that is summed */
struct bf16_map {
    int n, h, w, c; /* c: of all runs */
    int runs;
    struct bf16_run run[2];
    float slope;
};

struct bf16_map bf16_map_plain(int n, int h, int w, int c, const float *at);
/* The channels of a, then those of b. */
struct bf16_map bf16_map_joined(int n, int h, int w, int ca, const float *a, int cb,
                                const float *b);
/* (N,2H,2W,C) as (N,H,W,4C), channel (2a+b) C + c being that of pixel (2i+a, 2j+b). */
struct bf16_map bf16_map_up(int n, int h, int w, int c, const float *at);
void bf16_map_relu(struct bf16_map *m, float slope, const float *y); /* y as the map */

/* Rows are numbered through the batch, with `gap` (0 or 1) empty rows before each image and after
 * the last: an image's neighbours above and below are zeros. Likewise a row of the layouts below
 * has `gap` zeros before it, shared with the end of the row before. */
int bf16_map_rows(const struct bf16_map *m, int gap);

/* Pixels of rows from, …, from + rows - 1 one after the other, each of c numbers:
 * number (row - from) (w + gap) + gap + column. Low halves (where `low`) lie that far behind.
 * Before the first row comes the
 * gap if this is the `begin`; behind the last come zeros, as far as bf16_map_pixels_len says, if
 * this is the `end`. Adds to sum[c], when not NULL, the sum of each channel over all rows but the
 * first and last `halo`. */
void bf16_map_pixels(const struct bf16_map *m, int gap, int from, int rows, bool begin, bool end,
                     bf16 *to, size_t low, int halo, double *sum);
size_t bf16_map_pixels_len(const struct bf16_map *m, int gap, int rows);

/* Channels from, …, from + channels - 1 of m. */
struct bf16_map bf16_map_part(const struct bf16_map *m, int from, int channels);

/* For the gradient of weights the summands are pixels. Pixels lie `pixel` numbers apart, as
 * bf16_map_pixels made them; of each, `lanes` (at most 16) numbers are taken.
 *
 * As factor b, in pairs: number 32 k + 2 l + i of `even` is that of lane l of pixel 2k + i, and of
 * `odd` (or NULL) of pixel 2k + 1 + i. */
void bf16_map_pairs(const bf16 *pixels, size_t pixel, int lanes, int pairs, bf16 *even, bf16 *odd);
/* As factor a, turned: lane l of pixel p goes to to[l channel + p], zeros behind `count` pixels, up
 * to `all`. */
void bf16_map_turned(const bf16 *pixels, size_t pixel, int lanes, int count, int all, bf16 *to,
                     size_t channel);

/* Weights as factor b: 16 columns of two summands. Column k < columns of a summand is at
 * summand + column[k]; a summand may be NULL: zeros. */
void bf16_map_weights(const float *even, const float *odd, const int *column, int columns, bf16 *to,
                      size_t low);
