#include "train/samples.h"

#include <stdio.h>

static uint64_t add(uint64_t hash, uint32_t x)
{
    for (int k = 0; k < 4; k++)
        hash = (hash ^ (x >> 8 * k & 255)) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

uint64_t samples_fingerprint(const struct images *train, const struct images *validation)
{
    const struct images *const set[] = {train, validation};
    uint64_t hash = 0xcbf29ce484222325u;
    for (int k = 0; k < 2; k++) {
        hash = add(hash, (uint32_t)set[k]->n);
        for (int i = 0; i < set[k]->n; i++) {
            const uint64_t content = (uint64_t)set[k]->cache[set[k]->list[i].scan].source_hash;
            hash = add(hash, images_id(set[k], i));
            hash = add(hash, (uint32_t)content);
            hash = add(hash, (uint32_t)(content >> 32));
        }
    }
    return hash;
}

void samples_name(const struct images *im, uint32_t index, char *text, size_t size)
{
    snprintf(text, size, "%s, slice %d", images_name(im, (int)index), im->list[index].slice);
}
