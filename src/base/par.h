/* Threads. Only this file includes omp.h. Sums are taken over fixed chunks in a fixed order, in
 * double precision, so that their bits do not depend on the number of threads. */
#pragma once

#include <stddef.h>

void par_set_threads(int n); /* 0: as many as the process may use */
int par_threads(void);       /* threads the next parallel region will have */

/* Lets the calling thread run wherever the process may: OpenMP, asked to (OMP_PROC_BIND), binds the
 * thread that started it, and threads inherit that. A set given to the process (taskset) holds. */
void par_unbind(void);

/* Parts of at most b that a is cut into. */
static inline int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* The next of a loop whose runs of `step` go to the thread that is free; *next is shared. */
static inline int par_take(int *next, int step)
{
    int from;
#pragma omp atomic capture
    {
        from = *next;
        *next += step;
    }
    return from;
}

/* Calls fn(ctx, i) for every i in [0, n), on all threads, in no particular order. */
void par_for(int n, void (*fn)(void *ctx, int i), void *ctx);

/* Sum of term(ctx, from, to) over consecutive chunks of [0, n): same bits at any thread count. */
double par_sum(size_t n, double (*term)(const void *ctx, size_t from, size_t to), const void *ctx);
