#include "data/jsense_normal.h"

#include <string.h>

static double dot(const double *a, const double *b, size_t n)
{
    double part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++)
            part[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        part[0] += a[i] * b[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) +
           ((part[4] + part[5]) + (part[6] + part[7]));
}

/* y = A^H A x: a normal operator of the model with the other factor fixed. */
typedef void normal_op(struct jsense_model *j, const double *x, double *y);

/* Hestenes & Stiefel 1952, from x and with b of the model's vectors. Complex vectors are real ones
 * of twice the length: every scalar of the recurrence is real. */
static void conjugate_gradients(struct jsense_model *j, normal_op *normal, size_t n, int iterations,
                                double lambda, double enough)
{
    double *x = j->cg.x, *residual = j->cg.residual, *p = j->cg.p, *ap = j->cg.ap;
    normal(j, x, ap);
    for (size_t i = 0; i < n; i++)
        p[i] = residual[i] = j->cg.b[i] - ap[i] - lambda * x[i];
    double rr = dot(residual, residual, n);
    enough *= dot(j->cg.b, j->cg.b, n);
    for (int it = 0; it < iterations && rr > enough; it++) {
        normal(j, p, ap);
        for (size_t i = 0; i < n; i++)
            ap[i] += lambda * p[i];
        double pap = dot(p, ap, n);
        if (!(pap > 0.0)) return;
        double alpha = rr / pap;
        for (size_t i = 0; i < n; i++) {
            x[i] += alpha * p[i];
            residual[i] -= alpha * ap[i];
        }
        double next = dot(residual, residual, n), beta = next / rr;
        for (size_t i = 0; i < n; i++)
            p[i] = residual[i] + beta * p[i];
        rr = next;
    }
}

static size_t kernel_len(const struct jsense_model *j)
{
    return 2 * (size_t)(j->k * j->k);
}

static void widen(const float *from, size_t n, double *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

static void narrow(const double *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
}

static void times_maps(struct jsense_model *j, const double *x, double *y)
{
    normal_maps_times(j->normal_maps, j, x, y);
}

static void times_image(struct jsense_model *j, const double *x, double *y)
{
    if (j->normal_image) {
        normal_image_times(j->normal_image, j, x, y);
        return;
    }
    narrow(x, j->image_len, j->input);
    memset(j->rest, 0, j->image_len * sizeof *j->rest);
    for (int c = 0; c < j->coils; c++) {
        const float *m = j->maps + (size_t)c * kernel_len(j);
        jsense_apply(j, m, j->input, j->scratch);
        jsense_adjoint_image(j, j->scratch, m, j->rest);
    }
    widen(j->rest, j->image_len, y);
}

/* What of the squared residual is rounding error, going on with which would amplify it: products
 * are made in double precision for the maps, in single for the image. */
static const double MAPS_ENOUGH = 1e-24, IMAGE_ENOUGH = 1e-13;

void jsense_solve_maps(struct jsense_model *j, int iterations, double lambda)
{
    for (int c = 0; c < j->coils; c++)
        jsense_adjoint_maps(j, j->y + (size_t)c * j->image_len, j->image,
                            j->rest + (size_t)c * kernel_len(j));
    normal_maps_update(j->normal_maps, j);
    widen(j->rest, j->maps_len, j->cg.b);
    widen(j->maps, j->maps_len, j->cg.x);
    conjugate_gradients(j, times_maps, j->maps_len, iterations, lambda, MAPS_ENOUGH);
    narrow(j->cg.x, j->maps_len, j->maps);
}

void jsense_solve_image(struct jsense_model *j, int iterations, double lambda)
{
    memset(j->rest, 0, j->image_len * sizeof *j->rest);
    for (int c = 0; c < j->coils; c++)
        jsense_adjoint_image(j, j->y + (size_t)c * j->image_len,
                             j->maps + (size_t)c * kernel_len(j), j->rest);
    if (j->normal_image) {
        normal_image_update(j->normal_image, j);
        memset(j->cg.ap, 0, j->image_len * sizeof *j->cg.ap); /* nothing behind the columns */
    }
    widen(j->rest, j->image_len, j->cg.b);
    widen(j->image, j->image_len, j->cg.x);
    conjugate_gradients(j, times_image, j->image_len, iterations, lambda, IMAGE_ENOUGH);
    narrow(j->cg.x, j->image_len, j->image);
}

static double energy(const float *x, size_t n)
{
    double s = 0.0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return s;
}

double jsense_objective(struct jsense_model *j, double lambda)
{
    double total = lambda * (energy(j->maps, j->maps_len) + energy(j->image, j->image_len));
    for (int c = 0; c < j->coils; c++) {
        jsense_apply(j, j->maps + (size_t)c * kernel_len(j), j->image, j->scratch);
        const float *y = j->y + (size_t)c * j->image_len;
        for (size_t i = 0; i < j->image_len; i++) {
            double d = (double)j->scratch[i] - (double)y[i];
            total += d * d;
        }
    }
    return 0.5 * total;
}
