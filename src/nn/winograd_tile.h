/* The parts of a Winograd convolution F(4x4, 3x3) (Lavin & Gray, CVPR 2016): transforms of tiles
 * and the small matrix products between them. With the points 0, ±1/√2, ±√2, ∞ of the Toom-Cook
 * scheme y = A^T [ (G w G^T) * (B^T x B) ] A      x 6x6, w 3x3, y 4x4 which round several times
 * less than 0, ±1, ±2, ∞. The gradient of w is the adjoint dw = G^T [ sum over tiles (B^T x B) * (A
 * dy A^T) ] G. Transformed tiles are stored as (36, blocks of 16 channels, tiles, 16), so that
 * every vector is a cache line and the products have strides known to the compiler. No state, no
 * memory, no threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { WINO_POINTS = 36, WINO_LANES = 16 };

/* A map (N,H,W,C), cut into tiles of 4x4 pixels, numbered along rows, then images. It may be two
 * maps of `first` and of C - first channels, joined; of one alone `first` is C. */
struct wino_map {
    int n, h, w, c, first;
};
int wino_tiles(const struct wino_map *m);
int wino_blocks(int channels); /* of 16 */

/* Where transformed tiles lie: channel block b of tile t at point p is
 * at + p * point + (b * tiles + t) * 16. A last block of at most 8 channels is narrow: in it tiles
 * are `tail` floats apart. */
struct wino_layout {
    size_t point, tiles; /* floats from point to point (an odd number of lines); tiles of a block */
    int full, tail;      /* blocks of 16; 4 or 8 channels of a narrow block, or 0 */
};
struct wino_layout wino_layout(int channels, int tiles);
size_t wino_layout_len(struct wino_layout l); /* floats */

/* What is read lies behind the ReLU that gave y, and is passed back through it: times slope where
 * y is not > 0. y NULL: there is none, as for joined maps. */
struct wino_relu {
    const float *y;
    float slope;
};

/* Of tiles from, …, from + count - 1 of m: B^T x B into places `place`, … of v; the channels that
 * fill the last block up are zero. Places up to a multiple of 4 may be overwritten. */
void wino_input(const struct wino_map *m, const float *const x[2], struct wino_relu relu, int from,
                int count, struct wino_layout l, int place, float *v);
/* A dy A^T likewise, of one map; sum (16 floats a block) takes the sum of dy over these tiles. */
void wino_output_back(const struct wino_map *m, const float *dy, struct wino_relu relu, int from,
                      int count, struct wino_layout l, int place, float *v, float *sum);
/* A^T m A of places `place`, … plus bias (NULL: none), through a ReLU of `slope` (1: none), to
 * tiles from, … of y, cut off at the edges of the map. A joined map that is NULL is left out. */
void wino_output(const struct wino_map *m, const float *v, struct wino_layout l, int place,
                 int from, int count, const float *bias, float slope, float *const y[2]);

/* Weights at one point are (blocks of 16 outputs, inputs, 16). wino_weights writes G w G^T for one
 * block of outputs and one input: the 9 taps of lane k are at w + k * lane, tap t at position t, or
 * 8 - t when `rotated`. wino_weights_back is its adjoint: (16 lanes at each point) to the taps. */
void wino_weights(const float *w, size_t lane, int lanes, bool rotated, size_t point, float *u);
void wino_weights_back(const float *du, size_t point, size_t lane, int lanes, float *dw);

/* At one point: m (tiles, out) = v (tiles, in) u (in, out). Sums run over `in` in order, whatever
 * the number of tiles. Tiles are rounded up to a multiple of 4, which the layout must hold. */
void wino_product(int tiles, int in, int out, const float *v, struct wino_layout lv, const float *u,
                  float *m, struct wino_layout lm);
/* At one point: du (in, out) = or += v^T (in, tiles) d (tiles, out); du has rows of
 * 16 * wino_blocks(out), as many as 16 * wino_blocks(in). */
void wino_product_back(int tiles, int in, int out, const float *v, struct wino_layout lv,
                       const float *d, struct wino_layout ld, bool add, float *du);
/* Of these the rows of input block `in`, in columns of output blocks `out` and out + 1, an even
 * number and the next: (16, 32) to du. Rows and columns beyond the blocks there are stay as they
 * are. */
void wino_product_back_part(int tiles, int in, int out, const float *v, struct wino_layout lv,
                            const float *d, struct wino_layout ld, float *du);
