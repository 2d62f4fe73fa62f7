/* Activations have one layout everywhere: dense NHWC float32, channels fastest. */
#pragma once

#include <stddef.h>

struct shape {
    int n, h, w, c;
};

static inline size_t shape_len(struct shape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}
