/* Group normalisation (Wu & He, ECCV 2018); with a group per channel, instance normalisation. Over
 * the H W C/G elements of a group of an image, with the biased variance v and eps 1e-5, xhat = (x -
 * m) / sqrt(v + eps),   y = gamma(c) xhat + beta(c); with g = gamma dy and means over the group, dx
 * = (g - mean(g) - xhat mean(g xhat)) / sqrt(v + eps). Sums are in double over fixed pieces of an
 * image, added in order. All loops run over `tiles`: as many pixels as make a few vectors, beside
 * coefficients repeated as often, so that any number of channels is as fast as any other. */
#include "nn/op.h"

#include <math.h>

static const double EPS = 1e-5;
enum { TILE = 256, PIECE = 1 << 15 }; /* floats, at least */

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

/* How an image of (H, W, C) is cut: `tile` floats (whole pixels), `piece` floats (whole tiles). */
struct cut {
    size_t len, tile, piece;
    int images, channels, groups, repeats, pieces;
};

static struct cut cut_of(const struct node *n)
{
    const struct norm_conf *f = n->conf;
    struct cut c = {.images = n->x[0].n, .channels = n->x[0].c, .groups = f->groups};
    c.len = shape_len(n->x[0]) / (size_t)c.images;
    c.repeats = (TILE + c.channels - 1) / c.channels;
    c.tile = (size_t)c.repeats * (size_t)c.channels;
    c.piece = (PIECE + c.tile - 1) / c.tile * c.tile;
    c.pieces = (int)((c.len + c.piece - 1) / c.piece);
    return c;
}

/* Scratch: for each image and piece two rows of sums, then for each image four rows of
 * coefficients: mean, scale, shift in forward; mean, a, b, d in backward. */
static double *sums_of(const struct cut *c, void *scratch, int image, int piece)
{
    return (double *)scratch + 2 * c->tile * ((size_t)image * (size_t)c->pieces + (size_t)piece);
}

static float *coefs_of(const struct cut *c, void *scratch, int image)
{
    return (float *)sums_of(c, scratch, c->images, 0) + 4 * c->tile * (size_t)image;
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
    n->need.forward = images * c.tile * (2 * sizeof(double) * (size_t)c.pieces + 4 * sizeof(float));
    n->need.backward = n->need.forward;
    n->need.keep = images * (size_t)c.channels * sizeof(struct stat);
    return 0;
}

/* Adds the columns of all pieces that belong to a channel: two sums, in a fixed order. */
static void fold(const struct cut *c, void *scratch, int image, int channel, double sum[2])
{
    sum[0] = sum[1] = 0.0;
    for (int p = 0; p < c->pieces; p++) {
        const double *s = sums_of(c, scratch, image, p);
        for (int r = 0; r < c->repeats; r++)
            for (int k = 0; k < 2; k++)
                sum[k] += s[(size_t)k * c->tile + (size_t)(r * c->channels + channel)];
    }
}

static void repeat(const struct cut *c, float *tile)
{
    for (size_t i = (size_t)c->channels; i < c->tile; i++)
        tile[i] = tile[i - (size_t)c->channels];
}

/* --- forward --- */

static void sum_forward(const float *restrict x, size_t len, size_t tile, double *restrict s)
{
    double *restrict q = s + tile;
    for (size_t i = 0; i < 2 * tile; i++)
        s[i] = 0.0;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const double v = (double)x[at + i];
            s[i] += v;
            q[i] += v * v;
        }
    }
}

static void finish_forward(const struct cut *c, const struct io *io, int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    struct stat *st = (struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    float *mean = coefs_of(c, io->scratch_forward, image), *scale = mean + c->tile,
          *shift = scale + c->tile;
    for (int first = 0; first < c->channels; first += width) {
        double sum = 0.0, squares = 0.0, part[2];
        for (int k = first; k < first + width; k++) {
            fold(c, io->scratch_forward, image, k, part);
            sum += part[0];
            squares += part[1];
        }
        const double m = sum / count, v = squares / count - m * m;
        const struct stat of = {m, 1.0 / sqrt((v > 0.0 || isnan(v) ? v : 0.0) + EPS)};
        for (int k = first; k < first + width; k++) {
            st[k] = of;
            mean[k] = (float)m;
            scale[k] = (float)(of.scale * (io->w[0] ? (double)io->w[0][k] : 1.0));
            /* m is rounded above: give back what that costs, much where |m| is far above 1/scale */
            const double rest = (double)mean[k] - m;
            shift[k] = (float)((io->w[1] ? (double)io->w[1][k] : 0.0) + rest * (double)scale[k]);
        }
    }
    for (int k = 0; k < 3; k++)
        repeat(c, mean + (size_t)k * c->tile);
}

static void apply_forward(const float *x, float *y, size_t len, const float *coefs, size_t tile)
{
    const float *mean = coefs, *scale = mean + tile, *shift = scale + tile;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++)
            y[at + i] = (x[at + i] - mean[i]) * scale[i] + shift[i];
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
                sum_forward(io->x[0] + piece_at(&c, i, p), piece_len(&c, p), c.tile,
                            sums_of(&c, scratch, i, p));
#pragma omp for
        for (int i = 0; i < c.images; i++)
            finish_forward(&c, io, i);
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                apply_forward(io->x[0] + piece_at(&c, i, p), io->y[0] + piece_at(&c, i, p),
                              piece_len(&c, p), coefs_of(&c, scratch, i), c.tile);
    }
}

/* --- backward --- */

static void sum_backward(const float *restrict x, const float *restrict dy, size_t len, size_t tile,
                         const float *restrict mean, double *restrict s)
{
    double *restrict q = s + tile;
    for (size_t i = 0; i < 2 * tile; i++)
        s[i] = 0.0;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++) {
            const double d = (double)dy[at + i];
            s[i] += d;
            q[i] += d * (double)(x[at + i] - mean[i]);
        }
    }
}

static void start_backward(const struct cut *c, const struct io *io, int image)
{
    const struct stat *st = (const struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    float *mean = coefs_of(c, io->scratch_backward, image);
    for (int k = 0; k < c->channels; k++)
        mean[k] = (float)st[k].mean;
    repeat(c, mean);
}

/* dx = a dy + b (x - mean) + d, a per channel, b and d per group; `rest` makes up for the rounding
 * of the mean that is subtracted. The sums of a channel are left in the first piece, for the
 * gradient of gamma and beta. */
static void finish_backward(const struct cut *c, const struct io *io, int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    const struct stat *st = (const struct stat *)io->keep + (size_t)image * (size_t)c->channels;
    float *a = coefs_of(c, io->scratch_backward, image) + c->tile, *b = a + c->tile,
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
                           const float *mean, size_t tile)
{
    const float *a = mean + tile, *b = a + tile, *d = b + tile;
    for (size_t at = 0; at < len; at += tile) {
        const size_t m = len - at < tile ? len - at : tile;
#pragma omp simd
        for (size_t i = 0; i < m; i++)
            dx[at + i] = a[i] * dy[at + i] + (b[i] * (x[at + i] - mean[i]) + d[i]);
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
            start_backward(&c, io, i);
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                sum_backward(io->x[0] + piece_at(&c, i, p), io->dy[0] + piece_at(&c, i, p),
                             piece_len(&c, p), c.tile, coefs_of(&c, scratch, i),
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
                                   coefs_of(&c, scratch, i), c.tile);
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
                           .flags = OP_INPLACE | OP_KEEPS_X,
                           .plan = norm_plan,
                           .forward = norm_forward,
                           .backward = norm_backward};
