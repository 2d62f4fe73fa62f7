#include "train/sets.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { SAME_PATIENT_REFUSE, SAME_PATIENT_ALLOW };
static const char *const same_patient_choices[] = {"refuse", "allow", NULL};

const struct cfg_field sets_fields[] = {
    CFG_TEXTS(struct sets_conf, train, NULL,
              "scans to train on: files, or folders of them (fastMRI, ISMRMRD or BART: "
              "docs/data.md)"),
    CFG_TEXTS(struct sets_conf, validation, "[]",
              "scans to validate on, none of the training's; not needed with a split"),
    CFG_PICK(struct sets_conf, split, "folders", split_kinds,
             "divides the scans of train and validation together"),
    CFG_CHOICE(struct sets_conf, on_bad_scan, "stop", bad_scan_choices,
               "a scan that is damaged or undersampled stops the run at once, or is skipped and "
               "listed in skipped_scans.csv"),
    CFG_CHOICE(struct sets_conf, same_patient, "refuse", same_patient_choices,
               "what to do about a patient in both training and validation"),
    CFG_TEXT(struct sets_conf, cache, "cache", "folder of computed references, shared by runs"),
    CFG_INT(struct sets_conf, height, "320", 1, 4096, "px",
            "references are cropped or zero-padded to this"),
    CFG_INT(struct sets_conf, width, "320", 1, 4096, "px", "see height"),
    CFG_GROUP(struct sets_conf, jsense, jsense_fields, "reference images"),
    CFG_END};

int sets_check(const struct sets_conf *c, struct err *e)
{
    if (c->train.n == 0 && (split_is_none(&c->split) || c->validation.n == 0)) {
        err_set(e, ERR_CONFIG, "data.train is empty");
        return err_hint(e, "name the scans to train on: files, or folders of them");
    }
    if (c->validation.n == 0 && split_is_none(&c->split)) {
        err_set(e, ERR_CONFIG, "data.validation is missing");
        return err_hint(e, "name the scans to validate on, or divide those of data.train by "
                           "data.split");
    }
    return split_check(&c->split, e);
}

static int find_folders(struct scans *train, struct scans *validation, const struct sets_conf *c,
                        struct scans_query *q, struct err *e)
{
    q->paths = c->train;
    if (scans_search(train, q, e)) return err_wrap(e, "data.train");
    q->paths = c->validation;
    if (scans_search(validation, q, e)) return err_wrap(e, "data.validation");
    return 0;
}

static bool is_among(const char *path, struct cfg_texts list)
{
    for (int i = 0; i < list.n; i++)
        if (!strcmp(path, list.v[i])) return true;
    return false;
}

static int find_split(struct scans *train, struct scans *validation, const struct sets_conf *c,
                      struct scans_query *q, struct err *e)
{
    struct scans *const out[PARTS] = {train, validation, NULL};
    int n = c->train.n + c->validation.n;
    const char **paths = mem_new((size_t)n, sizeof *paths, e);
    if (!paths) return -1;
    n = 0;
    for (int i = 0; i < c->train.n; i++)
        paths[n++] = c->train.v[i];
    for (int i = 0; i < c->validation.n; i++) /* often the same folder */
        if (!is_among(c->validation.v[i], c->train)) paths[n++] = c->validation.v[i];
    q->paths = (struct cfg_texts){n, paths};
    int rc = split_scans(&c->split, q, out, e);
    mem_free(paths);
    return rc ? err_wrap(e, "data.split") : 0;
}

int sets_find(struct sets *s, const struct sets_conf *c, bool quiet, struct err *e)
{
    static const char *const names[2] = {"data.train", "data.validation"};
    const struct images_conf conf = {.cache = c->cache,
                                     .slices = SLICES_ALL,
                                     .height = c->height,
                                     .width = c->width,
                                     .jsense = c->jsense};
    struct scans_query q = {.on_bad = c->on_bad_scan, .quiet = quiet};
    struct scans train = {0}, validation = {0};
    *s = (struct sets){0};
    int bad =
        sets_check(c, e) || (split_is_none(&c->split) ? find_folders(&train, &validation, c, &q, e)
                                                      : find_split(&train, &validation, c, &q, e));
    images_adopt(&s->train, &conf, &train);
    images_adopt(&s->validation, &conf, &validation);
    return bad || split_check_disjoint(&s->train.scans, &s->validation.scans, names,
                                       c->same_patient == SAME_PATIENT_REFUSE, e)
               ? -1
               : 0;
}

int sets_prepare(struct sets *s, bool quiet, struct err *e)
{
    return images_prepare(&s->train, quiet, e) || images_prepare(&s->validation, quiet, e) ? -1 : 0;
}

static bool is_empty(const float complex *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != 0.0f) return false;
    return true;
}

/* Reads until there is an image that is not empty: one, as a rule. */
static int refuse_empty(struct images *im, const char *key, struct err *e)
{
    const size_t n = (size_t)im->height * (size_t)im->width;
    float complex *x = mem_new(n, sizeof *x, e);
    int rc = x ? 0 : -1, empty = 0;
    while (!rc && empty < im->n && !(rc = images_read(im, empty, x, e)) && is_empty(x, n))
        empty++;
    mem_free(x);
    if (rc || empty < im->n) return rc;
    err_set(e, ERR_DATA, "%s: all %d images are empty, every pixel is 0", key, im->n);
    return err_hint(e, "look at the pictures in %s; are the maps of data.jsense.maps, if any, 0?",
                    im->conf.cache);
}

int sets_refuse_empty(struct sets *s, struct err *e)
{
    return refuse_empty(&s->train, "data.train", e) ||
                   refuse_empty(&s->validation, "data.validation", e)
               ? -1
               : 0;
}

int sets_slices(const struct images *im)
{
    int n = 0;
    for (int i = 0; i < im->scans.n; i++)
        n += im->scans.list[i].slices;
    return n;
}

int sets_missing(const struct sets *s, struct err *e)
{
    const int train = images_missing(&s->train, e);
    const int validation = train < 0 ? -1 : images_missing(&s->validation, e);
    return validation < 0 ? -1 : train + validation;
}

int sets_report(struct sets *s, const char *folder, struct err *e)
{
    struct scans *const both[] = {&s->train.scans, &s->validation.scans};
    return scans_report(both, 2, folder, stderr, e);
}

void sets_release(struct sets *s)
{
    images_release(&s->train);
    images_release(&s->validation);
}
