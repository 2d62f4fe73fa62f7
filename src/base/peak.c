#include "base/peak.h"

#include "base/par.h"
#include "base/progress.h"

#include <stddef.h>

#if defined __AVX512F__
enum { BYTES = 64 };
#elif defined __FMA__
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif

typedef float vec __attribute__((vector_size(BYTES)));

/* Enough independent chains for two units of latency 5, few enough for 16 registers. */
enum { CHAINS = 12 };

struct work {
    long turns;
    float sink[64]; /* keeps the result alive */
};

static void multiply(void *ctx, int thread)
{
    struct work *w = ctx;
    vec a[CHAINS], scale = (vec){0} + 0.999f, add = (vec){0} + 1e-3f;
    for (int k = 0; k < CHAINS; k++)
        a[k] = (vec){0} + (float)k;
    for (long i = 0; i < w->turns; i++) {
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            a[k] = a[k] * scale + add;
        /* otherwise gcc may keep chains in memory, or interchange the loops */
        __asm__ volatile("" : "+x"(scale), "+x"(add));
    }
    for (int k = 1; k < CHAINS; k++)
        a[0] += a[k];
    w->sink[thread % 64] = a[0][0];
}

double peak_fma_gflops(double seconds)
{
    const int threads = par_threads();
    struct work w = {.turns = 100000};
    double spent = 0, flops = 0;
    while (spent < seconds) {
        const double start = clock_seconds();
        par_for(threads, multiply, &w);
        const double took = clock_seconds() - start;
        if (took < seconds / 8) { /* grows to a length that starting threads does not show in */
            w.turns *= 2;
            continue;
        }
        spent += took;
        flops += 2.0 * CHAINS * (BYTES / sizeof(float)) * (double)w.turns * threads;
    }
    return 1e-9 * flops / spent;
}

const char *peak_vector(void)
{
    return BYTES == 64 ? "512-bit" : BYTES == 32 ? "256-bit" : "128-bit";
}
