#include "data/fft.h"

#include "base/mem.h"
#include "data/fft_line.h"

#include <fftw3.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct fft2 {
    int h, w;
    float complex *x; /* (h, w), aligned alike in every plan: the same algorithm, the same bits */
    fftwf_plan forward, inverse;
};

struct fft2 *fft2_new(int h, int w, struct err *e)
{
    struct fft2 *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->h = h;
    f->w = w;
    f->x = mem_new((size_t)h * (size_t)w, sizeof *f->x, e);
    if (f->x) {
        pthread_mutex_lock(&fft_planner);
        f->forward = fftwf_plan_dft_2d(h, w, f->x, f->x, FFTW_FORWARD, FFTW_ESTIMATE);
        f->inverse = fftwf_plan_dft_2d(h, w, f->x, f->x, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&fft_planner);
        if (f->forward && f->inverse) return f;
        err_set(e, ERR_FAILED, "no Fourier transform of %d by %d could be planned", h, w);
    }
    fft2_free(f);
    return NULL;
}

void fft2_free(struct fft2 *f)
{
    if (!f) return;
    pthread_mutex_lock(&fft_planner);
    if (f->forward) fftwf_destroy_plan(f->forward);
    if (f->inverse) fftwf_destroy_plan(f->inverse);
    pthread_mutex_unlock(&fft_planner);
    mem_free(f->x);
    mem_free(f);
}

/* Moves the centre (h / 2, w / 2) of x to the origin of the transform's array. */
static void load(struct fft2 *f, const float complex *x)
{
    int h = f->h, w = f->w, cy = h / 2, cx = w / 2;
    for (int i = 0; i < h; i++) {
        const float complex *from = x + (size_t)((i + cy) % h) * (size_t)w;
        float complex *to = f->x + (size_t)i * (size_t)w;
        memcpy(to, from + cx, (size_t)(w - cx) * sizeof *to);
        memcpy(to + (w - cx), from, (size_t)cx * sizeof *to);
    }
}

/* And back, scaled to an orthonormal transform. */
static void store(const struct fft2 *f, float complex *x)
{
    int h = f->h, w = f->w, cy = h / 2, cx = w / 2;
    float scale = (float)(1.0 / sqrt((double)h * (double)w));
    for (int i = 0; i < h; i++) {
        const float complex *from = f->x + (size_t)i * (size_t)w;
        float complex *to = x + (size_t)((i + cy) % h) * (size_t)w;
        for (int j = 0; j < w - cx; j++)
            to[cx + j] = from[j] * scale;
        for (int j = 0; j < cx; j++)
            to[j] = from[w - cx + j] * scale;
    }
}

void fft2_forward(struct fft2 *f, float complex *x)
{
    load(f, x);
    fftwf_execute(f->forward);
    store(f, x);
}

void fft2_inverse(struct fft2 *f, float complex *x)
{
    load(f, x);
    fftwf_execute(f->inverse);
    store(f, x);
}

void fft2_bare(struct fft2 *f)
{
    fftwf_execute(f->inverse);
}

/* ---- Inverse transform and crop in one ------------------------------------------------------ */

enum { BLOCK = 16 }; /* columns transformed together: two cache lines of every row */

struct fft_fit {
    int h, w, oh, ow;
    int rows, cols;        /* that both sizes have */
    int stride;            /* of `lines`, whole cache lines: every row is aligned alike */
    float complex *before; /* (h, BLOCK): columns of k-space */
    float complex *after;  /* likewise, transformed */
    float complex *lines;  /* (rows, stride) */
    float complex *row;    /* (ow), of the image */
    fftwf_plan down;
    struct fft_line *along;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

struct fft_fit *fft_fit_new(int h, int w, int oh, int ow, struct err *e)
{
    struct fft_fit *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    *f = (struct fft_fit){.h = h, .w = w, .oh = oh, .ow = ow};
    f->rows = least(h, oh);
    f->cols = least(w, ow);
    f->stride = (w + 7) / 8 * 8;
    const size_t block = (size_t)h * BLOCK, one = sizeof *f->lines;
    if ((f->before = mem_new(block, one, e)) && (f->after = mem_new(block, one, e)) &&
        (f->lines = mem_new((size_t)f->rows * (size_t)f->stride, one, e)) &&
        (f->row = mem_new((size_t)ow, one, e)) && (f->along = fft_line_new(w, 1, e))) {
        pthread_mutex_lock(&fft_planner);
        f->down = fftwf_plan_many_dft(1, &h, BLOCK, f->before, NULL, BLOCK, 1, f->after, NULL,
                                      BLOCK, 1, FFTW_BACKWARD, FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
        pthread_mutex_unlock(&fft_planner);
        if (f->down) return f;
        err_set(e, ERR_FAILED, "no Fourier transform of %d by %d could be planned", h, w);
    }
    fft_fit_free(f);
    return NULL;
}

void fft_fit_free(struct fft_fit *f)
{
    if (!f) return;
    pthread_mutex_lock(&fft_planner);
    if (f->down) fftwf_destroy_plan(f->down);
    pthread_mutex_unlock(&fft_planner);
    fft_line_free(f->along);
    mem_free(f->before);
    mem_free(f->after);
    mem_free(f->lines);
    mem_free(f->row);
    mem_free(f);
}

/* Some columns: their places in k-space, and those of their transforms in `lines`. */
struct columns {
    int n, from[BLOCK], to[BLOCK];
};

static bool together(const int *place, int n)
{
    return place[n - 1] - place[0] == n - 1;
}

/* to[j] = from[place[j]] of a row, or the other way round. */
static void gather(float complex *to, const float complex *from, const int *place, int n)
{
    for (int k = 0; k < n; k++)
        to[k] = from[place[k]];
}

static void scatter(float complex *to, const float complex *from, const int *place, int n)
{
    for (int k = 0; k < n; k++)
        to[place[k]] = from[k];
}

static void transform_columns(struct fft_fit *f, const float complex *kspace,
                              const struct columns *c)
{
    const int h = f->h, centre = h / 2, first = (h - f->rows) / 2;
    const bool block = c->n == BLOCK && together(c->from, BLOCK) && together(c->to, BLOCK);
    if (c->n < BLOCK) memset(f->before, 0, (size_t)h * BLOCK * sizeof *f->before);
    for (int i = 0; i < h; i++) {
        const float complex *row = kspace + (size_t)((i + centre) % h) * (size_t)f->w;
        float complex *to = f->before + (size_t)i * BLOCK;
        if (block)
            memcpy(to, row + c->from[0], BLOCK * sizeof *to);
        else
            gather(to, row, c->from, c->n);
    }
    fftwf_execute(f->down);
    for (int i = 0; i < f->rows; i++) {
        const float complex *row = f->after + (size_t)((first + i + h - centre) % h) * BLOCK;
        float complex *to = f->lines + (size_t)i * (size_t)f->stride;
        if (block)
            memcpy(to + c->to[0], row, BLOCK * sizeof *to);
        else
            scatter(to, row, c->to, c->n);
    }
}

/* All columns of which keep is not 0; NULL: all there are. The centre comes first, as in `lines`.
 */
static void transform_down(struct fft_fit *f, const float *keep, const float complex *kspace)
{
    struct columns c = {0};
    if (keep) memset(f->lines, 0, (size_t)f->rows * (size_t)f->stride * sizeof *f->lines);
    for (int to = 0; to < f->w; to++) {
        const int from = (to + f->w / 2) % f->w;
        if (!keep || keep[from] != 0.0f) {
            c.from[c.n] = from;
            c.to[c.n++] = to;
        }
        if (c.n == BLOCK || (c.n > 0 && to == f->w - 1)) {
            transform_columns(f, kspace, &c);
            c.n = 0;
        }
    }
}

/* The columns of a transformed line that are kept. */
static void fit_line(const struct fft_fit *f, const float complex *line, float complex *to)
{
    const int w = f->w, centre = w / 2, first = (w - f->cols) / 2;
    const float scale = (float)(1.0 / sqrt((double)f->h * (double)w));
    int wrap = least(f->cols, centre - first); /* positions before the centre are at the end */
    if (wrap < 0) wrap = 0;
    for (int j = 0; j < wrap; j++)
        to[j] = line[first + j + w - centre] * scale;
    for (int j = wrap; j < f->cols; j++)
        to[j] = line[first + j - centre] * scale;
}

static void transform_along(struct fft_fit *f, const struct fft_mask *mask, const float *keep,
                            float complex *image)
{
    const size_t ow = (size_t)f->ow;
    const int top = (f->oh - f->rows) / 2, left = (f->ow - f->cols) / 2;
    if (f->rows < f->oh) memset(image, 0, (size_t)f->oh * ow * sizeof *image);
    for (int i = 0; i < f->rows; i++) {
        float complex *line = f->lines + (size_t)i * (size_t)f->stride;
        fft_line_run(f->along, line);
        if (f->cols < f->ow) memset(f->row, 0, ow * sizeof *f->row);
        fit_line(f, line, f->row + left);
        if (mask) fft_mask_line(mask, keep, f->row);
        memcpy(image + (size_t)(top + i) * ow, f->row, ow * sizeof *image);
    }
}

void fft_fit_inverse(struct fft_fit *f, const float complex *kspace, float complex *image)
{
    transform_down(f, NULL, kspace);
    transform_along(f, NULL, NULL, image);
}

void fft_fit_inverse_kept(struct fft_fit *f, const float *keep, const float complex *kspace,
                          float complex *image)
{
    transform_down(f, keep, kspace);
    transform_along(f, NULL, NULL, image);
}

void fft_fit_inverse_masked(struct fft_fit *f, const struct fft_mask *mask, const float *keep,
                            const float complex *kspace, float complex *image)
{
    if (f->w == f->ow) { /* there and back again would cancel */
        fft_fit_inverse_kept(f, keep, kspace, image);
        return;
    }
    transform_down(f, NULL, kspace);
    transform_along(f, mask, keep, image);
}

struct fft_mask {
    int w;
    struct fft_line *forward, *inverse;
};

struct fft_mask *fft_mask_new(int w, struct err *e)
{
    struct fft_mask *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->w = w;
    if ((f->forward = fft_line_new(w, -1, e)) && (f->inverse = fft_line_new(w, 1, e))) return f;
    fft_mask_free(f);
    return NULL;
}

void fft_mask_free(struct fft_mask *f)
{
    if (!f) return;
    fft_line_free(f->forward);
    fft_line_free(f->inverse);
    mem_free(f);
}

void fft_mask_line(const struct fft_mask *f, const float *keep, float complex *line)
{
    const int w = f->w, centre = w / 2;
    const float scale = 1.0f / (float)w;
    fft_line_run(f->forward, line);
    for (int j = 0; j < w - centre; j++) /* frequency 0 is column w / 2 of the mask */
        line[j] *= keep[centre + j] * scale;
    for (int j = 0; j < centre; j++)
        line[w - centre + j] *= keep[j] * scale;
    fft_line_run(f->inverse, line);
}

/* ---- In double precision ---- */

struct fft2_double {
    fftw_plan forward, inverse;
};

struct fft2_double *fft2_double_new(int h, int w, struct err *e)
{
    struct fft2_double *f = mem_new(1, sizeof *f, e);
    size_t n = (size_t)h * (size_t)w;
    double complex *x = mem_new(n, sizeof *x, e), *y = mem_new(n, sizeof *y, e);
    if (f && x && y) { /* planned on arrays as aligned as those it will be given */
        pthread_mutex_lock(&fft_planner);
        f->forward = fftw_plan_dft_2d(h, w, x, y, FFTW_FORWARD, FFTW_ESTIMATE);
        f->inverse = fftw_plan_dft_2d(h, w, x, y, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&fft_planner);
        if (!f->forward || !f->inverse)
            err_set(e, ERR_FAILED, "no Fourier transform of %d by %d could be planned", h, w);
    }
    mem_free(x);
    mem_free(y);
    if (f && f->forward && f->inverse) return f;
    fft2_double_free(f);
    return NULL;
}

void fft2_double_free(struct fft2_double *f)
{
    if (!f) return;
    pthread_mutex_lock(&fft_planner);
    if (f->forward) fftw_destroy_plan(f->forward);
    if (f->inverse) fftw_destroy_plan(f->inverse);
    pthread_mutex_unlock(&fft_planner);
    mem_free(f);
}

void fft2_double_forward(const struct fft2_double *f, double complex *x, double complex *y)
{
    fftw_execute_dft(f->forward, x, y);
}

void fft2_double_inverse(const struct fft2_double *f, double complex *x, double complex *y)
{
    fftw_execute_dft(f->inverse, x, y);
}

static void fit(const char *x, int h, int w, char *y, int oh, int ow, size_t size)
{
    int rows = h < oh ? h : oh, cols = w < ow ? w : ow;
    size_t sy = h > oh ? (size_t)((h - oh) / 2) : 0, sx = w > ow ? (size_t)((w - ow) / 2) : 0;
    size_t dy = oh > h ? (size_t)((oh - h) / 2) : 0, dx = ow > w ? (size_t)((ow - w) / 2) : 0;
    if (rows < oh || cols < ow) memset(y, 0, (size_t)oh * (size_t)ow * size);
    for (size_t i = 0; i < (size_t)rows; i++)
        memcpy(y + ((dy + i) * (size_t)ow + dx) * size, x + ((sy + i) * (size_t)w + sx) * size,
               (size_t)cols * size);
}

void image_fit(const float complex *x, int h, int w, float complex *y, int oh, int ow)
{
    fit((const char *)x, h, w, (char *)y, oh, ow, sizeof *x);
}

void image_fit_f32(const float *x, int h, int w, float *y, int oh, int ow)
{
    fit((const char *)x, h, w, (char *)y, oh, ow, sizeof *x);
}
