/* The data range of the metrics that have a "full scale".
 *
 *     maximum   the maximum of the reference: for magnitude images, whose zero is black
 *     extent    maximum - minimum of the reference, with that minimum taken from both images first:
 *               for z-scored images, whose zero is the mean
 *     auto      extent when the reference has a negative value, else maximum
 *     volume    the maximum of the whole reference scan, as fastMRI takes it: magnitude images, in
 *               studies that know of scans
 */
#pragma once

#include "base/err.h"

enum range_rule { RANGE_AUTO, RANGE_MAXIMUM, RANGE_EXTENT, RANGE_VOLUME };
extern const char *const range_rules[]; /* NULL-ended, for a configuration choice */

struct range {
    double low;   /* to be subtracted from both images */
    double width; /* positive */
};

/* ERR_DATA, naming the pixel, where one of the two (h, w) images has a value that is not finite. */
int images_check(const float *reference, const float *image, int h, int w, struct err *e);
/* The same, and ERR_DATA where the rule gives no positive width: a constant or empty reference.
 * `volume` is the maximum of the scan, 0 where it is not known: then rule `volume` is ERR_CONFIG.
 */
int range_find(enum range_rule rule, double volume, const float *reference, const float *image,
               int h, int w, struct range *out, struct err *e);
/* For `variant` texts: "data range: maximum of the reference". */
const char *range_text(enum range_rule rule);
