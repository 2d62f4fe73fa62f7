/* The training and validation images, which must share no scan. */
#pragma once

#include "data/images.h"

struct sets_conf {
    struct cfg_texts train, validation;
    const char *cache;
    int height, width;
    struct jsense_conf jsense;
};
extern const struct cfg_field sets_fields[];

struct sets {
    struct images train, validation;
};
int sets_open(struct sets *s, const struct sets_conf *c, bool quiet, struct err *e);
void sets_release(struct sets *s);
