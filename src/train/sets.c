#include "train/sets.h"

#include <string.h>

const struct cfg_field sets_fields[] = {
    CFG_TEXTS(struct sets_conf, train, NULL, "scans to train on: HDF5 files, or folders of them"),
    CFG_TEXTS(struct sets_conf, validation, NULL, "scans to validate on; none of the training's"),
    CFG_TEXT(struct sets_conf, cache, "cache", "folder of computed references, shared by runs"),
    CFG_INT(struct sets_conf, height, "320", 1, 4096, "px",
            "references are cropped or zero-padded to this"),
    CFG_INT(struct sets_conf, width, "320", 1, 4096, "px", "see height"),
    CFG_GROUP(struct sets_conf, jsense, jsense_fields, "reference images"),
    CFG_END};

/* By name, not by path: a copy of a training scan elsewhere is still a training scan. */
static int check_disjoint(const struct scans *a, const struct scans *b, struct err *e)
{
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++)
            if (!strcmp(a->list[i].name, b->list[j].name)) {
                err_set(e, ERR_CONFIG,
                        "scan '%s' is in both data.train (%s) and data.validation (%s)",
                        a->list[i].name, a->list[i].path, b->list[j].path);
                return err_hint(e, "what a network was trained on cannot tell how well it does");
            }
    return 0;
}

static int find_set(struct images *im, const struct sets_conf *c, struct cfg_texts scans,
                    struct err *e)
{
    struct images_conf conf = {.scans = scans,
                               .cache = c->cache,
                               .slices = SLICES_ALL,
                               .height = c->height,
                               .width = c->width,
                               .jsense = c->jsense};
    return images_find(im, &conf, e);
}

int sets_open(struct sets *s, const struct sets_conf *c, bool quiet, struct err *e)
{
    *s = (struct sets){0};
    struct images *train = &s->train, *validation = &s->validation;
    int bad;
    if (find_set(train, c, c->train, e))
        bad = err_wrap(e, "data.train");
    else if (find_set(validation, c, c->validation, e))
        bad = err_wrap(e, "data.validation");
    else
        bad = check_disjoint(&train->scans, &validation->scans, e) ||
              images_prepare(train, quiet, e) || images_prepare(validation, quiet, e);
    if (bad) sets_release(s);
    return bad ? -1 : 0;
}

void sets_release(struct sets *s)
{
    images_release(&s->train);
    images_release(&s->validation);
}
