#include "data/xxh.h"

#include <xxhash.h>

uint64_t xxh_of(const void *x, size_t bytes)
{
    return XXH3_64bits(x, bytes);
}

struct xxh *xxh_new(struct err *e)
{
    XXH3_state_t *state = XXH3_createState();
    if (state && XXH3_64bits_reset(state) == XXH_OK) return (struct xxh *)state;
    XXH3_freeState(state);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}

void xxh_add(struct xxh *h, const void *x, size_t bytes)
{
    if (h) XXH3_64bits_update((XXH3_state_t *)h, x, bytes);
}

uint64_t xxh_result(const struct xxh *h)
{
    return XXH3_64bits_digest((const XXH3_state_t *)h);
}

void xxh_free(struct xxh *h)
{
    XXH3_freeState((XXH3_state_t *)h);
}
