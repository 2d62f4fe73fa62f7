/* Formats of scans, a table: one file each. To add one: write format_NAME.c with its struct, and
 * add it to the table in scan_format.c and to meson.build. */
#pragma once

#include "data/scan.h"

struct scan_format {
    const char *name;           /* for people: "fastMRI" */
    const char *const *endings; /* of file names, NULL-ended; a folder's files with others are left
                                   alone */
    /* Is a file with such an ending of this format? NULL: yes. The table is asked in its order. */
    bool (*claims)(const char *path);
    /* path and name are set. Sets the rest by headers alone, the shape by scan_set_shape. */
    int (*probe)(struct scan *s, struct err *e);
    /* For reading; NULL on failure. */
    void *(*open)(const struct scan *s, struct err *e);
    int (*read)(const struct scan *s, void *file, int slice, float complex *kspace, struct err *e);
    void (*close)(void *file);
};

extern const struct scan_format *const scan_formats[]; /* NULL-ended */

/* The format of a file by its ending (and claims), NULL where no format has that ending. */
const struct scan_format *scan_format_of(const char *path);
bool scan_has_ending(const char *name); /* of any format; not hidden, and more than the ending */

/* Sets the shape of k-space, all columns acquired, and references of the same size, having checked
 * that a slice can be held in memory. `what` begins the message: "dataset 'kspace'". */
int scan_set_shape(struct scan *s, const char *what, int64_t slices, int64_t coils, int64_t readout,
                   int64_t phase, struct err *e);
/* The size of the references, checked likewise; `what` as above. */
int scan_set_image(struct scan *s, const char *what, int64_t height, int64_t width, struct err *e);
