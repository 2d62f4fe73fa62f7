#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 1 << 15, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(ALIGN) char bytes[];
};

void *arena_new(struct arena *a, size_t bytes)
{
    if (bytes > (size_t)1 << 40) return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK ? bytes : BLOCK;
        b = mem_new(1, sizeof *b + size, NULL);
        if (!b) return NULL;
        b->size = size;
        b->next = a->block;
        a->block = b;
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

char *arena_text(struct arena *a, const char *text, size_t len)
{
    char *p = arena_new(a, len + 1);
    return p ? memcpy(p, text, len) : NULL;
}

char *arena_print(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : arena_new(a, (size_t)n + 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

void arena_release(struct arena *a)
{
    for (struct arena_block *b = a->block, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    a->block = NULL;
}
