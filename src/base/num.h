/* Numbers as text, the same in every locale, and strict: all of the text is the number. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { NUM_TEXT = 32 };

/* "5", "-.5", "1e-3"; not "", "8abc", "0x10", "1_000", "nan", "inf", nor what overflows to infinity
 * ("1e999") or vanishes to zero ("1e-999"). */
bool num_real(const char *text, double *v);
/* Decimal digits with an optional sign and no leading zeros (which YAML 1.1 reads as octal). */
bool num_whole(const char *text, int64_t *v);
bool num_whole_u64(const char *text, uint64_t *v); /* without a sign */

/* `x` with at most so many significant digits; returns `out`. */
const char *num_text(char out[NUM_TEXT], double x, int digits);
/* The fewest digits (whole numbers: all of them) that read back as the same double. */
const char *num_shortest(char out[NUM_TEXT], double x);
