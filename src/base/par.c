#include "base/par.h"

#include <omp.h>

enum { CHUNK = 1 << 14, BATCH = 256 };

void par_set_threads(int n)
{
    omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
}

int par_threads(void)
{
    return omp_get_max_threads();
}

void par_for(int n, void (*fn)(void *ctx, int i), void *ctx)
{
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++)
        fn(ctx, i);
}

double par_sum(size_t n, double (*term)(const void *ctx, size_t from, size_t to), const void *ctx)
{
    double total = 0.0;
    size_t chunks = (n + CHUNK - 1) / CHUNK;
    for (size_t base = 0; base < chunks; base += BATCH) {
        double part[BATCH] = {0};
        int m = (int)(chunks - base < BATCH ? chunks - base : BATCH);
#pragma omp parallel for schedule(static)
        for (int i = 0; i < m; i++) {
            size_t from = (base + (size_t)i) * CHUNK;
            part[i] = term(ctx, from, n - from < CHUNK ? n : from + CHUNK);
        }
        for (int i = 0; i < m; i++)
            total += part[i];
    }
    return total;
}
