#include "eval/source.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

extern const struct source source_network, source_zero_filled, source_folder;

const struct cfg_kind *const source_kinds[] = {&source_network.kind, &source_zero_filled.kind,
                                               &source_folder.kind, NULL};

void source_name_of_path(const char *path, bool parent, char *text, int size)
{
    size_t end = strlen(path);
    for (int part = 0; part <= parent; part++) {
        while (end > 0 && path[end - 1] == '/')
            end--;
        if (part < parent)
            while (end > 0 && path[end - 1] != '/')
                end--;
    }
    size_t from = end;
    while (from > 0 && path[from - 1] != '/')
        from--;
    if (end - from > 3 && strncmp(path + end - 3, ".h5", 3) == 0) end -= 3;
    if (from == end) { /* "best.h5" alone has no folder, "/" no name */
        if (parent)
            source_name_of_path(path, false, text, size);
        else
            snprintf(text, (size_t)size, "unnamed");
        return;
    }
    snprintf(text, (size_t)size, "%.*s", (int)(end - from), path + from);
    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_.", *p)) *p = '_';
}
