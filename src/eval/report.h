/* report.html: the results of a study as one interactive page that needs no network and no other
 * file: a scatter plot of any two metrics, the pictures behind every point, tables, curves, claims.
 * The charting library (Apache ECharts, Apache-2.0) is in it where it was there when ssfd was
 * built; without, the page says so and has everything but the charts. */
#pragma once

#include "eval/pairs.h"

/* At most so many pictures are in the page, a reference and a difference a method for each image;
 * beyond, those of the first images. */
enum { REPORT_PICTURES = 1000 };

/* Of reconstructions: `summary` is shown as well. `first` (may be NULL): the images in order of
 * interest, `count` of them. `notes` (may be NULL): a text for each image and method, by image *
 * methods + method, under the heading `notes_label`; NULL entries are empty. */
struct report_extra {
    const int *first;
    int count;
    const char *notes_label;
    char *const *notes;
};
int report_pairs(const struct pairs *p, const char *title, const struct report_extra *extra,
                 const json_t *summary, struct err *e);
/* Of anything else: `data` has the members "curves" (a list of {title, x, y, xlabel, lines: [{name,
 * points: [[x, y, low, high], …]}]}), as report.html draws them, and `examples` (a list of {title,
 * file}), pictures of the output folder. Takes over both. */
int report_curves(const struct study_env *env, const char *title, json_t *curves, json_t *examples,
                  const json_t *summary, struct err *e);
bool report_has_charts(void);
