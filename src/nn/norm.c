/* Group normalisation (Wu & He, ECCV 2018); with a group per channel, instance normalisation. Over
 * the H W C/G elements of a group of an image, with the biased variance v and eps 1e-5, xhat = (x -
 * m) / sqrt(v + eps),   y = gamma(c) xhat + beta(c); with g = gamma dy and means over the group, dx
 * = (g - mean(g) - xhat mean(g xhat)) / sqrt(v + eps). A ReLU that follows is part of the node:
 * backward finds the sign of y from x again, by the expression of forward. Sums are in double over
 * fixed pieces of an image, added in order.
 *
 * All loops run over `tiles`: as many pixels as make whole vectors, beside coefficients repeated as
 * often, so that any number of channels is as fast as any other. Eight tiles are a `block`; sums
 * over the rows of a block stay in registers. */
#include "nn/op.h"

#include <math.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

static const double EPS = 1e-5;
enum { TILE = 256, PIECE = 1 << 15 }; /* floats, at least */
enum { LANES = 16, ROWS = 8 };        /* floats of a column; tiles of a block */

struct norm_conf {
    int groups;
    bool affine;
};

static int add(struct graph *g, int x, const char *name, int groups, bool affine)
{
    const int channels = graph_channels(g, x);
    const struct norm_conf conf = {.groups = groups, .affine = affine};
    return graph_add(g,
                     &(struct node_spec){
                         .op = &op_norm,
                         .name = name,
                         .nin = 1,
                         .in = {x},
                         .channels = channels,
                         .nparams = affine ? 2 : 0,
                         .param = {{.suffix = "weight", .rank = 1, .dim = {channels}, .mean = 1.0f},
                                   {.suffix = "bias", .rank = 1, .dim = {channels}}},
                         .conf = &conf,
                         .conf_size = sizeof conf});
}

int nn_groupnorm(struct graph *g, int x, const char *name, int groups, bool affine)
{
    const int channels = graph_channels(g, x);
    if (groups < 1 || channels % groups)
        return graph_fail(g, "'%s': %d channels cannot be divided into %d groups", name, channels,
                          groups);
    return add(g, x, name, groups, affine);
}

int nn_instancenorm(struct graph *g, int x, const char *name, bool affine)
{
    return add(g, x, name, graph_channels(g, x), affine);
}

/* How an image of (H, W, C) is cut: `tile` floats (whole pixels, whole columns), `piece` floats
 * (whole blocks). */
struct cut {
    size_t len, tile, piece;
    int images, channels, groups, repeats, pieces;
};

static struct cut cut_of(const struct node *n)
{
    const struct norm_conf *f = n->conf;
    struct cut c = {.images = n->x[0].n, .channels = n->x[0].c, .groups = f->groups};
    c.len = shape_len(n->x[0]) / (size_t)c.images;
    int whole = LANES; /* pixels that make whole columns */
    while (whole > 1 && c.channels * (whole / 2) % LANES == 0)
        whole /= 2;
    c.repeats = (TILE + whole * c.channels - 1) / (whole * c.channels) * whole;
    c.tile = (size_t)c.repeats * (size_t)c.channels;
    const size_t block = ROWS * c.tile;
    c.piece = (PIECE + block - 1) / block * block;
    c.pieces = (int)((c.len + c.piece - 1) / c.piece);
    return c;
}

/* Scratch: for each image and piece two rows of sums, then for each image six rows of coefficients:
 * mean, scale, shift; and in backward a, b, d. */
static double *sums_of(const struct cut *c, void *scratch, int image, int piece)
{
    return (double *)scratch + 2 * c->tile * ((size_t)image * (size_t)c->pieces + (size_t)piece);
}

static float *coefs_of(const struct cut *c, void *scratch, int image)
{
    return (float *)sums_of(c, scratch, c->images, 0) + 6 * c->tile * (size_t)image;
}

/* Kept: mean and 1/sqrt(v + eps) of each image and channel. */
struct stat {
    double mean, scale;
};

static int norm_plan(struct node *n, struct err *e)
{
    (void)e;
    const struct cut c = cut_of(n);
    const size_t images = (size_t)c.images;
    n->need.forward = images * c.tile * (2 * sizeof(double) * (size_t)c.pieces + 6 * sizeof(float));
    n->need.backward = n->need.forward;
    n->need.keep = images * (size_t)c.channels * sizeof(struct stat);
    return 0;
}

/* Two sums of a channel, over all pieces in order. */
static void fold(const struct cut *c, void *scratch, int image, int channel, double sum[2])
{
    sum[0] = sum[1] = 0.0;
    for (int p = 0; p < c->pieces; p++) {
        const double *s = sums_of(c, scratch, image, p) + channel;
        sum[0] += s[0];
        sum[1] += s[c->tile];
    }
}

#ifdef __AVX512F__
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));

/* The compiler would convert two at a time. */
static inline wide widen(const float *x)
{
#if defined __AVX512F__
    return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined __AVX__
    return (wide)_mm256_cvtps_pd(_mm_loadu_ps(x));
#else
    return (wide){(double)x[0], (double)x[1], (double)x[2], (double)x[3]};
#endif
}

/* s += sum of a, q += sum of a b over `rows` rows of LANES floats. */
static inline void add_column(const float *a, const float *b, size_t stride, int rows, double *s,
                              double *q)
{
    enum { PARTS = LANES / WIDE };
    wide sum[PARTS], product[PARTS];
    for (int k = 0; k < PARTS; k++) {
        memcpy(&sum[k], s + WIDE * k, sizeof sum[k]);
        memcpy(&product[k], q + WIDE * k, sizeof product[k]);
    }
    for (int r = 0; r < rows; r++)
        for (int k = 0; k < PARTS; k++) {
            const wide u = widen(a + (size_t)r * stride + WIDE * k);
            const wide v = a == b ? u : widen(b + (size_t)r * stride + WIDE * k);
            sum[k] += u;
            product[k] += u * v;
        }
    for (int k = 0; k < PARTS; k++) {
        memcpy(s + WIDE * k, &sum[k], sizeof sum[k]);
        memcpy(q + WIDE * k, &product[k], sizeof product[k]);
    }
}

static void add_one(float a, float b, double *s, double *q)
{
    *s += (double)a;
    *q += (double)a * (double)b;
}

/* Adds up what belongs to one channel, and leaves it at the front of both rows. */
static void fold_tile(const struct cut *c, double *s)
{
    for (int k = 0; k < 2; k++, s += c->tile)
        for (int r = 1; r < c->repeats; r++)
            for (int i = 0; i < c->channels; i++)
                s[i] += s[r * c->channels + i];
}

static void repeat(const struct cut *c, float *tile)
{
    for (size_t i = (size_t)c->channels; i < c->tile; i++)
        tile[i] = tile[i - (size_t)c->channels];
}

/* --- forward --- */

/* Where the columns of a piece begin: those of `rows` tiles are summed at once. */
static int rows_of(size_t len, size_t tile, size_t at)
{
    const size_t rows = at + LANES <= len ? (len - at - LANES) / tile + 1 : 0;
    return rows < ROWS ? (int)rows : ROWS;
}

static void sum_forward(const float *x, size_t len, const struct cut *c, double *s)
{
    const size_t tile = c->tile;
    memset(s, 0, 2 * tile * sizeof *s);
    for (size_t at = 0; at < len; at += ROWS * tile)
        for (size_t i = 0; i < tile; i += LANES) {
            const int rows = rows_of(len - at, tile, i);
            if (rows == ROWS)
                add_column(x + at + i, x + at + i, tile, ROWS, s + i, s + tile + i);
            else
                add_column(x + at + i, x + at + i, tile, rows, s + i, s + tile + i);
        }
    for (size_t i = len / LANES * LANES; i < len; i++)
        add_one(x[i], x[i], s + i % tile, s + tile + i % tile);
    fold_tile(c, s);
}

/* Mean, scale and shift of channels, from what is kept; the same in forward and backward. */
static void coefficients(const struct cut *c, const struct io *io, int image, float *mean)
{
    const struct stat *st = (const struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    float *scale = mean + c->tile, *shift = scale + c->tile;
    for (int k = 0; k < c->channels; k++) {
        mean[k] = (float)st[k].mean;
        scale[k] = (float)(st[k].scale * (io->w[0] ? (double)io->w[0][k] : 1.0));
        /* the mean is rounded: give back what that costs, much where it is far above 1/scale */
        const double rest = (double)mean[k] - st[k].mean;
        shift[k] = (float)((io->w[1] ? (double)io->w[1][k] : 0.0) + rest * (double)scale[k]);
    }
    for (int k = 0; k < 3; k++)
        repeat(c, mean + (size_t)k * c->tile);
}

static void finish_forward(const struct cut *c, const struct io *io, int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    struct stat *st = (struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    for (int first = 0; first < c->channels; first += width) {
        double sum = 0.0, squares = 0.0, part[2];
        for (int k = first; k < first + width; k++) {
            fold(c, io->scratch_forward, image, k, part);
            sum += part[0];
            squares += part[1];
        }
        const double m = sum / count, v = squares / count - m * m;
        const struct stat of = {m, 1.0 / sqrt((v > 0.0 || isnan(v) ? v : 0.0) + EPS)};
        for (int k = first; k < first + width; k++)
            st[k] = of;
    }
    coefficients(c, io, image, coefs_of(c, io->scratch_forward, image));
}

static inline float normal(float x, float mean, float scale, float shift)
{
    return (x - mean) * scale + shift;
}

static void apply_forward(const float *x, float *y, size_t len, const float *mean, size_t tile,
                          float slope)
{
    const float *scale = mean + tile, *shift = scale + tile;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const float z = normal(x[at + i], mean[i], scale[i], shift[i]);
            y[at + i] = z < 0.0f ? slope * z : z; /* a NaN stays one */
        }
    }
}

static size_t piece_len(const struct cut *c, int piece)
{
    const size_t from = (size_t)piece * c->piece;
    return c->len - from < c->piece ? c->len - from : c->piece;
}

static size_t piece_at(const struct cut *c, int image, int piece)
{
    return (size_t)image * c->len + (size_t)piece * c->piece;
}

static void norm_forward(const struct node *n, const struct io *io)
{
    const struct cut c = cut_of(n);
    void *scratch = io->scratch_forward;
#pragma omp parallel
    {
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                sum_forward(io->x[0] + piece_at(&c, i, p), piece_len(&c, p), &c,
                            sums_of(&c, scratch, i, p));
#pragma omp for
        for (int i = 0; i < c.images; i++)
            finish_forward(&c, io, i);
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                apply_forward(io->x[0] + piece_at(&c, i, p), io->y[0] + piece_at(&c, i, p),
                              piece_len(&c, p), coefs_of(&c, scratch, i), c.tile, n->slope);
    }
}

/* --- backward --- */

/* Of up to LANES elements: x - mean, and the gradient before the ReLU. */
static inline void before_relu(const float *x, const float *dy, const float *mean, size_t tile,
                               float slope, int count, float *centred, float *g)
{
    const float *scale = mean + tile, *shift = scale + tile;
#pragma omp simd
    for (int k = 0; k < count; k++) {
        centred[k] = x[k] - mean[k];
        g[k] = normal(x[k], mean[k], scale[k], shift[k]) > 0.0f ? dy[k] : slope * dy[k];
    }
}

static inline void sum_column(const float *x, const float *dy, const float *mean, size_t tile,
                              float slope, int rows, double *s)
{
    float centred[ROWS][LANES], g[ROWS][LANES];
    for (int r = 0; r < rows; r++)
        before_relu(x + (size_t)r * tile, dy + (size_t)r * tile, mean, tile, slope, LANES,
                    centred[r], g[r]);
    add_column(g[0], centred[0], LANES, rows, s, s + tile);
}

static void sum_backward(const float *x, const float *dy, size_t len, const struct cut *c,
                         const float *mean, float slope, double *s)
{
    const size_t tile = c->tile;
    memset(s, 0, 2 * tile * sizeof *s);
    for (size_t at = 0; at < len; at += ROWS * tile)
        for (size_t i = 0; i < tile; i += LANES) {
            const int rows = rows_of(len - at, tile, i);
            if (rows == ROWS)
                sum_column(x + at + i, dy + at + i, mean + i, tile, slope, ROWS, s + i);
            else
                sum_column(x + at + i, dy + at + i, mean + i, tile, slope, rows, s + i);
        }
    for (size_t i = len / LANES * LANES; i < len; i++) {
        float centred, g;
        before_relu(x + i, dy + i, mean + i % tile, tile, slope, 1, &centred, &g);
        add_one(g, centred, s + i % tile, s + tile + i % tile);
    }
    fold_tile(c, s);
}

/* dx = a g + b (x - mean) + d, g the gradient before the ReLU, a per channel, b and d per group;
 * `rest` makes up for the rounding of the mean that is subtracted. The sums of a channel are left
 * in the first piece, for the gradient of gamma and beta. */
static void finish_backward(const struct cut *c, const struct io *io, int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    const struct stat *st = (const struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    float *a = coefs_of(c, io->scratch_backward, image) + 3 * c->tile, *b = a + c->tile,
          *d = b + c->tile;
    double *left = sums_of(c, io->scratch_backward, image, 0);
    for (int first = 0; first < c->channels; first += width) {
        const double scale = st[first].scale, rest = (double)(float)st[first].mean - st[first].mean;
        double g = 0.0, gx = 0.0; /* sums of gamma dy and gamma dy (x - mean) */
        for (int k = first; k < first + width; k++) {
            const double gamma = io->w[0] ? (double)io->w[0][k] : 1.0;
            double part[2];
            fold(c, io->scratch_backward, image, k, part);
            part[1] += rest * part[0];
            left[k] = part[0];
            left[c->tile + (size_t)k] = part[1];
            g += gamma * part[0];
            gx += gamma * part[1];
            a[k] = (float)(scale * gamma);
        }
        const double slope = -scale * scale * scale * gx / count;
        for (int k = first; k < first + width; k++) {
            b[k] = (float)slope;
            d[k] = (float)(-scale * g / count + rest * slope);
        }
    }
    for (int k = 0; k < 3; k++)
        repeat(c, a + (size_t)k * c->tile);
}

static void apply_backward(const float *x, const float *dy, float *dx, size_t len,
                           const float *mean, size_t tile, float slope)
{
    const float *scale = mean + tile, *shift = scale + tile;
    const float *a = shift + tile, *b = a + tile, *d = b + tile;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const float v = x[at + i], z = normal(v, mean[i], scale[i], shift[i]);
            const float g = z > 0.0f ? dy[at + i] : slope * dy[at + i];
            dx[at + i] = a[i] * g + (b[i] * (v - mean[i]) + d[i]);
        }
    }
}

static void affine_gradient(const struct cut *c, const struct io *io, int channel)
{
    double dgamma = 0.0, dbeta = 0.0;
    for (int i = 0; i < c->images; i++) {
        const struct stat *st = (const struct stat *)io->keep + (size_t)i * (size_t)c->channels;
        const double *s = sums_of(c, io->scratch_backward, i, 0);
        dbeta += s[channel];
        dgamma += s[c->tile + (size_t)channel] * st[channel].scale;
    }
    io->dw[0][channel] = (float)dgamma;
    io->dw[1][channel] = (float)dbeta;
}

static void norm_backward(const struct node *n, const struct io *io)
{
    const struct cut c = cut_of(n);
    void *scratch = io->scratch_backward;
#pragma omp parallel
    {
#pragma omp for
        for (int i = 0; i < c.images; i++)
            coefficients(&c, io, i, coefs_of(&c, scratch, i));
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                sum_backward(io->x[0] + piece_at(&c, i, p), io->dy[0] + piece_at(&c, i, p),
                             piece_len(&c, p), &c, coefs_of(&c, scratch, i), n->slope,
                             sums_of(&c, scratch, i, p));
#pragma omp for
        for (int i = 0; i < c.images; i++)
            finish_backward(&c, io, i);
        if (io->dx[0]) {
#pragma omp for collapse(2)
            for (int i = 0; i < c.images; i++)
                for (int p = 0; p < c.pieces; p++)
                    apply_backward(io->x[0] + piece_at(&c, i, p), io->dy[0] + piece_at(&c, i, p),
                                   io->dx[0] + piece_at(&c, i, p), piece_len(&c, p),
                                   coefs_of(&c, scratch, i), c.tile, n->slope);
        }
        if (n->nparams) {
#pragma omp for
            for (int k = 0; k < c.channels; k++)
                affine_gradient(&c, io, k);
        }
    }
}

const struct op op_norm = {.name = "norm",
                           .nout = 1,
                           .flags = OP_INPLACE | OP_KEEPS_X | OP_ACTIVATES,
                           .plan = norm_plan,
                           .forward = norm_forward,
                           .backward = norm_backward};
