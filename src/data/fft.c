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
