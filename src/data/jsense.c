#include "data/jsense.h"

#include "base/mem.h"
#include "data/fft.h"
#include "data/jsense_model.h"

#include <math.h>
#include <string.h>

/* Defaults: those of the paper's references, which are 320 wide, so that 26 samples calibrate. What
 * counts is that number: at 128 wide, 0.08 gives 10 samples, too few for kernels of 8 and many
 * coils. */
const struct cfg_field jsense_fields[] = {
    CFG_INT(struct jsense_conf, kernel, "8", 2, 32, "samples",
            "side of a sensitivity kernel in k-space"),
    CFG_REAL(struct jsense_conf, calibration, "0.08", 0, 1, "",
             "side of the square calibration region as a fraction of the phase width, from the "
             "kernel's to the image's side; below three kernels the maps may leave dark spots"),
    CFG_INT(struct jsense_conf, iterations, "10", 1, 1000, "",
            "alternations between maps and image"),
    CFG_INT(struct jsense_conf, inner_iterations, "10", 1, 1000, "",
            "conjugate gradient steps for each half of an alternation"),
    CFG_REAL(struct jsense_conf, lambda, "0", 0, 1e6, "", "weight of the kernels' energy"),
    CFG_END};

struct jsense {
    struct jsense_conf conf;
    int coils, h, w;
    struct jsense_model model;
    struct fft2 *fft;
};

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

struct jsense *jsense_new(const struct jsense_conf *c, int coils, int h, int w, struct err *e)
{
    if (c->kernel > at_most(h, w)) {
        err_set(e, ERR_CONFIG, "a sensitivity kernel of %d is larger than the image of %d by %d",
                c->kernel, h, w);
        err_hint(e, "choose a smaller 'kernel'");
        return NULL;
    }
    struct jsense *j = mem_new(1, sizeof *j, e);
    if (!j) return NULL;
    *j = (struct jsense){.conf = *c, .coils = coils, .h = h, .w = w};
    int side = (int)lround(c->calibration * w);
    if (side < c->kernel) side = c->kernel;
    j->fft = fft2_new(h, w, e);
    if (!j->fft ||
        jsense_model_init(&j->model, coils, c->kernel, at_most(side, h), at_most(side, w), e)) {
        jsense_free(j);
        return NULL;
    }
    return j;
}

void jsense_free(struct jsense *j)
{
    if (!j) return;
    jsense_model_release(&j->model);
    fft2_free(j->fft);
    mem_free(j);
}

static double energy(const float complex *x, size_t n)
{
    double s = 0.0;
    for (size_t i = 0; i < n; i++) {
        double re = (double)crealf(x[i]), im = (double)cimagf(x[i]);
        s += re * re + im * im;
    }
    return s;
}

/* Copies the centre of k-space (coil, h, w), scaled to unit energy, and notes where samples are.
 * Returns its energy; 0 leaves the model unset. */
static double load_calibration(struct jsense *j, const float complex *kspace)
{
    struct jsense_model *m = &j->model;
    int top = j->h / 2 - m->rows / 2, left = j->w / 2 - m->cols / 2;
    double total = 0.0;
    for (int c = 0; c < j->coils; c++)
        for (int y = 0; y < m->rows; y++)
            total += energy(kspace + ((size_t)c * (size_t)j->h + (size_t)(top + y)) * (size_t)j->w +
                                left,
                            (size_t)m->cols);
    if (!(total > 0.0)) return 0.0;

    double scale = 1.0 / sqrt(total);
    memset(m->mask, 0, m->plane * sizeof *m->mask);
    for (int c = 0; c < j->coils; c++)
        for (int y = 0; y < m->rows; y++)
            for (int x = 0; x < m->cols; x++) {
                float complex v =
                    kspace[((size_t)c * (size_t)j->h + (size_t)(top + y)) * (size_t)j->w +
                           (size_t)(left + x)];
                size_t at = jsense_model_at(m, y, x);
                float *to = m->y + (size_t)c * m->image_len + at;
                to[0] = (float)(scale * (double)crealf(v));
                to[m->plane] = (float)(scale * (double)cimagf(v));
                if (v != 0.0f) m->mask[at] = 1.0f;
            }
    return total;
}

int jsense_kernels(struct jsense *j, const float complex *kspace, float complex *kernels,
                   struct err *e)
{
    struct jsense_model *m = &j->model;
    size_t n = (size_t)(m->k * m->k);
    if (load_calibration(j, kspace) == 0.0) {
        memset(kernels, 0, (size_t)j->coils * n * sizeof *kernels);
        if (energy(kspace, (size_t)j->coils * (size_t)j->h * (size_t)j->w) == 0.0) return 0;
        err_set(e, ERR_DATA, "the centre of k-space, %d by %d samples, holds only zeros", m->rows,
                m->cols);
        return err_hint(e, "is the k-space stored with its centre in the corner, or masked?");
    }
    jsense_model_start(m);
    for (int i = 0; i < j->conf.iterations; i++) {
        jsense_solve_maps(m, j->conf.inner_iterations, j->conf.lambda);
        jsense_solve_image(m, j->conf.inner_iterations, j->conf.lambda);
    }
    for (size_t c = 0; c < (size_t)j->coils; c++)
        for (size_t i = 0; i < n; i++)
            kernels[c * n + i] = m->maps[2 * c * n + i] + m->maps[(2 * c + 1) * n + i] * I;
    return 0;
}

/* Divides by the root of the sum of squares over coils; 0 stays 0. */
static void unit_rss(float complex *maps, int coils, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double s = 0.0;
        for (size_t c = 0; c < (size_t)coils; c++)
            s += energy(maps + c * n + i, 1);
        float scale = s > 0.0 ? (float)(1.0 / sqrt(s)) : 0.0f;
        for (size_t c = 0; c < (size_t)coils; c++)
            maps[c * n + i] *= scale;
    }
}

void jsense_maps(struct jsense *j, const float complex *kernels, float complex *maps)
{
    size_t k = (size_t)j->model.k, w = (size_t)j->w, n = (size_t)j->h * w;
    int row, col;
    jsense_model_centre(&j->model, &row, &col);
    size_t top = (size_t)(j->h / 2 - row), left = (size_t)(j->w / 2 - col);
    memset(maps, 0, (size_t)j->coils * n * sizeof *maps);
    for (size_t c = 0; c < (size_t)j->coils; c++) {
        for (size_t y = 0; y < k; y++)
            memcpy(maps + c * n + (top + y) * w + left, kernels + (c * k + y) * k,
                   k * sizeof *maps);
        fft2_inverse(j->fft, maps + c * n);
    }
    unit_rss(maps, j->coils, n);
}
