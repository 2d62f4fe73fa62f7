#include "data/scan_format.h"

#include <string.h>

extern const struct scan_format format_ismrmrd, format_fastmri, format_cfl;

/* fastMRI takes every HDF5 file that nobody else claims, and says what is missing. */
const struct scan_format *const scan_formats[] = {&format_ismrmrd, &format_fastmri, &format_cfl,
                                                  NULL};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool has_ending(const struct scan_format *f, const char *name)
{
    for (int i = 0; f->endings[i]; i++)
        if (ends_with(name, f->endings[i])) return true;
    return false;
}

bool scan_has_ending(const char *name)
{
    if (name[0] == '.') return false;
    for (int i = 0; scan_formats[i]; i++)
        if (has_ending(scan_formats[i], name)) return true;
    return false;
}

const struct scan_format *scan_format_of(const char *path)
{
    for (int i = 0; scan_formats[i]; i++) {
        const struct scan_format *f = scan_formats[i];
        if (has_ending(f, path) && (!f->claims || f->claims(path))) return f;
    }
    return NULL;
}
