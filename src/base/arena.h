/* Memory that is released all at once. */
#pragma once

#include <stddef.h>

struct arena {
    struct arena_block *block;
};

void *arena_new(struct arena *a, size_t bytes); /* zeroed, 16-byte aligned; NULL without memory */
char *arena_text(struct arena *a, const char *text, size_t len); /* a NUL-ended copy */
char *arena_print(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);
