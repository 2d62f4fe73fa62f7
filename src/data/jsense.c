#include "data/jsense.h"

#include "base/mem.h"
#include "data/jsense_model.h"
#include "data/sens.h"

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
    CFG_TEXT(struct jsense_conf, maps, "",
             "folder of coil sensitivities made elsewhere, for every scan NAME a file NAME.h5 with "
             "a complex dataset 'maps' (slice, coil, height, width), or BART's NAME.cfl and "
             "NAME.hdr with the dimensions (height, width, slice, coil); they are normalised and "
             "used instead of JSENSE"),
    CFG_END};

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
    int side = (int)lround(c->calibration * w), row, col;
    if (side < c->kernel) side = c->kernel;
    j->rows = at_most(side, h);
    j->cols = at_most(side, w);
    if ((j->model = mem_new(1, sizeof *j->model, e)) &&
        jsense_model_init(j->model, coils, c->kernel, j->rows, j->cols, e) == 0) {
        jsense_model_centre(j->model, &row, &col);
        if ((j->sens = sens_new(coils, c->kernel, row, col, h, w, e))) return j;
    }
    jsense_free(j);
    return NULL;
}

void jsense_free(struct jsense *j)
{
    if (!j) return;
    if (j->model) jsense_model_release(j->model);
    mem_free(j->model);
    sens_free(j->sens);
    mem_free(j);
}

void jsense_square(const struct jsense *j, const float complex *kspace, float complex *square)
{
    const size_t w = (size_t)j->w, cols = (size_t)j->cols;
    const size_t top = (size_t)(j->h / 2 - j->rows / 2), left = (size_t)(j->w / 2 - j->cols / 2);
    for (size_t c = 0; c < (size_t)j->coils; c++)
        for (size_t y = 0; y < (size_t)j->rows; y++)
            memcpy(square + (c * (size_t)j->rows + y) * cols,
                   kspace + (c * (size_t)j->h + top + y) * w + left, cols * sizeof *square);
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

/* Loads the model, scaled to unit energy, and notes where samples are. False when all are 0. */
static bool load_square(struct jsense_model *m, const float complex *square)
{
    const double total = energy(square, (size_t)m->coils * (size_t)m->rows * (size_t)m->cols);
    if (!(total > 0.0)) return false;
    const double scale = 1.0 / sqrt(total);
    memset(m->mask, 0, m->plane * sizeof *m->mask);
    for (int c = 0; c < m->coils; c++)
        for (int y = 0; y < m->rows; y++)
            for (int x = 0; x < m->cols; x++, square++) {
                size_t at = jsense_model_at(m, y, x);
                float *to = m->y + (size_t)c * m->image_len + at;
                to[0] = (float)(scale * (double)crealf(*square));
                to[m->plane] = (float)(scale * (double)cimagf(*square));
                if (*square != 0.0f) m->mask[at] = 1.0f;
            }
    return true;
}

bool jsense_kernels(struct jsense *j, const float complex *square, float complex *kernels)
{
    struct jsense_model *m = j->model;
    const size_t n = (size_t)(m->k * m->k);
    if (!load_square(m, square)) {
        memset(kernels, 0, (size_t)j->coils * n * sizeof *kernels);
        return false;
    }
    jsense_model_start(m);
    for (int i = 0; i < j->conf.iterations; i++) {
        jsense_solve_maps(m, j->conf.inner_iterations, j->conf.lambda);
        jsense_solve_image(m, j->conf.inner_iterations, j->conf.lambda);
    }
    for (size_t c = 0; c < (size_t)j->coils; c++)
        for (size_t i = 0; i < n; i++)
            kernels[c * n + i] = m->maps[2 * c * n + i] + m->maps[(2 * c + 1) * n + i] * I;
    return true;
}

void jsense_maps(struct jsense *j, const float complex *kernels, float complex *maps)
{
    sens_maps(j->sens, kernels, maps);
}

void jsense_combine(struct jsense *j, const float complex *kernels, const float complex *images,
                    float complex *out, float *rss)
{
    sens_combine(j->sens, kernels, images, out, rss);
}
