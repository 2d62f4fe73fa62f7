#include "train/tfrecord.h"

#include <stdint.h>

enum { LENGTH = 8, SUM = 4 }; /* bytes */

/* CRC-32C (Castagnoli), reflected polynomial 0x82f63b78, four bits at a time; RFC 3720 appendix B.4
 * has test values. */
static uint32_t crc_add(uint32_t crc, const void *x, size_t n)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *p = x;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static uint32_t masked(uint32_t c)
{
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

static void put(unsigned char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get(const unsigned char *from, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)from[i] << 8 * i;
    return v;
}

int tfrecord_write(FILE *out, const void *head, size_t head_len, const void *tail, size_t tail_len)
{
    unsigned char frame[LENGTH + SUM], end[SUM];
    put(frame, head_len + tail_len, LENGTH);
    put(frame + LENGTH, masked(crc_add(0, frame, LENGTH)), SUM);
    put(end, masked(crc_add(crc_add(0, head, head_len), tail, tail_len)), SUM);
    return fwrite(frame, 1, sizeof frame, out) == sizeof frame &&
                   fwrite(head, 1, head_len, out) == head_len &&
                   (!tail_len || fwrite(tail, 1, tail_len, out) == tail_len) &&
                   fwrite(end, 1, sizeof end, out) == sizeof end
               ? 0
               : -1;
}

bool tfrecord_next(const void *text, size_t len, size_t *at, struct tfrecord *r)
{
    const unsigned char *p = (const unsigned char *)text + *at;
    const size_t left = len - *at, around = LENGTH + SUM + SUM;
    if (left < around || get(p + LENGTH, SUM) != masked(crc_add(0, p, LENGTH))) return false;
    const uint64_t bytes = get(p, LENGTH);
    if (bytes > left - around) return false;
    *r = (struct tfrecord){p + LENGTH + SUM, (size_t)bytes};
    if (get(r->bytes + r->len, SUM) != masked(crc_add(0, r->bytes, r->len))) return false;
    *at += around + r->len;
    return true;
}
