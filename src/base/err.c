#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (!e) return -1;
    char text[sizeof e->text]; /* an argument may point into e->text */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->code = code;
    e->hint[0] = '\0';
    memcpy(e->text, text, sizeof text);
    return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e) return -1;
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text - 3 ? (size_t)n : sizeof text - 3;
    size_t room = sizeof text - used - 3, inner = strlen(e->text);
    if (inner > room) inner = room;
    memcpy(text + used, ": ", 2);
    memcpy(text + used + 2, e->text, inner);
    text[used + 2 + inner] = '\0';
    memcpy(e->text, text, sizeof text);
    return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    if (!e) return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
    return -1;
}
