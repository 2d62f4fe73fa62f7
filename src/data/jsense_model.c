#include "data/jsense_model.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

enum { LANES = 8, MAX_KERNEL = 32 }; /* eight: one AVX register; wider wastes more on short rows */
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float lanes_at __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

static double sum(const lanes *v)
{
    double s = 0.0;
    for (int i = 0; i < LANES; i++)
        s += (double)(*v)[i];
    return s;
}

static int round_up(int n)
{
    return (n + LANES - 1) / LANES * LANES;
}

int jsense_model_init(struct jsense_model *j, int coils, int k, int rows, int cols, struct err *e)
{
    /* Loops read whole vectors: up to a vector less one past the last column, k - 1 further on. */
    *j = (struct jsense_model){.coils = coils, .k = k, .rows = rows, .cols = cols};
    j->stride = round_up(cols + k - 1) + round_up(k - 1);
    j->plane = (size_t)j->stride * (size_t)(rows + 2 * (k - 1));
    j->image_len = 2 * j->plane;
    j->maps_len = 2 * (size_t)coils * (size_t)(k * k);
    size_t most = j->image_len > j->maps_len ? j->image_len : j->maps_len;
    float **const all[] = {&j->y, &j->mask,     &j->image, &j->maps, &j->scratch,
                           &j->b, &j->residual, &j->p,     &j->ap};
    const size_t len[] = {2 * j->plane * (size_t)coils,
                          j->plane,
                          j->image_len,
                          j->maps_len,
                          j->image_len,
                          most,
                          most,
                          most,
                          most};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = mem_new(len[i], sizeof(float), e);
        if (*all[i]) continue;
        jsense_model_release(j);
        return -1;
    }
    return 0;
}

void jsense_model_release(struct jsense_model *j)
{
    float *const all[] = {j->y, j->mask,     j->image, j->maps, j->scratch,
                          j->b, j->residual, j->p,     j->ap};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    *j = (struct jsense_model){0};
}

size_t jsense_model_at(const struct jsense_model *j, int row, int col)
{
    return (size_t)(row + j->k - 1) * (size_t)j->stride + (size_t)(col + j->k - 1);
}

void jsense_model_start(struct jsense_model *j)
{
    memset(j->maps, 0, j->maps_len * sizeof(float));
    memset(j->image, 0, j->image_len * sizeof(float));
    int row = (j->rows + j->k - 1) / 2, col = (j->cols + j->k - 1) / 2;
    j->image[(size_t)row * (size_t)j->stride + (size_t)col] = 1.0f;
}

void jsense_model_centre(const struct jsense_model *j, int *row, int *col)
{
    *row = j->rows / 2 + j->k - 1 - (j->rows + j->k - 1) / 2;
    *col = j->cols / 2 + j->k - 1 - (j->cols + j->k - 1) / 2;
}

/* dst[y, x] (+)= sum_(v, u) kernel[v, u] src[y + v, x + u] for y < rows, x < cols; complex. */
static void correlate(const struct jsense_model *j, const float *src, const float *re,
                      const float *im, float *dst, int rows, int cols, bool add)
{
    const int k = j->k, stride = j->stride;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < cols; x += LANES) {
            lanes rr = {0}, ii = {0}, ri = {0}, ir = {0};
            for (int v = 0; v < k; v++) {
                const float *s = src + (size_t)(y + v) * (size_t)stride + (size_t)x;
                for (int u = 0; u < k; u++) {
                    lanes a = *(const lanes_at *)(s + u), b = *(const lanes_at *)(s + u + j->plane);
                    float kr = re[v * k + u], ki = im[v * k + u];
                    rr += kr * a;
                    ii += ki * b;
                    ri += kr * b;
                    ir += ki * a;
                }
            }
            lanes out_re = rr - ii, out_im = ri + ir;
            float *d = dst + (size_t)y * (size_t)stride + (size_t)x;
            int n = cols - x < LANES ? cols - x : LANES;
            for (int i = 0; i < n; i++) {
                d[i] = (add ? d[i] : 0.0f) + out_re[i];
                d[i + (int)j->plane] = (add ? d[i + (int)j->plane] : 0.0f) + out_im[i];
            }
        }
    }
}

void jsense_apply(const struct jsense_model *j, const float *m, const float *r, float *out)
{
    const int n = j->k * j->k;
    float re[MAX_KERNEL * MAX_KERNEL], im[MAX_KERNEL * MAX_KERNEL];
    for (int i = 0; i < n; i++) { /* convolution: the kernel reversed */
        re[i] = m[n - 1 - i];
        im[i] = m[2 * n - 1 - i];
    }
    size_t corner = jsense_model_at(j, 0, 0);
    correlate(j, r, re, im, out + corner, j->rows, j->cols, false);
    for (int y = 0; y < j->rows; y++) {
        size_t row = jsense_model_at(j, y, 0);
        for (size_t i = row; i < row + (size_t)j->cols; i++) {
            out[i] *= j->mask[i];
            out[i + j->plane] *= j->mask[i];
        }
    }
}

void jsense_adjoint_image(const struct jsense_model *j, const float *x, const float *m, float *r)
{
    const int n = j->k * j->k;
    float im[MAX_KERNEL * MAX_KERNEL];
    for (int i = 0; i < n; i++)
        im[i] = -m[n + i];
    correlate(j, x, m, im, r, j->rows + j->k - 1, j->cols + j->k - 1, true);
}

void jsense_adjoint_maps(const struct jsense_model *j, const float *x, const float *r, float *m)
{
    const int k = j->k, n = k * k, stride = j->stride;
    for (int t = 0; t < n; t++) { /* m[k - 1 - t] = sum_p x[p] conj(r[p + t]) */
        lanes rr = {0}, ii = {0}, ri = {0}, ir = {0};
        for (int y = 0; y < j->rows; y++) {
            const float *a = x + jsense_model_at(j, y, 0);
            const float *b = r + (size_t)(y + t / k) * (size_t)stride + (size_t)(t % k);
            for (int i = 0; i < j->cols; i += LANES) { /* past the columns x is zero */
                lanes xr = *(const lanes_at *)(a + i), xi = *(const lanes_at *)(a + i + j->plane);
                lanes br = *(const lanes_at *)(b + i), bi = *(const lanes_at *)(b + i + j->plane);
                rr += xr * br;
                ii += xi * bi;
                ri += xi * br;
                ir += xr * bi;
            }
        }
        m[n - 1 - t] = (float)(sum(&rr) + sum(&ii));
        m[2 * n - 1 - t] = (float)(sum(&ri) - sum(&ir));
    }
}

/* ---- Conjugate gradients ----------------------------------------------------------------- */

static double dot(const float *a, const float *b, size_t n)
{
    double part[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++)
            part[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; i++)
        part[0] += (double)a[i] * (double)b[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) +
           ((part[4] + part[5]) + (part[6] + part[7]));
}

/* y = A^H A x: a normal operator of the model with the other factor fixed. */
typedef void normal_op(struct jsense_model *j, const float *x, float *y);

/* Hestenes & Stiefel 1952, from the present x. Complex vectors are real ones of twice the length:
 * every scalar of the recurrence is real. */
static void conjugate_gradients(struct jsense_model *j, normal_op *normal, float *x, size_t n,
                                int iterations, float lambda)
{
    normal(j, x, j->ap);
    for (size_t i = 0; i < n; i++)
        j->p[i] = j->residual[i] = j->b[i] - j->ap[i] - lambda * x[i];
    /* Below this the residual is rounding error, and going on would amplify it. */
    double rr = dot(j->residual, j->residual, n), enough = 1e-13 * dot(j->b, j->b, n);
    for (int it = 0; it < iterations && rr > enough; it++) {
        normal(j, j->p, j->ap);
        for (size_t i = 0; i < n; i++)
            j->ap[i] += lambda * j->p[i];
        double pap = dot(j->p, j->ap, n);
        if (!(pap > 0.0)) return;
        float alpha = (float)(rr / pap);
        for (size_t i = 0; i < n; i++) {
            x[i] += alpha * j->p[i];
            j->residual[i] -= alpha * j->ap[i];
        }
        double next = dot(j->residual, j->residual, n);
        float beta = (float)(next / rr);
        for (size_t i = 0; i < n; i++)
            j->p[i] = j->residual[i] + beta * j->p[i];
        rr = next;
    }
}

static size_t kernel_len(const struct jsense_model *j)
{
    return 2 * (size_t)(j->k * j->k);
}

static void normal_maps(struct jsense_model *j, const float *x, float *y)
{
    for (int c = 0; c < j->coils; c++) {
        size_t at = (size_t)c * kernel_len(j);
        jsense_apply(j, x + at, j->image, j->scratch);
        jsense_adjoint_maps(j, j->scratch, j->image, y + at);
    }
}

static void normal_image(struct jsense_model *j, const float *x, float *y)
{
    memset(y, 0, j->image_len * sizeof *y);
    for (int c = 0; c < j->coils; c++) {
        const float *m = j->maps + (size_t)c * kernel_len(j);
        jsense_apply(j, m, x, j->scratch);
        jsense_adjoint_image(j, j->scratch, m, y);
    }
}

void jsense_solve_maps(struct jsense_model *j, int iterations, double lambda)
{
    for (int c = 0; c < j->coils; c++)
        jsense_adjoint_maps(j, j->y + (size_t)c * j->image_len, j->image,
                            j->b + (size_t)c * kernel_len(j));
    conjugate_gradients(j, normal_maps, j->maps, j->maps_len, iterations, (float)lambda);
}

void jsense_solve_image(struct jsense_model *j, int iterations, double lambda)
{
    memset(j->b, 0, j->image_len * sizeof *j->b);
    for (int c = 0; c < j->coils; c++)
        jsense_adjoint_image(j, j->y + (size_t)c * j->image_len,
                             j->maps + (size_t)c * kernel_len(j), j->b);
    conjugate_gradients(j, normal_image, j->image, j->image_len, iterations, (float)lambda);
}

double jsense_objective(struct jsense_model *j, double lambda)
{
    double total =
        lambda * (dot(j->maps, j->maps, j->maps_len) + dot(j->image, j->image, j->image_len));
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
