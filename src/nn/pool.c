/* Pooling 2x2 with stride 2; an odd last row or column is left out (PyTorch's floor). */
#include "nn/fetch.h"
#include "nn/op.h"

#include <stdint.h>
#include <string.h>

static int add(struct graph *g, int x, const struct op *op)
{
    return graph_add(
        g, &(struct node_spec){
               .op = op, .nin = 1, .in = {x}, .halvings = 1, .channels = graph_channels(g, x)});
}

int nn_maxpool(struct graph *g, int x)
{
    return add(g, x, &op_maxpool);
}
int nn_avgpool(struct graph *g, int x)
{
    return add(g, x, &op_avgpool);
}

static int pool_infer(struct node *n, struct err *e)
{
    const struct shape x = n->x[0];
    if (x.h < 2 || x.w < 2)
        return err_set(e, ERR_DATA, "a map of %d x %d cannot be halved: the images are too small",
                       x.h, x.w);
    n->y[0].h = x.h / 2;
    n->y[0].w = x.w / 2;
    return 0;
}

/* The four inputs of output row r (of N H/2) start at row[0], row[0] + C, row[1], row[1] + C. */
static size_t first_input(const struct node *n, int r)
{
    const struct shape x = n->x[0], y = n->y[0];
    return ((size_t)(r / y.h) * (size_t)x.h + (size_t)(r % y.h) * 2) * (size_t)x.w * (size_t)x.c;
}

/* What pooling does not reach: an odd last column of both rows, and an odd last row of the image.
 */
static void clear_rest(const struct node *n, int r, float *row0)
{
    const struct shape x = n->x[0], y = n->y[0];
    const size_t stride = (size_t)x.w * (size_t)x.c, used = 2 * (size_t)y.w * (size_t)x.c;
    for (int a = 0; a < 2; a++)
        memset(row0 + (size_t)a * stride + used, 0, (stride - used) * sizeof *row0);
    if (x.h % 2 && r % y.h == y.h - 1) memset(row0 + 2 * stride, 0, stride * sizeof *row0);
}

/* --- max: keeps which of the four won, a byte each --- */

static int max_plan(struct node *n, struct err *e)
{
    (void)e;
    n->need.keep = n->backward ? shape_len(n->y[0]) : 0;
    return 0;
}

/* One output pixel; x[0..3] are the four input pixels in row order. The first largest wins, as in
 * PyTorch, and so does a NaN. `won` may be NULL. */
static void max_pixel(int channels, const float *const x[4], float *restrict y,
                      unsigned char *restrict won)
{
    const float *restrict p0 = x[0], *restrict p1 = x[1], *restrict p2 = x[2], *restrict p3 = x[3];
#pragma omp simd
    for (int c = 0; c < channels; c++) {
        float v = p0[c];
        v = p1[c] > v || p1[c] != p1[c] ? p1[c] : v;
        v = p2[c] > v || p2[c] != p2[c] ? p2[c] : v;
        v = p3[c] > v || p3[c] != p3[c] ? p3[c] : v;
        y[c] = v;
    }
    if (!won) return;
#pragma omp simd
    for (int c = 0; c < channels;
         c++) { /* a NaN equals nothing: the last pixel gets its gradient */
        const int not0 = p0[c] != y[c], not1 = not0 & (p1[c] != y[c]),
                  not2 = not1 & (p2[c] != y[c]);
        won[c] = (unsigned char)(not0 + not1 + not2);
    }
}

static void max_forward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t channels = (size_t)y.c, stride = (size_t)n->x[0].w * channels;
    unsigned char *won = n->backward ? io->keep : NULL;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++) {
        const float *a = io->x[0] + first_input(n, r), *b = a + stride;
        for (int j = 0; j < y.w; j++, a += 2 * channels, b += 2 * channels) {
            const size_t to = ((size_t)r * (size_t)y.w + (size_t)j) * channels;
            fetch_to_read(a, 2 * channels);
            fetch_to_read(b, 2 * channels);
            fetch_to_write(io->y[0] + to, channels);
            max_pixel(y.c, (const float *const[]){a, a + channels, b, b + channels}, io->y[0] + to,
                      won ? won + to : NULL);
        }
    }
}

/* x or 0, without a branch: who wins is random, and few channels leave vectors partly empty. */
static inline float pick(float x, bool take)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= -(uint32_t)take;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void max_pixel_back(int channels, const float *restrict dy,
                           const unsigned char *restrict won, float *restrict a, float *restrict b)
{
    float *restrict a1 = a + channels, *restrict b1 = b + channels;
#pragma omp simd
    for (int c = 0; c < channels; c++) {
        const int k = won[c];
        const float d = dy[c];
        a[c] = pick(d, k == 0);
        a1[c] = pick(d, k == 1);
        b[c] = pick(d, k == 2);
        b1[c] = pick(d, k == 3);
    }
}

static void max_backward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t channels = (size_t)y.c, stride = (size_t)n->x[0].w * channels;
    const unsigned char *won = io->keep;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++) {
        float *a = io->dx[0] + first_input(n, r);
        clear_rest(n, r, a);
        for (int j = 0; j < y.w; j++, a += 2 * channels) {
            const size_t from = ((size_t)r * (size_t)y.w + (size_t)j) * channels;
            fetch_to_write(a, 2 * channels);
            fetch_to_write(a + stride, 2 * channels);
            max_pixel_back(y.c, io->dy[0] + from, won + from, a, a + stride);
        }
    }
}

const struct op op_maxpool = {.name = "maxpool",
                              .nout = 1,
                              .infer = pool_infer,
                              .plan = max_plan,
                              .forward = max_forward,
                              .backward = max_backward};

/* --- average --- */

static void avg_forward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t stride = (size_t)n->x[0].w * (size_t)y.c, len = (size_t)y.w * (size_t)y.c;
    const int channels = y.c;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++)
        for (int j = 0; j < y.w; j++) {
            const float *a = io->x[0] + first_input(n, r) + (size_t)(2 * j * channels),
                        *b = a + stride;
            float *to = io->y[0] + (size_t)r * len + (size_t)(j * channels);
            fetch_to_read(a, 2 * (size_t)channels);
            fetch_to_read(b, 2 * (size_t)channels);
            fetch_to_write(to, (size_t)channels);
#pragma omp simd
            for (int c = 0; c < channels; c++)
                to[c] = 0.25f * (a[c] + a[c + channels] + b[c] + b[c + channels]);
        }
}

static void avg_backward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t stride = (size_t)n->x[0].w * (size_t)y.c, len = (size_t)y.w * (size_t)y.c;
    const int channels = y.c;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++) {
        float *row = io->dx[0] + first_input(n, r);
        for (int j = 0; j < y.w; j++) {
            const float *dy = io->dy[0] + (size_t)r * len + (size_t)(j * channels);
            float *a = row + (size_t)(2 * j * channels), *b = a + stride;
            fetch_to_write(a, 2 * (size_t)channels);
            fetch_to_write(b, 2 * (size_t)channels);
#pragma omp simd
            for (int c = 0; c < channels; c++)
                a[c] = a[c + channels] = b[c] = b[c + channels] = 0.25f * dy[c];
        }
        clear_rest(n, r, row);
    }
}

const struct op op_avgpool = {.name = "avgpool",
                              .nout = 1,
                              .infer = pool_infer,
                              .forward = avg_forward,
                              .backward = avg_backward};
