#include "naive.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

double naive_bf16(double x)
{
    const float single = (float)x;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    bits += 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return isfinite(x) ? (double)rounded : x;
}

static size_t at(struct shape s, int n, int y, int x, int c)
{
    return (((size_t)n * (size_t)s.h + (size_t)y) * (size_t)s.w + (size_t)x) * (size_t)s.c +
           (size_t)c;
}

/* Calls body for every (output element, weight, input element) the two convolutions multiply. */
struct triple {
    size_t y, w, x;
};
typedef void visit(void *ctx, struct triple t);

static void conv_walk(struct shape s, int filters, int side, visit *body, void *ctx)
{
    const struct shape out = {s.n, s.h, s.w, filters};
    const int pad = (side - 1) / 2;
    for (int n = 0; n < s.n; n++)
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++)
                for (int o = 0; o < filters; o++)
                    for (int i = 0; i < s.c; i++)
                        for (int ky = 0; ky < side; ky++)
                            for (int kx = 0; kx < side; kx++) {
                                const int sy = y + ky - pad, sx = x + kx - pad;
                                if (sy < 0 || sy >= s.h || sx < 0 || sx >= s.w) continue;
                                body(ctx, (struct triple){
                                              at(out, n, y, x, o),
                                              (size_t)(((o * s.c + i) * side + ky) * side + kx),
                                              at(s, n, sy, sx, i)});
                            }
}

static void deconv_walk(struct shape s, int filters, visit *body, void *ctx)
{
    const struct shape out = {s.n, 2 * s.h, 2 * s.w, filters};
    for (int n = 0; n < s.n; n++)
        for (int y = 0; y < s.h; y++)
            for (int x = 0; x < s.w; x++)
                for (int i = 0; i < s.c; i++)
                    for (int o = 0; o < filters; o++)
                        for (int ky = 0; ky < 2; ky++)
                            for (int kx = 0; kx < 2; kx++)
                                body(ctx, (struct triple){
                                              at(out, n, 2 * y + ky, 2 * x + kx, o),
                                              (size_t)(((i * filters + o) * 2 + ky) * 2 + kx),
                                              at(s, n, y, x, i)});
}

struct forward {
    const double *w, *x;
    double *y;
};

static void forward_visit(void *ctx, struct triple t)
{
    const struct forward *f = ctx;
    f->y[t.y] += f->w[t.w] * f->x[t.x];
}

struct backward {
    const double *w, *x, *dy;
    double *dw, *dx;
};

static void backward_visit(void *ctx, struct triple t)
{
    const struct backward *b = ctx;
    if (b->dw) b->dw[t.w] += b->x[t.x] * b->dy[t.y];
    if (b->dx) b->dx[t.x] += b->w[t.w] * b->dy[t.y];
}

static void bias(struct shape out, const double *b, double *y)
{
    for (size_t i = 0; i < shape_len(out); i++)
        y[i] = b ? b[i % (size_t)out.c] : 0;
}

void naive_bias_back(struct shape out, const double *dy, double *db)
{
    for (size_t i = 0; db && i < shape_len(out); i++)
        db[i % (size_t)out.c] += dy[i];
}

void naive_conv(struct shape s, int filters, int side, const double *x, const double *w,
                const double *b, double *y)
{
    struct forward f = {w, x, y};
    bias((struct shape){s.n, s.h, s.w, filters}, b, y);
    conv_walk(s, filters, side, forward_visit, &f);
}

void naive_conv_back(struct shape s, int filters, int side, const double *x, const double *w,
                     const double *dy, double *dx, double *dw, double *db)
{
    struct backward b = {w, x, dy, dw, dx};
    naive_bias_back((struct shape){s.n, s.h, s.w, filters}, dy, db);
    conv_walk(s, filters, side, backward_visit, &b);
}

void naive_deconv(struct shape s, int filters, const double *x, const double *w, const double *b,
                  double *y)
{
    struct forward f = {w, x, y};
    bias((struct shape){s.n, 2 * s.h, 2 * s.w, filters}, b, y);
    deconv_walk(s, filters, forward_visit, &f);
}

void naive_deconv_back(struct shape s, int filters, const double *x, const double *w,
                       const double *dy, double *dx, double *dw, double *db)
{
    struct backward b = {w, x, dy, dw, dx};
    naive_bias_back((struct shape){s.n, 2 * s.h, 2 * s.w, filters}, dy, db);
    deconv_walk(s, filters, backward_visit, &b);
}

/* Calls body with the index of an output element and those of its 2x2 window, in row order. */
typedef void window(void *ctx, size_t y, const size_t x[4]);

static void pool_walk(struct shape s, window *body, void *ctx)
{
    const struct shape out = {s.n, s.h / 2, s.w / 2, s.c};
    for (int n = 0; n < s.n; n++)
        for (int y = 0; y < out.h; y++)
            for (int x = 0; x < out.w; x++)
                for (int c = 0; c < s.c; c++) {
                    const size_t in[4] = {at(s, n, 2 * y, 2 * x, c), at(s, n, 2 * y, 2 * x + 1, c),
                                          at(s, n, 2 * y + 1, 2 * x, c),
                                          at(s, n, 2 * y + 1, 2 * x + 1, c)};
                    body(ctx, at(out, n, y, x, c), in);
                }
}

struct pool {
    const double *from;
    double *to;
    const double *x;
};

static size_t largest(const double *x, const size_t in[4])
{
    size_t best = in[0];
    for (int k = 1; k < 4; k++)
        if (x[in[k]] > x[best]) best = in[k];
    return best;
}

static void max_visit(void *ctx, size_t y, const size_t in[4])
{
    const struct pool *p = ctx;
    p->to[y] = p->from[largest(p->from, in)];
}

static void max_back_visit(void *ctx, size_t y, const size_t in[4])
{
    const struct pool *p = ctx;
    p->to[largest(p->x, in)] += p->from[y];
}

static void avg_visit(void *ctx, size_t y, const size_t in[4])
{
    const struct pool *p = ctx;
    p->to[y] = (p->from[in[0]] + p->from[in[1]] + p->from[in[2]] + p->from[in[3]]) / 4;
}

static void avg_back_visit(void *ctx, size_t y, const size_t in[4])
{
    const struct pool *p = ctx;
    for (int k = 0; k < 4; k++)
        p->to[in[k]] += p->from[y] / 4;
}

void naive_maxpool(struct shape s, const double *x, double *y)
{
    pool_walk(s, max_visit, &(struct pool){x, y, NULL});
}

void naive_maxpool_back(struct shape s, const double *x, const double *dy, double *dx)
{
    pool_walk(s, max_back_visit, &(struct pool){dy, dx, x});
}

void naive_avgpool(struct shape s, const double *x, double *y)
{
    pool_walk(s, avg_visit, &(struct pool){x, y, NULL});
}

void naive_avgpool_back(struct shape s, const double *dy, double *dx)
{
    pool_walk(s, avg_back_visit, &(struct pool){dy, dx, NULL});
}

/* Element k of group g of image n: groups are runs of c / groups consecutive channels. */
static size_t member(struct shape s, int groups, int n, int g, size_t k)
{
    const size_t width = (size_t)(s.c / groups), pixel = k / width;
    return at(s, n, 0, 0, 0) + pixel * (size_t)s.c + (size_t)g * width + k % width;
}

static void moments(struct shape s, int groups, int n, int g, const double *x, double *mean,
                    double *inverse)
{
    const size_t m = (size_t)s.h * (size_t)s.w * (size_t)(s.c / groups);
    double sum = 0, square = 0;
    for (size_t k = 0; k < m; k++)
        sum += x[member(s, groups, n, g, k)];
    *mean = sum / (double)m;
    for (size_t k = 0; k < m; k++)
        square += pow(x[member(s, groups, n, g, k)] - *mean, 2);
    *inverse = 1 / sqrt(square / (double)m + 1e-5);
}

void naive_norm(struct shape s, int groups, const double *x, const double *scale,
                const double *offset, double *y)
{
    const size_t m = (size_t)s.h * (size_t)s.w * (size_t)(s.c / groups);
    for (int n = 0; n < s.n; n++)
        for (int g = 0; g < groups; g++) {
            double mean, inverse;
            moments(s, groups, n, g, x, &mean, &inverse);
            for (size_t k = 0; k < m; k++) {
                const size_t i = member(s, groups, n, g, k), c = i % (size_t)s.c;
                y[i] = (x[i] - mean) * inverse;
                if (scale) y[i] = y[i] * scale[c] + offset[c];
            }
        }
}

/* With z the normalised x and dz = scale dy: dx = inverse (dz - mean(dz) - z mean(z dz)). */
void naive_norm_back(struct shape s, int groups, const double *x, const double *scale,
                     const double *dy, double *dx, double *dscale, double *doffset)
{
    const size_t m = (size_t)s.h * (size_t)s.w * (size_t)(s.c / groups);
    for (int n = 0; n < s.n; n++)
        for (int g = 0; g < groups; g++) {
            double mean, inverse, sum = 0, dot = 0;
            moments(s, groups, n, g, x, &mean, &inverse);
            for (size_t k = 0; k < m; k++) {
                const size_t i = member(s, groups, n, g, k), c = i % (size_t)s.c;
                const double z = (x[i] - mean) * inverse, dz = dy[i] * (scale ? scale[c] : 1);
                sum += dz;
                dot += dz * z;
                if (dscale) dscale[c] += dy[i] * z;
                if (doffset) doffset[c] += dy[i];
            }
            for (size_t k = 0; dx && k < m; k++) {
                const size_t i = member(s, groups, n, g, k), c = i % (size_t)s.c;
                const double z = (x[i] - mean) * inverse, dz = dy[i] * (scale ? scale[c] : 1);
                dx[i] += inverse * (dz - (sum + z * dot) / (double)m);
            }
        }
}

void naive_relu(size_t n, double slope, const double *x, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

void naive_relu_back(size_t n, double slope, const double *x, const double *dy, double *dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] += x[i] > 0 ? dy[i] : slope * dy[i];
}

void naive_dropout(size_t n, double rate, const double *keep, const double *x, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = keep[i] * x[i] / (1 - rate);
}

void naive_dropout_back(size_t n, double rate, const double *keep, const double *dy, double *dx)
{
    for (size_t i = 0; i < n; i++)
        dx[i] += keep[i] * dy[i] / (1 - rate);
}

void naive_concat(struct shape s, int cb, const double *a, const double *b, double *y)
{
    for (size_t p = 0, i = 0; p < shape_len(s) / (size_t)s.c; p++) {
        for (int c = 0; c < s.c; c++)
            y[i++] = *a++;
        for (int c = 0; c < cb; c++)
            y[i++] = *b++;
    }
}

void naive_concat_back(struct shape s, int cb, const double *dy, double *da, double *db)
{
    for (size_t p = 0, i = 0; p < shape_len(s) / (size_t)s.c; p++) {
        for (int c = 0; c < s.c; c++)
            *da++ += dy[i++];
        for (int c = 0; c < cb; c++)
            *db++ += dy[i++];
    }
}

double naive_l2(size_t n, const double *p, const double *t)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (p[i] - t[i]) * (p[i] - t[i]);
    return sum / (double)n;
}

void naive_l2_back(size_t n, const double *p, const double *t, double *dp, double *dt)
{
    for (size_t i = 0; i < n; i++) {
        const double d = 2 * (p[i] - t[i]) / (double)n;
        if (dp) dp[i] += d;
        if (dt) dt[i] -= d;
    }
}
