#include "data/mt19937.h"

enum { N = MT_WORDS, M = 397 };

void mt19937_seed(struct mt19937 *m, const uint32_t *key, int n)
{
    uint32_t *w = m->word;
    w[0] = 19650218u;
    for (int i = 1; i < N; i++)
        w[i] = 1812433253u * (w[i - 1] ^ w[i - 1] >> 30) + (uint32_t)i;
    int i = 1, j = 0;
    for (int k = N > n ? N : n; k > 0; k--) {
        w[i] = (w[i] ^ (w[i - 1] ^ w[i - 1] >> 30) * 1664525u) + key[j] + (uint32_t)j;
        if (++i == N) {
            w[0] = w[N - 1];
            i = 1;
        }
        if (++j == n) j = 0;
    }
    for (int k = N - 1; k > 0; k--) {
        w[i] = (w[i] ^ (w[i - 1] ^ w[i - 1] >> 30) * 1566083941u) - (uint32_t)i;
        if (++i == N) {
            w[0] = w[N - 1];
            i = 1;
        }
    }
    w[0] = 0x80000000u;
    m->next = N;
}

static void turn(uint32_t *w)
{
    for (int i = 0; i < N; i++) {
        uint32_t y = (w[i] & 0x80000000u) | (w[(i + 1) % N] & 0x7fffffffu);
        w[i] = w[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t mt19937_u32(struct mt19937 *m)
{
    if (m->next == N) {
        turn(m->word);
        m->next = 0;
    }
    uint32_t y = m->word[m->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double mt19937_uniform(struct mt19937 *m)
{
    uint64_t high = mt19937_u32(m) >> 5, low = mt19937_u32(m) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

uint32_t mt19937_below(struct mt19937 *m, uint32_t n)
{
    uint32_t most = n - 1, bits = most, v;
    for (int s = 1; s < 32; s *= 2)
        bits |= bits >> s;
    if (most == 0) return 0;
    do
        v = mt19937_u32(m) & bits;
    while (v > most);
    return v;
}
