/* Where reconstructions come from, a table of kinds: one file each. A kind gives one or several
 * methods (networks, folders), so that methods are compared in one study. */
#pragma once

#include "base/cfg.h"
#include "base/err.h"
#include "data/images.h"

struct source {
    struct cfg_kind kind;
    int (*methods)(const void *conf);
    /* The name of method k, for tables and file names: made of letters, digits, '-', '_', '.'. */
    void (*name)(const void *conf, int k, char *text, int size);
    /* Where it comes from, for the outputs. */
    void (*describe)(const void *conf, int k, char *text, int size);
    /* State of one method for these images, which outlive it. Their scans are found and their size
     * is known, but they may not be prepared yet: files that the method needs and that are not
     * there or do not fit are told before references are made. */
    void *(*open)(const void *conf, int k, struct images *im, struct err *e);
    void (*close)(void *state); /* NULL is legal */
    /* The magnitude of the reconstruction of image i, (im->height, im->width), on the scale of the
     * reference, which is the magnitude it will be compared with. Not for several threads at once;
     * may use all of them itself. */
    int (*read)(void *state, int i, const float *reference, float *magnitude, struct err *e);
};
/* NULL-ended; each is the first member of a struct source. */
extern const struct cfg_kind *const source_kinds[];

/* The last part of a path without ".h5", fit for a name; of "runs/unet/best.h5" with `parent` the
 * folder's: "unet". */
void source_name_of_path(const char *path, bool parent, char *text, int size);
