/* Coil sensitivities made elsewhere (ESPIRiT, a body coil, another JSENSE): for the scan NAME, in
 * one folder, either
 *
 *     NAME.h5               dataset 'maps', complex (slice, coil, height, width)
 *     NAME.cfl, NAME.hdr    BART's format: complex64, first dimension fastest: (height, width,
 *                           slice, coil), or (height, width, 1, coil, 1 …, slice at the 14th)
 *
 * of the size of the scan's references. Maps are divided by their root-sum-of-squares; where all
 * coils are 0 they stay 0, and so does the reference. */
#pragma once

#include "data/scan.h"

#include <stddef.h>

struct maps_file {
    char path[1024]; /* of the samples */
    struct h5 *h5;   /* or */
    int fd;          /* a .cfl file */
    bool slices_last;
};

/* Which file of the folder has the maps of the scan: ERR_NOINPUT when none has. */
int maps_path(const char *folder, const struct scan *s, char *path, size_t size, struct err *e);
/* Opens and checks that the shape fits to the scan. Close also after failure. */
int maps_open(struct maps_file *f, const char *folder, const struct scan *s, struct err *e);
void maps_close(struct maps_file *f);
/* maps (coil, height, width) of one slice, with unit root-sum-of-squares. */
int maps_read(struct maps_file *f, const struct scan *s, int slice, float complex *maps,
              struct err *e);
