/* Products of bfloat16 matrices with float32 sums, by the matrix unit of the processor: AMX tiles,
 * or the dot products of AVX512_BF16. A float32 number a is held as two bfloat16 ones, high(a) = a
 * rounded to 8 bits and low(a) = (a - high(a)) rounded to 8 bits, together 16 bits and a sign. A
 * plain product takes the high halves alone. A split one takes
 *     a b = high(a) high(b) + low(a) high(b) + high(a) low(b)
 * and leaves out what is below 2^-16 |a b|: measured, its sums come as close to double precision as
 * those of a Winograd convolution in float32. That holds for numbers from about
 * 1e-35, below which the low halves vanish (and products of which below 1e-38), to 3.3e38, above
 * which high halves are infinite. Infinite numbers have no halves: they become NaN. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t bf16;

enum { BF16_SIDE = 32 }; /* rows, columns and summands of a step, at most */

enum bf16_unit { BF16_AVX512, BF16_AMX };
/* Whether this program was compiled for it and, of AMX, whether the system grants it. That the
 * processor has it is for the caller to know. */
bool bf16_unit_works(enum bf16_unit unit);

/* One of the two matrices; distances in numbers. Step s of segment g begins at
 * at + g segment + s step; there lie two tiles of 16 rows (a) or columns (b), each of 32 summands:
 * in a, row r at r row + summand; in b, column c of summands 2k, 2k+1 at 32 k + 2 c. The low halves
 * lie `low` behind the high ones. */
struct bf16_factor {
    const bf16 *at;
    size_t segment, step, tile, low;
    size_t row; /* of a */
};

/* c (32, 32) = or += a b, of which rows and columns (up to the next multiple of 16) are written. */
struct bf16_product {
    struct bf16_factor a, b;
    int segments, steps, rows, columns;
    bool split; /* AMX only */
    bool add;
};

/* The state of one thread between begin and end. */
struct bf16_worker {
    enum bf16_unit unit;
    int rows; /* the tiles are set up for */
};
void bf16_begin(struct bf16_worker *w, enum bf16_unit unit);
void bf16_multiply(struct bf16_worker *w, const struct bf16_product *p, float *c);
void bf16_end(struct bf16_worker *w);
