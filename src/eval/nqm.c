/* Noise quality measure (Damera-Venkata, Kite, Geisler, Evans, Bovik, IEEE TIP 9(4), 2000), as in
 * the authors' program: both images are taken apart into a low-pass residual and five bands of an
 * octave (Peli's cosine log filters, centred at 2, 4, 8, 16 and 32 cycles an image); the contrast
 * of a band is it over the sum of all lower ones; what the reference's contrast masks is set equal
 * to the reference, what is below the contrast threshold for a viewing distance of 3.5 image
 * heights is set to zero; the measure is the signal-to-noise ratio of the sums of the bands.
 *
 * It is neither symmetric nor continuous: thresholds decide pixel by pixel. Where the sum of the
 * lower bands is 0, contrasts are infinite or NaN, which no comparison takes for masked or
 * invisible: the band's values, which are finite, are kept. */
#include "base/mem.h"
#include "base/par.h"
#include "data/fft.h"
#include "eval/metric.h"
#include "eval/range.h"

#include <complex.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BANDS = 6, CHUNK = 4096 }; /* the residual is band 0 */

struct nqm {
    struct fft2_double *fft;
    size_t n;
    double complex *spectrum, *scratch;      /* (h, w), (BANDS, h, w) */
    double complex *band[BANDS];             /* reference + i image, each */
    double *gain[BANDS];                     /* of the filters, over the transform's scale */
    double masking[BANDS], threshold[BANDS]; /* contrasts */
    double (*sum)[2];                        /* (chunks): squares of the reference and noise */
};

static void close_nqm(void *state)
{
    struct nqm *s = state;
    if (!s) return;
    fft2_double_free(s->fft);
    mem_free(s->spectrum);
    mem_free(s->scratch);
    for (int k = 0; k < BANDS; k++) {
        mem_free(s->band[k]);
        mem_free(s->gain[k]);
    }
    mem_free(s->sum);
    mem_free(s);
}

/* Contrast threshold at f cycles a degree. */
static double contrast_threshold(double f)
{
    return 1.0 / (520.0 * (0.0192 + 0.114 * f) * exp(-pow(0.114 * f, 1.1)));
}

/* Half a period of a cosine over the logarithm of the frequency, an octave to each side of the
 * centre 2^k. The residual's is that of band 1 two cycles lower: its centre is at 0. */
static double filter(int k, double cycles)
{
    double r = k == 0 ? cycles + 2.0 : cycles, centre = k == 0 ? 2.0 : ldexp(1.0, k);
    if (r < centre / 2.0 || r > centre * 2.0) return 0.0;
    return 0.5 * (1.0 + cos(M_PI * log2(r / centre)));
}

static void make_filters(struct nqm *s, int h, int w)
{
    const double degrees = 180.0 / M_PI / 3.5; /* the image is wide */
    for (int k = 0; k < BANDS; k++) {
        for (int i = 0; i < h; i++)
            for (int j = 0; j < w; j++) {
                double y = i < (h + 1) / 2 ? i : i - h, x = j < (w + 1) / 2 ? j : j - w;
                s->gain[k][(size_t)i * (size_t)w + (size_t)j] =
                    filter(k, sqrt(x * x + y * y)) / (double)s->n;
            }
        s->masking[k] = contrast_threshold(k); /* the authors count bands here, not cycles */
        s->threshold[k] = contrast_threshold(ldexp(1.0, k) / degrees);
    }
}

static void *open_nqm(const void *conf, int h, int w, struct err *e)
{
    (void)conf;
    struct nqm *s = mem_new(1, sizeof *s, e);
    if (!s) return NULL;
    s->n = (size_t)h * (size_t)w;
    if (!(s->fft = fft2_double_new(h, w, e))) goto fail;
    s->spectrum = mem_new(s->n, sizeof *s->spectrum, e);
    s->scratch = mem_new(s->n * BANDS, sizeof *s->scratch, e);
    s->sum = mem_new(s->n / CHUNK + 1, sizeof *s->sum, e);
    if (!s->spectrum || !s->scratch || !s->sum) goto fail;
    for (int k = 0; k < BANDS; k++) {
        s->band[k] = mem_new(s->n, sizeof *s->band[k], e);
        s->gain[k] = mem_new(s->n, sizeof *s->gain[k], e);
        if (!s->band[k] || !s->gain[k]) goto fail;
    }
    make_filters(s, h, w);
    return s;
fail:
    close_nqm(s);
    return NULL;
}

/* The filters are real and even: those of reference + i image are real and imaginary part. */
static void make_band(void *ctx, int k)
{
    struct nqm *s = ctx;
    double complex *product = s->scratch + (size_t)k * s->n;
    for (size_t i = 0; i < s->n; i++)
        product[i] = s->gain[k][i] * s->spectrum[i];
    fft2_double_inverse(s->fft, product, s->band[k]);
}

static void sum_chunk(void *ctx, int chunk)
{
    const struct nqm *s = ctx;
    double signal = 0.0, noise = 0.0;
    size_t from = (size_t)chunk * CHUNK, to = s->n - from < CHUNK ? s->n : from + CHUNK;
    for (size_t i = from; i < to; i++) {
        double a_below = creal(s->band[0][i]), b_below = cimag(s->band[0][i]), a_sum = 0.0,
               b_sum = 0.0;
        for (int k = 1; k < BANDS; k++) {
            double a = creal(s->band[k][i]), b = cimag(s->band[k][i]);
            double ca = a / a_below, cb = b / b_below;
            a_below += a;
            b_below += b;
            if (fabs(cb) > 1.0) cb = 1.0;
            double mask = s->masking[k];
            if (fabs(cb - ca) - mask * (0.86 * (ca / mask - 1.0) + 0.3) < 0.0) b = a;
            if (!(fabs(ca) < s->threshold[k])) a_sum += a;
            if (!(fabs(cb) < s->threshold[k])) b_sum += b;
        }
        signal += a_sum * a_sum;
        noise += (a_sum - b_sum) * (a_sum - b_sum);
    }
    s->sum[chunk][0] = signal;
    s->sum[chunk][1] = noise;
}

static int score(void *state, const void *conf, const struct metric_pair *pair, double *out,
                 struct err *e)
{
    struct nqm *s = state;
    struct range range;
    if (range_find(conf, pair, &range, e)) return -1;
    const float *reference = pair->reference, *image = pair->image;
    bool equal = memcmp(reference, image, s->n * sizeof *image) == 0; /* without rounding */
    for (size_t i = 0; i < s->n; i++) {
        double a = ((double)reference[i] - range.low) / range.width;
        double b = ((double)image[i] - range.low) / range.width;
        s->scratch[i] = a + b * I;
    }
    fft2_double_forward(s->fft, s->scratch, s->spectrum);
    par_for(BANDS, make_band, s);
    int chunks = (int)((s->n + CHUNK - 1) / CHUNK);
    par_for(chunks, sum_chunk, s);
    double signal = 0.0, noise = 0.0;
    for (int k = 0; k < chunks; k++) {
        signal += s->sum[k][0];
        noise += s->sum[k][1];
    }
    if (!(signal > 0.0))
        return err_set(e, ERR_DATA, "the reference has no visible contrast in any band");
    *out = noise > 0.0 && !equal ? 10.0 * log10(signal / noise) : INFINITY;
    return 0;
}

static void variant(const void *conf, char *text, int size)
{
    const struct range_conf *c = conf;
    snprintf(text, (size_t)size,
             "Damera-Venkata 2000, 5 bands, viewing distance 3.5 image heights, black: %s",
             c->range == RANGE_EXTENT ? "the reference's minimum"
             : c->range == RANGE_AUTO ? "0, or the minimum of a reference with negative values"
                                      : "0");
}

const struct metric metric_nqm = {
    .kind = {"nqm", "noise quality measure (Damera-Venkata 2000); infinite for equal images",
             range_fields, sizeof(struct range_conf)},
    .label = "NQM",
    .unit = "dB",
    .better = 1,
    .open = open_nqm,
    .close = close_nqm,
    .wants_scan = range_wants_scan,
    .score = score,
    .variant = variant,
};
