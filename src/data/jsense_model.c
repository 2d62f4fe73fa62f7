#include "data/jsense_model.h"

#include "base/mem.h"
#include "data/jsense_normal.h"

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
    const size_t most = j->image_len > j->maps_len ? j->image_len : j->maps_len;
    const size_t one = sizeof(float), two = sizeof(double);
    if ((j->y = mem_new(j->image_len * (size_t)coils, one, e)) &&
        (j->mask = mem_new(j->plane, one, e)) && (j->image = mem_new(j->image_len, one, e)) &&
        (j->maps = mem_new(j->maps_len, one, e)) && (j->scratch = mem_new(j->image_len, one, e)) &&
        (j->input = mem_new(most, one, e)) && (j->rest = mem_new(most, one, e)) &&
        (j->cg.x = mem_new(most, two, e)) && (j->cg.b = mem_new(most, two, e)) &&
        (j->cg.residual = mem_new(most, two, e)) && (j->cg.p = mem_new(most, two, e)) &&
        (j->cg.ap = mem_new(most, two, e)) && (j->normal_maps = normal_maps_new(j, e)) &&
        (!normal_image_pays(j) || (j->normal_image = normal_image_new(j, e))))
        return 0;
    jsense_model_release(j);
    return -1;
}

void jsense_model_release(struct jsense_model *j)
{
    void *const all[] = {j->y,    j->mask, j->image, j->maps,        j->scratch, j->input,
                         j->rest, j->cg.x, j->cg.b,  j->cg.residual, j->cg.p,    j->cg.ap};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
    normal_maps_free(j->normal_maps);
    normal_image_free(j->normal_image);
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
