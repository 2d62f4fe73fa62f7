/* Scores as a study would take them: the metric and its configuration in YAML, "{kind: ssim}". */
#pragma once

#include "eval/metric.h"

/* Makes a folder with "ssl.h5", a checkpoint of the default network, and "vgg.h5", and goes there;
 * and removes it again. For cmocka's groups. */
int networks_set_up(void **state);
int networks_tear_down(void **state);

/* Opens, scores once and closes. `maximum` is that of the scan; 0: not known. */
int score_try(const char *metric, double maximum, const float *reference, const float *image, int h,
              int w, double *out, struct err *e);
/* The score; ends the test where there is none. */
double score_of(const char *metric, const float *reference, const float *image, int h, int w);

/* A metric kept open, for several scores; ends the test where it cannot be opened. */
struct scoring;
struct scoring *scoring_new(const char *metric, int h, int w);
void scoring_free(struct scoring *s);
double scoring_score(struct scoring *s, const float *reference, const float *image);
const struct metric *scoring_metric(const struct scoring *s);
const void *scoring_conf(const struct scoring *s);
