#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

void *mem_new(size_t count, size_t size, struct err *e)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        err_set(e, ERR_FAILED, "%zu elements of %zu bytes do not fit in memory", count, size);
        return NULL;
    }
    void *p = aligned_alloc(ALIGNMENT, round_up(bytes ? bytes : 1, ALIGNMENT));
    if (!p) {
        err_set(e, ERR_FAILED, "out of memory: %zu bytes were refused", bytes);
        return NULL;
    }
    return memset(p, 0, round_up(bytes ? bytes : 1, ALIGNMENT));
}

void mem_free(void *p)
{
    free(p);
}

void *mem_slab_new(size_t bytes, struct err *e)
{
    size_t len = round_up(bytes ? bytes : 1, HUGE_PAGE);
    /* Map one huge page more than needed and cut both ends, so that the slab starts on one. */
    char *p =
        mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        err_set(e, ERR_FAILED, "out of memory: a slab of %zu MiB was refused", bytes >> 20);
        return NULL;
    }
    size_t before = round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
    if (before) munmap(p, before);
    if (before != HUGE_PAGE) munmap(p + before + len, HUGE_PAGE - before);
    madvise(p + before, len, MADV_HUGEPAGE); /* advice: correct without it */
    return p + before;
}

void mem_slab_free(void *p, size_t bytes)
{
    if (p) munmap(p, round_up(bytes ? bytes : 1, HUGE_PAGE));
}

size_t mem_resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    size_t total = 0, resident = 0;
    int n = fscanf(f, "%zu %zu", &total, &resident);
    fclose(f);
    return n == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Not getrusage: what it says, a process inherits from the one that started it. */
size_t mem_resident_peak(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    size_t kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %zu kB", &kib) == 1) break;
    if (f) fclose(f);
    return kib * 1024;
}
