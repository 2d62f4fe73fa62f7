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
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

void blame_batch(const struct task *t, const struct batch *b, int samples, char *text, size_t size)
{
    const struct sample_source *s = &t->train;
    char name[256];
    for (int i = 0; i < samples; i++) {
        const size_t k = (size_t)i;
        if (all_finite(b->input + k * s->input_len, s->input_len) &&
            all_finite(b->target + k * s->target_len, s->target_len))
            continue;
        blame_name(t, false, b->index[i], name, sizeof name);
        snprintf(text, size, "%s holds values that are not finite", name);
        return;
    }
    size_t at = (size_t)snprintf(text, size, "images are finite: ");
    for (int i = 0; i < samples && at < size; i++) {
        blame_name(t, false, b->index[i], name, sizeof name);
        const int n = snprintf(text + at, size - at, "%s%s", i ? "; " : "", name);
        at += n > 0 ? (size_t)n : 0;
    }
}
