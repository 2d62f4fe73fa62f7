/* Pooling 2x2 with stride 2; an odd last row or column is left out (PyTorch's floor). */
#include "nn/op.h"

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

/* --- max: keeps which of the four won, a byte each
 * ------------------------------------------------ */

static int max_plan(struct node *n, struct err *e)
{
    (void)e;
    n->need.keep = n->backward ? shape_len(n->y[0]) : 0;
    return 0;
}

static void max_row(const float *a, const float *b, int width, int channels, float *y,
                    unsigned char *won)
{
    for (int j = 0; j < width; j++)
#pragma omp simd
        for (int c = 0; c < channels;
             c++) { /* the first largest wins, as in PyTorch; so does a NaN */
            const int at = 2 * j * channels + c;
            const float v1 = a[at + channels], v2 = b[at], v3 = b[at + channels];
            float v = a[at];
            unsigned char k = 0;
            k = v1 > v || v1 != v1 ? 1 : k;
            v = v1 > v || v1 != v1 ? v1 : v;
            k = v2 > v || v2 != v2 ? 2 : k;
            v = v2 > v || v2 != v2 ? v2 : v;
            k = v3 > v || v3 != v3 ? 3 : k;
            v = v3 > v || v3 != v3 ? v3 : v;
            y[j * channels + c] = v;
            if (won) won[j * channels + c] = k;
        }
}

static void max_forward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t stride = (size_t)n->x[0].w * (size_t)y.c, len = (size_t)y.w * (size_t)y.c;
    unsigned char *won = n->backward ? io->keep : NULL;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++) {
        const float *a = io->x[0] + first_input(n, r);
        max_row(a, a + stride, y.w, y.c, io->y[0] + (size_t)r * len,
                won ? won + (size_t)r * len : NULL);
    }
}

static void max_backward(const struct node *n, const struct io *io)
{
    const struct shape y = n->y[0];
    const size_t stride = (size_t)n->x[0].w * (size_t)y.c, len = (size_t)y.w * (size_t)y.c;
    const unsigned char *won = io->keep;
    const int channels = y.c;
#pragma omp parallel for
    for (int r = 0; r < y.n * y.h; r++) {
        float *a = io->dx[0] + first_input(n, r), *b = a + stride;
        for (int j = 0; j < y.w; j++) {
            const float *dy = io->dy[0] + (size_t)r * len + (size_t)(j * channels);
            const unsigned char *k = won + (size_t)r * len + (size_t)(j * channels);
            float *a0 = a + (size_t)(2 * j * channels), *b0 = b + (size_t)(2 * j * channels);
#pragma omp simd
            for (int c = 0; c < channels; c++) {
                a0[c] = k[c] == 0 ? dy[c] : 0.0f;
                a0[c + channels] = k[c] == 1 ? dy[c] : 0.0f;
                b0[c] = k[c] == 2 ? dy[c] : 0.0f;
                b0[c + channels] = k[c] == 3 ? dy[c] : 0.0f;
            }
        }
        clear_rest(n, r, a);
    }
}

const struct op op_maxpool = {.name = "maxpool",
                              .nout = 1,
                              .infer = pool_infer,
                              .plan = max_plan,
                              .forward = max_forward,
                              .backward = max_backward};

/* --- average
 * --------------------------------------------------------------------------------------- */

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
