#include "train/blame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct sample_source *source_of(const struct task *t, bool validation)
{
    return validation ? &t->validation : &t->train;
}

void blame_name(const struct task *t, bool validation, uint32_t index, char *text, size_t size)
{
    if (t->name_sample)
        t->name_sample(t, validation, index, text, size);
    else
        snprintf(text, size, "image number %u of the %s set", index + 1,
                 validation ? "validation" : "training");
}

static int make_named(void *ctx, uint32_t index, uint32_t epoch, float *input, float *target,
                      float *mask, struct err *e)
{
    const struct named_source *n = ctx;
    const struct sample_source *s = source_of(n->task, n->validation);
    char name[256];
    if (s->make(s->ctx, index, epoch, input, target, mask, e) == 0) return 0;
    blame_name(n->task, n->validation, index, name, sizeof name);
    return err_wrap(e, "%s", name);
}

struct sample_source blame_source(struct named_source *n)
{
    struct sample_source s = *source_of(n->task, n->validation);
    s.ctx = n;
    s.make = make_named;
    return s;
}

static bool all_finite(const float *x, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < n; i++)
        all &= isfinite(x[i]) != 0;
    return all;
}

int blame_find(const struct task *t, const struct batch *b)
{
    const struct sample_source *s = &t->train;
    for (int i = 0; i < b->n; i++) {
        const size_t k = (size_t)i;
        if (!all_finite(b->input + k * s->input_len, s->input_len) ||
            !all_finite(b->target + k * s->target_len, s->target_len))
            return i;
    }
    return -1;
}

void blame_samples(const struct task *t, const uint32_t *index, int n, int bad, char *text,
                   size_t size)
{
    char name[256];
    if (bad >= 0) {
        blame_name(t, false, index[bad], name, sizeof name);
        snprintf(text, size, "%s holds values that are not finite", name);
        return;
    }
    size_t at = (size_t)snprintf(text, size, "images are finite: ");
    for (int i = 0; i < n && at < size; i++) {
        blame_name(t, false, index[i], name, sizeof name);
        const int len = snprintf(text + at, size - at, "%s%s", i ? "; " : "", name);
        at += len > 0 ? (size_t)len : 0;
    }
}
