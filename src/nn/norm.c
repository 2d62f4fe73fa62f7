/* Group normalisation (Wu & He, ECCV 2018); with a group per channel, instance normalisation. Over
 * the H W C/G elements of a group of an image, with the biased variance v and eps 1e-5, xhat = (x -
 * m) / sqrt(v + eps),   y = gamma(c) xhat + beta(c); with g = gamma dy and means over the group, dx
 * = (g - mean(g) - xhat mean(g xhat)) / sqrt(v + eps). A ReLU and a dropout that follow are part of
 * the node. Sums are in double over fixed pieces of an image, added in order. */
#include "nn/dropout.h"
#include "nn/norm_piece.h"
#include "nn/op.h"

#include <math.h>

static const double EPS = 1e-5;
enum { TILE = 256, PIECE = 1 << 15 }; /* floats, at least */
enum { LANES = NORM_LANES, ROWS = NORM_ROWS };

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

/* How an image of (H, W, C) is cut (norm_piece.h): `tile` floats (whole pixels, whole columns),
 * `piece` floats (whole blocks, and so whole groups of dropout). */
_Static_assert((LANES * ROWS) % DROPOUT_GROUP == 0, "a mask is drawn by one thread at a time");
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

/* Kept: mean and 1/sqrt(v + eps) of each image and channel; behind them the masks of dropout. */
struct stat {
    double mean, scale;
};

static struct stat *stat_of(const struct cut *c, const struct io *io, int image)
{
    return (struct stat *)io->keep + (size_t)image * (size_t)c->channels;
}

static bool drops(const struct node *n)
{
    return n->training && n->drop.rate > 0.0f;
}

static unsigned char *mask_of(const struct cut *c, const struct io *io, int image)
{
    return (unsigned char *)stat_of(c, io, c->images) + (size_t)image * dropout_bytes(c->len);
}

static int norm_plan(struct node *n, struct err *e)
{
    const struct cut c = cut_of(n);
    const size_t images = (size_t)c.images;
    n->need.forward = images * c.tile * (2 * sizeof(double) * (size_t)c.pieces + 6 * sizeof(float));
    n->need.backward = n->need.forward;
    n->need.keep = images * (size_t)c.channels * sizeof(struct stat);
    if (n->read_as_norm && !drops(n)) {
        n->note = (struct note){.tile = c.tile, .slope = n->slope};
        n->need.note = images * 3 * c.tile * sizeof(float);
    }
    if (!drops(n)) return 0;
    n->need.keep += images * dropout_bytes(c.len);
    return dropout_fits(c.len, e);
}

/* Piece `number` of an image, as both passes see it. */
static struct norm_piece piece_of(const struct node *n, const struct io *io, const struct cut *c,
                                  void *scratch, int image, int number)
{
    const size_t from = (size_t)number * c->piece;
    return (struct norm_piece){.x = io->x[0] + (size_t)image * c->len + from,
                               .len = c->len - from < c->piece ? c->len - from : c->piece,
                               .tile = c->tile,
                               .mean = coefs_of(c, scratch, image),
                               .slope = n->slope,
                               .survivor = dropout_scale(n->drop),
                               .mask = drops(n) ? mask_of(c, io, image) + from / 8 : NULL};
}

/* Sum of x and x^2 of a channel, as the writer of x has left them. */
static void fold_note(const struct node *n, const struct io *io, int image, int channel,
                      double sum[2])
{
    const struct note *t = &n->notes[0];
    const double *s = (const double *)io->notes[0] + (size_t)(image * t->parts * 2 * t->columns);
    sum[0] = sum[1] = 0.0;
    for (int p = 0; p < t->parts; p++, s += 2 * t->columns)
        for (int k = channel; k < t->columns; k += n->x[0].c) {
            sum[0] += s[k];
            sum[1] += s[t->columns + k];
        }
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

/* Mean, scale and shift of channels, from what is kept; the same in forward and backward. */
static void coefficients(const struct cut *c, const struct io *io, int image, float *mean)
{
    const struct stat *st = stat_of(c, io, image);
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

static void finish_forward(const struct node *n, const struct cut *c, const struct io *io,
                           int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    struct stat *st = stat_of(c, io, image);
    for (int first = 0; first < c->channels; first += width) {
        double sum = 0.0, squares = 0.0, part[2];
        for (int k = first; k < first + width; k++) {
            if (n->notes[0].parts)
                fold_note(n, io, image, k, part);
            else
                fold(c, io->scratch_forward, image, k, part);
            sum += part[0];
            squares += part[1];
        }
        const double m = sum / count, v = squares / count - m * m;
        const struct stat of = {m, 1.0 / sqrt((v > 0.0 || isnan(v) ? v : 0.0) + EPS)};
        for (int k = first; k < first + width; k++)
            st[k] = of;
    }
    coefficients(c, io, image,
                 io->note ? (float *)io->note + 3 * c->tile * (size_t)image
                          : coefs_of(c, io->scratch_forward, image));
}

static void sum_forward(const struct node *n, const struct io *io, const struct cut *c, int image,
                        int number)
{
    double *s = sums_of(c, io->scratch_forward, image, number);
    const struct norm_piece p = piece_of(n, io, c, io->scratch_forward, image, number);
    norm_sum(&p, s);
    fold_tile(c, s);
}

static void apply_forward(const struct node *n, const struct io *io, const struct cut *c, int image,
                          int number)
{
    struct norm_piece p = piece_of(n, io, c, io->scratch_forward, image, number);
    float *y = io->y[0] + (p.x - io->x[0]);
    if (!p.mask) {
        norm_apply(&p, y);
        return;
    }
    const size_t from = (size_t)number * c->piece, len = p.len, block = ROWS * c->tile;
    for (size_t at = 0; at < len; at += block, p.x += block, p.mask += block / 8) {
        p.len = len - at < block ? len - at : block;
        dropout_draw(n->drop, io->key, image, from + at, p.len, p.x, mask_of(c, io, image));
        norm_apply(&p, y + at); /* what was fetched while the mask was drawn is near */
    }
}

static void norm_forward(const struct node *n, const struct io *io)
{
    const struct cut c = cut_of(n);
#pragma omp parallel
    {
        if (!n->notes[0].parts) { /* else the sums are there */
#pragma omp for collapse(2)
            for (int i = 0; i < c.images; i++)
                for (int p = 0; p < c.pieces; p++)
                    sum_forward(n, io, &c, i, p);
        }
#pragma omp for
        for (int i = 0; i < c.images; i++)
            finish_forward(n, &c, io, i);
        if (!n->note.tile) { /* else the reader does it */
#pragma omp for collapse(2)
            for (int i = 0; i < c.images; i++)
                for (int p = 0; p < c.pieces; p++)
                    apply_forward(n, io, &c, i, p);
        }
    }
}

/* --- backward --- */

static void sum_backward(const struct node *n, const struct io *io, const struct cut *c, int image,
                         int number)
{
    double *s = sums_of(c, io->scratch_backward, image, number);
    const struct norm_piece p = piece_of(n, io, c, io->scratch_backward, image, number);
    norm_sum_back(&p, io->dy[0] + (p.x - io->x[0]), s);
    fold_tile(c, s);
}

/* dx = a g + b (x - mean) + d, g the gradient behind the norm itself, a per channel, b and d per
 * group; `rest` makes up for the rounding of the mean that is subtracted. The sums of a channel are
 * left in the first piece, for the gradient of gamma and beta. */
static void finish_backward(const struct cut *c, const struct io *io, int image)
{
    const int width = c->channels / c->groups;
    const double count = (double)(c->len / (size_t)c->channels) * width;
    const struct stat *st = stat_of(c, io, image);
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

static void apply_backward(const struct node *n, const struct io *io, const struct cut *c,
                           int image, int number)
{
    const struct norm_piece p = piece_of(n, io, c, io->scratch_backward, image, number);
    const size_t at = (size_t)(p.x - io->x[0]);
    norm_apply_back(&p, io->dy[0] + at, io->dx[0] + at);
}

static void affine_gradient(const struct cut *c, const struct io *io, int channel)
{
    double dgamma = 0.0, dbeta = 0.0;
    for (int i = 0; i < c->images; i++) {
        const struct stat *st = stat_of(c, io, i);
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
#pragma omp parallel
    {
#pragma omp for
        for (int i = 0; i < c.images; i++)
            coefficients(&c, io, i, coefs_of(&c, io->scratch_backward, i));
#pragma omp for collapse(2)
        for (int i = 0; i < c.images; i++)
            for (int p = 0; p < c.pieces; p++)
                sum_backward(n, io, &c, i, p);
#pragma omp for
        for (int i = 0; i < c.images; i++)
            finish_backward(&c, io, i);
        if (io->dx[0]) {
#pragma omp for collapse(2)
            for (int i = 0; i < c.images; i++)
                for (int p = 0; p < c.pieces; p++)
                    apply_backward(n, io, &c, i, p);
        }
        if (n->wants_dw) {
#pragma omp for
            for (int k = 0; k < c.channels; k++)
                affine_gradient(&c, io, k);
        }
    }
}

const struct op op_norm = {.name = "norm",
                           .nout = 1,
                           .flags =
                               OP_INPLACE | OP_KEEPS_X | OP_ACTIVATES | OP_DROPS | OP_READS_SUMS,
                           .plan = norm_plan,
                           .forward = norm_forward,
                           .backward = norm_backward};
