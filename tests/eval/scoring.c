#include "scoring.h"

#include "base/mem.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char networks[] = "/tmp/ssfd-networks-XXXXXX";

int networks_set_up(void **state)
{
    (void)state;
    struct unet_conf conf = {0};
    struct graph *g;
    struct cfg *cfg = cfg_parse(unet_ssl_fields, &conf, "defaults", "", 0, NULL, 0, NULL);
    if (!cfg || !mkdtemp(networks) || chdir(networks)) return -1;
    params_free(save_checkpoint("ssl.h5", "ssl", &conf, &g));
    graph_free(g);
    cfg_free(cfg);
    save_vgg("vgg.h5");
    return 0;
}

int networks_tear_down(void **state)
{
    (void)state;
    return unlink("ssl.h5") || unlink("vgg.h5") || chdir("/") || rmdir(networks);
}

struct conf {
    struct cfg_pick metric;
};
static const struct cfg_field fields[] = {
    CFG_PICK(struct conf, metric, NULL, metric_kinds, "metric"), CFG_END};

struct scoring {
    struct cfg *cfg;
    struct conf conf;
    const struct metric *metric;
    void *state;
    int h, w;
};

void scoring_free(struct scoring *s)
{
    if (!s) return;
    if (s->metric && s->metric->close) s->metric->close(s->state);
    cfg_free(s->cfg);
    mem_free(s);
}

static struct scoring *open_scoring(const char *metric, int h, int w, struct err *e)
{
    char yaml[1024];
    struct scoring *s = mem_new(1, sizeof *s, e);
    assert_non_null(s);
    int len = snprintf(yaml, sizeof yaml, "metric: %s\n", metric);
    s->h = h;
    s->w = w;
    s->cfg = cfg_parse(fields, &s->conf, "test", yaml, (size_t)len, NULL, 0, e);
    if (!s->cfg) fail_msg("%s", e->text);
    s->metric = (const struct metric *)s->conf.metric.kind;
    if (!s->metric->open || (s->state = s->metric->open(s->conf.metric.conf, h, w, e))) return s;
    scoring_free(s);
    return NULL;
}

struct scoring *scoring_new(const char *metric, int h, int w)
{
    struct err e = {0};
    struct scoring *s = open_scoring(metric, h, w, &e);
    if (!s) fail_msg("%s: %s", metric, e.text);
    return s;
}

double scoring_score(struct scoring *s, const float *reference, const float *image)
{
    struct err e = {0};
    double out = NAN;
    const struct metric_pair pair = {reference, image, s->h, s->w, {0}};
    if (s->metric->score(s->state, s->conf.metric.conf, &pair, &out, &e)) fail_msg("%s", e.text);
    return out;
}

const struct metric *scoring_metric(const struct scoring *s)
{
    return s->metric;
}

const void *scoring_conf(const struct scoring *s)
{
    return s->conf.metric.conf;
}

int score_try(const char *metric, double maximum, const float *reference, const float *image, int h,
              int w, double *out, struct err *e)
{
    struct scoring *s = open_scoring(metric, h, w, e);
    if (!s) return -1;
    const struct metric_pair pair = {reference, image, h, w, {maximum}};
    int rc = s->metric->score(s->state, s->conf.metric.conf, &pair, out, e);
    scoring_free(s);
    return rc;
}

double score_of(const char *metric, const float *reference, const float *image, int h, int w)
{
    struct err e = {0};
    double out = NAN;
    if (score_try(metric, 0.0, reference, image, h, w, &out, &e))
        fail_msg("%s: %s", metric, e.text);
    return out;
}
