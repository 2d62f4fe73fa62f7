#include "data/jsense.h"

#include <math.h>
#include <string.h>

void coils_combine(const float complex *maps, const float complex *images, int coils, int h, int w,
                   float complex *out)
{
    size_t n = (size_t)h * (size_t)w;
    memset(out, 0, n * sizeof *out);
    for (int c = 0; c < coils; c++) {
        const float *s = (const float *)(maps + (size_t)c * n);
        const float *x = (const float *)(images + (size_t)c * n);
        float *y = (float *)out;
        for (size_t i = 0; i < 2 * n; i += 2) {
            y[i] += s[i] * x[i] + s[i + 1] * x[i + 1];
            y[i + 1] += s[i] * x[i + 1] - s[i + 1] * x[i];
        }
    }
}

void coils_unit_rss(float complex *maps, int coils, int h, int w)
{
    const size_t n = (size_t)h * (size_t)w;
    for (size_t i = 0; i < n; i++) {
        double s = 0.0;
        for (size_t c = 0; c < (size_t)coils; c++) {
            double re = (double)crealf(maps[c * n + i]), im = (double)cimagf(maps[c * n + i]);
            s += re * re + im * im;
        }
        const double scale = s > 0.0 ? 1.0 / sqrt(s) : 0.0;
        for (size_t c = 0; c < (size_t)coils; c++) {
            float complex *m = maps + c * n + i;
            *m = (float)(scale * (double)crealf(*m)) + (float)(scale * (double)cimagf(*m)) * I;
        }
    }
}

void coils_rss(const float complex *images, int coils, int h, int w, float *out)
{
    size_t n = (size_t)h * (size_t)w;
    memset(out, 0, n * sizeof *out);
    for (int c = 0; c < coils; c++) {
        const float *x = (const float *)(images + (size_t)c * n);
        for (size_t i = 0; i < n; i++)
            out[i] += x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1];
    }
    for (size_t i = 0; i < n; i++)
        out[i] = sqrtf(out[i]);
}
