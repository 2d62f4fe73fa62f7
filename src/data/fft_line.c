#include "data/fft_line.h"

#include "base/mem.h"
#include "data/lanes.h"

#include <fftw3.h>
#include <math.h>
#include <stdalign.h>

enum {
    FFTW_PRIME = 13, /* FFTW has codelets up to it */
    LEAST_REST = 4,  /* m: vectors of fewer numbers would be mostly empty */
    MOST_VECTORS = 512 /* of work space, 32 KiB of stack */,
    GROUP = 4, /* frequencies at a time: the sums stay in registers */
};

pthread_mutex_t fft_planner = PTHREAD_MUTEX_INITIALIZER;

struct fft_line {
    int n, p, m;            /* n = p m; p is 1 where FFTW does it all */
    int vectors;            /* that hold m numbers */
    int half;               /* (p - 1) / 2 */
    int groups;             /* of frequencies 1 to half */
    float *cosines, *sines; /* (half, groups GROUP): of sign 2 pi (a + 1) (c + 1) / p */
    lanes *turn;            /* (p, 2, vectors): exp(sign 2 pi i b c / n) as what multiplies a number
                               and what multiplies the swapped one */
    fftwf_plan plan;
};

static int largest_prime(int n)
{
    int p = 1;
    for (int d = 2; n > 1; d++)
        for (; n % d == 0; n /= d)
            p = d;
    return p;
}

static void split(struct fft_line *f)
{
    const int p = largest_prime(f->n), m = f->n / p;
    const int vectors = (m + LANES_COMPLEX - 1) / LANES_COMPLEX;
    f->p = 1;
    f->m = f->n;
    if (p <= FFTW_PRIME || m < LEAST_REST || p * vectors > MOST_VECTORS) return;
    f->p = p;
    f->m = m;
    f->vectors = vectors;
    f->half = (p - 1) / 2;
    f->groups = (f->half + GROUP - 1) / GROUP;
}

static int make_tables(struct fft_line *f, int sign, struct err *e)
{
    const int columns = f->groups * GROUP;
    const size_t turns = (size_t)(f->half * columns), numbers = (size_t)(2 * f->p * f->vectors);
    if (!(f->cosines = mem_new(turns, sizeof *f->cosines, e)) ||
        !(f->sines = mem_new(turns, sizeof *f->sines, e)) ||
        !(f->turn = mem_new(numbers, sizeof *f->turn, e)))
        return -1;
    for (int a = 0; a < f->half; a++)
        for (int c = 0; c < f->half; c++) {
            const double turn = sign * 2.0 * M_PI * ((a + 1) * (c + 1) % f->p) / f->p;
            f->cosines[a * columns + c] = (float)cos(turn);
            f->sines[a * columns + c] = (float)sin(turn);
        }
    for (int c = 0; c < f->p; c++)
        for (int b = 0; b < f->m; b++) {
            const double turn = sign * 2.0 * M_PI * (b * c % f->n) / f->n;
            lanes *to = f->turn + 2 * c * f->vectors + b / LANES_COMPLEX;
            const int at = 2 * (b % LANES_COMPLEX);
            to[0][at] = to[0][at + 1] = (float)cos(turn);
            to[f->vectors][at] = -(float)sin(turn);
            to[f->vectors][at + 1] = (float)sin(turn);
        }
    return 0;
}

static fftwf_plan make_plan(const struct fft_line *f, int sign, struct err *e)
{
    const int way = sign < 0 ? FFTW_FORWARD : FFTW_BACKWARD;
    const int padded = f->vectors * LANES_COMPLEX;
    fftwf_plan plan = NULL;
    float complex *x = mem_new((size_t)f->n, sizeof *x, e);
    float complex *t = mem_new((size_t)(f->p * padded), sizeof *t, e);
    if (x && t) { /* planned on arrays as aligned as those it will be given */
        pthread_mutex_lock(&fft_planner);
        plan = f->p == 1 ? fftwf_plan_dft_1d(f->n, x, x, way, FFTW_ESTIMATE)
                         : fftwf_plan_many_dft(1, &f->m, f->p, t, NULL, 1, padded, x, NULL, f->p, 1,
                                               way, FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
        pthread_mutex_unlock(&fft_planner);
        if (!plan) err_set(e, ERR_FAILED, "no Fourier transform of %d could be planned", f->n);
    }
    mem_free(x);
    mem_free(t);
    return plan;
}

struct fft_line *fft_line_new(int n, int sign, struct err *e)
{
    struct fft_line *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->n = n;
    split(f);
    if ((f->p == 1 || make_tables(f, sign, e) == 0) && (f->plan = make_plan(f, sign, e))) return f;
    fft_line_free(f);
    return NULL;
}

void fft_line_free(struct fft_line *f)
{
    if (!f) return;
    pthread_mutex_lock(&fft_planner);
    if (f->plan) fftwf_destroy_plan(f->plan);
    pthread_mutex_unlock(&fft_planner);
    mem_free(f->cosines);
    mem_free(f->sines);
    mem_free(f->turn);
    mem_free(f);
}

/* Frequency c of p, turned for the transforms of m that follow. */
static void put(const struct fft_line *f, int c, int q, lanes x, lanes *t)
{
    const lanes *turn = f->turn + 2 * c * f->vectors + q;
    t[c * f->vectors + q] = x * turn[0] + lanes_swapped(x) * turn[f->vectors];
}

/* Vector q of every frequency of p: of x[a] and x[p - a], the cosines need the sum alone and the
 * sines the difference. `pairs`: half sums, then half differences. */
static void transform_prime(const struct fft_line *f, const float complex *x, int q, lanes *pairs,
                            lanes *t)
{
    const int half = f->half, columns = f->groups * GROUP;
    const int left = f->m - q * LANES_COMPLEX, n = left < LANES_COMPLEX ? left : LANES_COMPLEX;
    const float complex *from = x + q * LANES_COMPLEX;
    const lanes first = lanes_load(from, n);
    lanes sum = first;
    for (int a = 0; a < half; a++) {
        const lanes u = lanes_load(from + (a + 1) * f->m, n);
        const lanes v = lanes_load(from + (f->p - 1 - a) * f->m, n);
        pairs[a] = u + v;
        pairs[half + a] = u - v;
        sum += pairs[a];
    }
    put(f, 0, q, sum, t);
    for (int g = 0; g < f->groups; g++) {
        lanes even[GROUP] = {first, first, first, first}, odd[GROUP] = {{0}};
        const float *cosine = f->cosines + g * GROUP, *sine = f->sines + g * GROUP;
        for (int a = 0; a < half; a++, cosine += columns, sine += columns) {
#pragma GCC unroll 4
            for (int k = 0; k < GROUP; k++) {
                even[k] += cosine[k] * pairs[a];
                odd[k] += sine[k] * pairs[half + a];
            }
        }
        for (int k = 0; k < GROUP && g * GROUP + k < half; k++) {
            const int c = g * GROUP + k + 1;
            odd[k] = lanes_times_i(odd[k]);
            put(f, c, q, even[k] + odd[k], t);
            put(f, f->p - c, q, even[k] - odd[k], t);
        }
    }
}

void fft_line_run(const struct fft_line *f, float complex *x)
{
    if (f->p == 1) {
        fftwf_execute_dft(f->plan, x, x);
        return;
    }
    alignas(64) lanes t[MOST_VECTORS], pairs[MOST_VECTORS];
    for (int q = 0; q < f->vectors; q++)
        transform_prime(f, x, q, pairs, t);
    fftwf_execute_dft(f->plan, (float complex *)t, x);
}
