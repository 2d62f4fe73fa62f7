#include "base/par.h"

#include "base/mem.h"

#include <omp.h>
#include <sched.h>

enum { CHUNK = 1 << 14, BATCH = 256 };

void par_set_threads(int n)
{
    omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
}

int par_threads(void)
{
    return omp_get_max_threads();
}

/* The places are what OpenMP found it may use when the program started; there are none where it
 * binds nothing. */
void par_unbind(void)
{
    cpu_set_t set;
    const int places = omp_get_num_places();
    CPU_ZERO(&set);
    for (int i = 0; i < places; i++) {
        const int n = omp_get_place_num_procs(i);
        int *id = mem_new((size_t)n, sizeof *id, NULL);
        if (!id) return;
        omp_get_place_proc_ids(i, id);
        for (int k = 0; k < n; k++)
            if (id[k] < CPU_SETSIZE) CPU_SET(id[k], &set);
        mem_free(id);
    }
    if (places) sched_setaffinity(0, sizeof set, &set); /* without it slower, not wrong */
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
