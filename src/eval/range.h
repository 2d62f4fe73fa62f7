/* The data range of SSIM and PSNR: what counts as "full scale".
 *
 *     maximum   the maximum of the reference: for magnitude images, whose zero is black
 *     extent    maximum - minimum of the reference, with that minimum taken from both images first:
 *               for z-scored images, whose zero is the mean
 *     auto      extent when the reference has a negative value, else maximum
 */
#pragma once

#include "base/err.h"

enum range_rule { RANGE_AUTO, RANGE_MAXIMUM, RANGE_EXTENT };
extern const char *const range_rules[]; /* NULL-ended, for a configuration choice */

struct range {
    double low;   /* to be subtracted from both images */
    double width; /* positive */
};

/* ERR_DATA, naming the pixel, where one of the two (h, w) images has a value that is not finite. */
int images_check(const float *reference, const float *image, int h, int w, struct err *e);
/* The same, and ERR_DATA where the rule gives no positive width: a constant or empty reference. */
int range_find(enum range_rule rule, const float *reference, const float *image, int h, int w,
               struct range *out, struct err *e);
/* For `variant` texts: "data range: maximum of the reference". */
const char *range_text(enum range_rule rule);
