#include "data/fft.h"

#include "base/mem.h"

#include <fftw3.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

struct fft2 {
    int h, w;
    float complex *x; /* (h, w), aligned alike in every plan: the same algorithm, the same bits */
    fftwf_plan forward, inverse;
};

/* FFTW's planner keeps global state. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

struct fft2 *fft2_new(int h, int w, struct err *e)
{
    struct fft2 *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->h = h;
    f->w = w;
    f->x = mem_new((size_t)h * (size_t)w, sizeof *f->x, e);
    if (f->x) {
        pthread_mutex_lock(&planner);
        f->forward = fftwf_plan_dft_2d(h, w, f->x, f->x, FFTW_FORWARD, FFTW_ESTIMATE);
        f->inverse = fftwf_plan_dft_2d(h, w, f->x, f->x, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&planner);
        if (f->forward && f->inverse) return f;
        err_set(e, ERR_FAILED, "no Fourier transform of %d by %d could be planned", h, w);
    }
    fft2_free(f);
    return NULL;
}

void fft2_free(struct fft2 *f)
{
    if (!f) return;
    pthread_mutex_lock(&planner);
    if (f->forward) fftwf_destroy_plan(f->forward);
    if (f->inverse) fftwf_destroy_plan(f->inverse);
    pthread_mutex_unlock(&planner);
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
    int rows, cols;                 /* that both sizes have */
    int stride;                     /* of `lines`, whole cache lines: every row is aligned alike */
    float complex *columns, *lines; /* (h, BLOCK), (rows, stride) */
    fftwf_plan down, along;
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
    f->columns = mem_new((size_t)h * BLOCK, sizeof *f->columns, e);
    f->lines = mem_new((size_t)f->rows * (size_t)f->stride, sizeof *f->lines, e);
    if (f->columns && f->lines) {
        pthread_mutex_lock(&planner);
        f->down = fftwf_plan_many_dft(1, &h, BLOCK, f->columns, NULL, BLOCK, 1, f->columns, NULL,
                                      BLOCK, 1, FFTW_BACKWARD, FFTW_ESTIMATE);
        f->along = fftwf_plan_dft_1d(w, f->lines, f->lines, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&planner);
        if (f->down && f->along) return f;
        err_set(e, ERR_FAILED, "no Fourier transform of %d by %d could be planned", h, w);
    }
    fft_fit_free(f);
    return NULL;
}

void fft_fit_free(struct fft_fit *f)
{
    if (!f) return;
    pthread_mutex_lock(&planner);
    if (f->down) fftwf_destroy_plan(f->down);
    if (f->along) fftwf_destroy_plan(f->along);
    pthread_mutex_unlock(&planner);
    mem_free(f->columns);
    mem_free(f->lines);
    mem_free(f);
}

/* Columns [from, from + n) of k-space, transformed; the rows that are kept go to columns [to, …) of
 * `lines`. */
static void transform_columns(struct fft_fit *f, const float complex *kspace, int from, int n,
                              int to)
{
    const int h = f->h, centre = h / 2, first = (h - f->rows) / 2;
    const size_t size = (size_t)n * sizeof *kspace;
    if (n < BLOCK) memset(f->columns, 0, (size_t)h * BLOCK * sizeof *f->columns);
    for (int i = 0; i < h; i++)
        memcpy(f->columns + (size_t)i * BLOCK,
               kspace + (size_t)((i + centre) % h) * (size_t)f->w + (size_t)from, size);
    fftwf_execute(f->down);
    for (int i = 0; i < f->rows; i++)
        memcpy(f->lines + (size_t)i * (size_t)f->stride + (size_t)to,
               f->columns + (size_t)((first + i + h - centre) % h) * BLOCK, size);
}

/* `lines`, transformed, and of them what is kept. */
static void transform_lines(struct fft_fit *f, float complex *image)
{
    const int w = f->w, centre = w / 2;
    const float scale = (float)(1.0 / sqrt((double)f->h * (double)w));
    const int first = (w - f->cols) / 2, top = (f->oh - f->rows) / 2, left = (f->ow - f->cols) / 2;
    if (f->rows < f->oh || f->cols < f->ow)
        memset(image, 0, (size_t)f->oh * (size_t)f->ow * sizeof *image);
    for (int i = 0; i < f->rows; i++) {
        float complex *line = f->lines + (size_t)i * (size_t)f->stride;
        float complex *to = image + (size_t)(top + i) * (size_t)f->ow + (size_t)left;
        fftwf_execute_dft(f->along, line, line);
        int wrap = least(f->cols, centre - first); /* positions before the centre are at the end */
        if (wrap < 0) wrap = 0;
        for (int j = 0; j < wrap; j++)
            to[j] = line[first + j + w - centre] * scale;
        for (int j = wrap; j < f->cols; j++)
            to[j] = line[first + j - centre] * scale;
    }
}

void fft_fit_inverse(struct fft_fit *f, const float complex *kspace, float complex *image)
{
    const int w = f->w, centre = w / 2;
    for (int j = centre; j < w; j += BLOCK)
        transform_columns(f, kspace, j, least(BLOCK, w - j), j - centre);
    for (int j = 0; j < centre; j += BLOCK)
        transform_columns(f, kspace, j, least(BLOCK, centre - j), j + w - centre);
    transform_lines(f, image);
}

/* Columns [0, n) of `columns` are those of k-space whose numbers are in from[]. */
static void transform_gathered(struct fft_fit *f, const float complex *kspace, const int *from,
                               int n)
{
    const int h = f->h, centre = h / 2, first = (h - f->rows) / 2;
    if (n < BLOCK) memset(f->columns, 0, (size_t)h * BLOCK * sizeof *f->columns);
    for (int i = 0; i < h; i++) {
        const float complex *row = kspace + (size_t)((i + centre) % h) * (size_t)f->w;
        for (int k = 0; k < n; k++)
            f->columns[i * BLOCK + k] = row[from[k]];
    }
    fftwf_execute(f->down);
    for (int i = 0; i < f->rows; i++) {
        const float complex *row = f->columns + (size_t)((first + i + h - centre) % h) * BLOCK;
        float complex *line = f->lines + (size_t)i * (size_t)f->stride;
        for (int k = 0; k < n; k++)
            line[(from[k] + f->w - f->w / 2) % f->w] = row[k];
    }
}

void fft_fit_inverse_kept(struct fft_fit *f, const float *keep, const float complex *kspace,
                          float complex *image)
{
    int from[BLOCK], n = 0;
    memset(f->lines, 0, (size_t)f->rows * (size_t)f->stride * sizeof *f->lines);
    for (int j = 0; j < f->w; j++) {
        if (keep[j] != 0.0f) from[n++] = j;
        if (n == BLOCK || (n > 0 && j == f->w - 1)) {
            transform_gathered(f, kspace, from, n);
            n = 0;
        }
    }
    transform_lines(f, image);
}

struct fft_mask {
    int w;
    float complex *line; /* aligned alike for every row: the same bits */
    fftwf_plan forward, inverse;
};

struct fft_mask *fft_mask_new(int w, struct err *e)
{
    struct fft_mask *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->w = w;
    if ((f->line = mem_new((size_t)w, sizeof *f->line, e))) {
        pthread_mutex_lock(&planner);
        f->forward = fftwf_plan_dft_1d(w, f->line, f->line, FFTW_FORWARD, FFTW_ESTIMATE);
        f->inverse = fftwf_plan_dft_1d(w, f->line, f->line, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&planner);
        if (f->forward && f->inverse) return f;
        err_set(e, ERR_FAILED, "no Fourier transform of %d could be planned", w);
    }
    fft_mask_free(f);
    return NULL;
}

void fft_mask_free(struct fft_mask *f)
{
    if (!f) return;
    pthread_mutex_lock(&planner);
    if (f->forward) fftwf_destroy_plan(f->forward);
    if (f->inverse) fftwf_destroy_plan(f->inverse);
    pthread_mutex_unlock(&planner);
    mem_free(f->line);
    mem_free(f);
}

void fft_mask_line(const struct fft_mask *f, const float *keep, float complex *line)
{
    const int w = f->w, centre = w / 2;
    const float scale = 1.0f / (float)w;
    fftwf_execute_dft(f->forward, line, line);
    for (int j = 0; j < w - centre; j++) /* frequency 0 is column w / 2 of the mask */
        line[j] *= keep[centre + j] * scale;
    for (int j = 0; j < centre; j++)
        line[w - centre + j] *= keep[j] * scale;
    fftwf_execute_dft(f->inverse, line, line);
}

void fft_mask_columns(struct fft_mask *f, const float *keep, float complex *image, int h)
{
    const size_t w = (size_t)f->w;
    for (size_t i = 0; i < (size_t)h; i++) {
        memcpy(f->line, image + i * w, w * sizeof *image);
        fft_mask_line(f, keep, f->line);
        memcpy(image + i * w, f->line, w * sizeof *image);
    }
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
        pthread_mutex_lock(&planner);
        f->forward = fftw_plan_dft_2d(h, w, x, y, FFTW_FORWARD, FFTW_ESTIMATE);
        f->inverse = fftw_plan_dft_2d(h, w, x, y, FFTW_BACKWARD, FFTW_ESTIMATE);
        pthread_mutex_unlock(&planner);
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
    pthread_mutex_lock(&planner);
    if (f->forward) fftw_destroy_plan(f->forward);
    if (f->inverse) fftw_destroy_plan(f->inverse);
    pthread_mutex_unlock(&planner);
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
