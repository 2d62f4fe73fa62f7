#include "base/num.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_digits(const char *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Where the mantissa ends, or NULL if the text is not a real number as the header says. */
static const char *scan_real(const char *text)
{
    const char *p = text + (*text == '-' || *text == '+'), *whole = p;
    p = skip_digits(p);
    long digits = p - whole;
    if (*p == '.') {
        const char *part = ++p;
        p = skip_digits(p);
        digits += p - part;
    }
    if (digits == 0) return NULL;
    const char *end = p;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        const char *power = p;
        p = skip_digits(p);
        if (p == power) return NULL;
    }
    return *p ? NULL : end;
}

static locale_t enter_c(locale_t *c)
{
    *c = newlocale(LC_ALL_MASK, "C", NULL);
    return uselocale(*c);
}

static void leave_c(locale_t c, locale_t old)
{
    uselocale(old);
    freelocale(c);
}

bool num_real(const char *text, double *v)
{
    const char *end = scan_real(text);
    if (!end) return false;
    locale_t c, old = enter_c(&c);
    *v = strtod(text, NULL);
    leave_c(c, old);
    bool zero = strcspn(text, "123456789") >= (size_t)(end - text);
    return isfinite(*v) && (*v != 0.0 || zero);
}

bool num_whole_u64(const char *text, uint64_t *v)
{
    if (!*text || *skip_digits(text) || (*text == '0' && text[1])) return false;
    errno = 0;
    *v = strtoull(text, NULL, 10);
    return errno == 0;
}

bool num_whole(const char *text, int64_t *v)
{
    uint64_t size;
    bool negative = *text == '-';
    if (!num_whole_u64(text + (negative || *text == '+'), &size) || size > INT64_MAX) return false;
    *v = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

const char *num_text(char out[NUM_TEXT], double x, int digits)
{
    locale_t c, old = enter_c(&c);
    snprintf(out, NUM_TEXT, "%.*g", digits, x);
    leave_c(c, old);
    return out;
}

const char *num_shortest(char out[NUM_TEXT], double x)
{
    double back;
    if (x == trunc(x) && fabs(x) < 1e15) return num_text(out, x, 15); /* 100, not 1e+02 */
    for (int digits = 1; digits < 17; digits++)
        if (num_real(num_text(out, x, digits), &back) && back == x) return out;
    return num_text(out, x, 17);
}
