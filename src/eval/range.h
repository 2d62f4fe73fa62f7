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

#include "base/cfg.h"
#include "base/err.h"
#include "eval/metric.h"

enum range_rule { RANGE_AUTO, RANGE_MAXIMUM, RANGE_EXTENT, RANGE_VOLUME };

/* The configuration of a metric with a full scale, or the first member of one that has more keys.
 */
struct range_conf {
    int range; /* enum range_rule */
};
extern const struct cfg_field range_fields[];
#define RANGE_FIELD                                                                                \
    CFG_CHOICE(struct range_conf, range, "auto", range_rules,                                      \
               "full scale: the reference's maximum, its maximum - minimum after shifting both "   \
               "images by the minimum (extent), or the maximum of the whole reference scan "       \
               "(volume, as fastMRI does, for magnitude images of studies of reconstructions); "   \
               "auto: extent where the reference has negative values, else maximum")
extern const char *const range_rules[];  /* NULL-ended */
bool range_wants_scan(const void *conf); /* as a metric's wants_scan */

struct range {
    double low;   /* to be subtracted from both images */
    double width; /* positive */
};

/* ERR_DATA, naming the pixel, where one of the two images has a value that is not finite. */
int images_check(const struct metric_pair *pair, struct err *e);
/* ERR_DATA where an image of h by w is smaller than least by least. */
int images_hold(int h, int w, int least, struct err *e);
/* images_check, and ERR_DATA where the rule gives no positive width: a constant or empty reference.
 * Rule `volume` is ERR_CONFIG where the maximum of the scan is not known. */
int range_find(const struct range_conf *c, const struct metric_pair *pair, struct range *out,
               struct err *e);
/* For `variant` texts: "data range: maximum of the reference". */
const char *range_text(const struct range_conf *c);
