/* usage: time_refs SCAN TURNS [key=value]…
 * Times, in turns and on one thread, the reference of the first slice of a scan, from k-space in
 * memory, and as many bare FFTs of the size of its k-space as it has coils; then references on all
 * threads at once, as `prepare` makes them. Prints "fft MS reference MS all MS", medians a slice: a
 * tool for scripts/compare-jsense. */
#include "base/mem.h"
#include "base/par.h"
#include "base/progress.h"
#include "data/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1000 };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return x[n / 2];
}

struct team {
    struct reference *r; /* one a thread */
    const float complex *raw;
    int bad;
};

static void make_one(void *ctx, int thread)
{
    struct team *t = ctx;
    if (reference_make(t->r + thread, t->raw, NULL, NULL)) t->bad = 1;
}

static int all_threads(const struct scan *s, const struct jsense_conf *c, const float complex *raw,
                       int turns, double *seconds, struct err *e)
{
    static double each[MOST];
    int threads = par_threads(), bad = 0;
    struct team t = {.r = mem_new((size_t)threads, sizeof *t.r, e), .raw = raw};
    for (int i = 0; i < threads && t.r && !bad; i++)
        bad = reference_init(t.r + i, s, c, e);
    for (int i = 0; i < turns && t.r && !bad && !t.bad; i++) {
        double start = clock_seconds();
        par_for(threads, make_one, &t);
        each[i] = (clock_seconds() - start) / threads;
    }
    bad = bad || !t.r || t.bad;
    for (int i = 0; i < threads && t.r; i++)
        reference_release(t.r + i);
    mem_free(t.r);
    *seconds = median(each, turns);
    return bad ? -1 : 0;
}

static int measure(const struct scan *s, const struct jsense_conf *c, int turns, struct err *e)
{
    static double fft[MOST], all[MOST];
    struct reference r = {0};
    struct fft2 *f = fft2_new(s->readout, s->phase, e);
    struct scan_file *h = scan_open(s, e);
    float complex *raw =
        mem_new((size_t)s->coils * (size_t)s->readout * (size_t)s->phase, sizeof *raw, e);
    int bad = !f || !h || !raw || scan_read_kspace(s, h, 0, raw, e) || reference_init(&r, s, c, e);
    for (int i = 0; i < turns && !bad; i++) {
        double start = clock_seconds();
        for (int k = 0; k < s->coils; k++)
            fft2_bare(f);
        double then = clock_seconds();
        bad = reference_make(&r, raw, NULL, e);
        fft[i] = then - start;
        all[i] = clock_seconds() - then;
    }
    double together = 0.0;
    bad = bad || all_threads(s, c, raw, turns, &together, e);
    if (!bad)
        printf("fft %.3f reference %.3f all %.3f\n", 1e3 * median(fft, turns),
               1e3 * median(all, turns), 1e3 * together);
    reference_release(&r);
    fft2_free(f);
    scan_close(h);
    mem_free(raw);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    int turns = argc > 2 ? atoi(argv[2]) : 0;
    if (turns < 1 || turns > MOST) {
        fputs("usage: time_refs SCAN TURNS [key=value]...\n", stderr);
        return ERR_USAGE;
    }
    struct err e = {0};
    struct scan s;
    struct jsense_conf conf = {0};
    struct cfg *cfg =
        cfg_load(jsense_fields, &conf, NULL, (const char *const *)argv + 3, argc - 3, &e);
    if (cfg && scan_probe(&s, argv[1], &e) == 0) measure(&s, &conf, turns, &e);
    if (e.code) fprintf(stderr, "time_refs: %s\n", e.text);
    cfg_free(cfg);
    return (int)e.code;
}
