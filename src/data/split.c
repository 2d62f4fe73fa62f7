#include "data/split.h"

#include "base/mem.h"

#include <string.h>

extern const struct split split_folders, split_lists, split_patients;

const struct cfg_kind *const split_kinds[] = {&split_folders.kind, &split_lists.kind,
                                              &split_patients.kind, NULL};
const char *const part_names[] = {"train", "validation", "test", NULL};

const struct split split_folders = {
    .kind = {"folders", "as the folders are: every scan where it is configured", NULL, 0}};

static const struct split *split_of(const struct cfg_pick *p)
{
    return (const struct split *)(const void *)p->kind;
}

bool split_is_none(const struct cfg_pick *split)
{
    return !split->kind || split_of(split) == &split_folders;
}

int split_check(const struct cfg_pick *split, struct err *e)
{
    if (split_is_none(split) || !split_of(split)->check) return 0;
    return split_of(split)->check(split->conf, e);
}

/* ---- Dividing ------------------------------------------------------------------------------ */

struct filter {
    const struct split *split;
    const void *state;
    const bool *wanted;
};

static bool is_wanted(void *ctx, const char *name)
{
    const struct filter *f = ctx;
    enum part part = f->split->part_of(f->state, name);
    return part != PART_NONE && f->wanted[part];
}

/* Without a split everything goes to the one part that is asked for. */
static int all_to_one(const bool wanted[PARTS], const struct scans *s, enum part *part)
{
    int to = 0;
    while (to < PARTS - 1 && !wanted[to])
        to++;
    for (int i = 0; i < s->n; i++)
        part[i] = (enum part)to;
    return 0;
}

/* Moves the scans of one part into *out, which is zeroed. */
static int take_part(struct scans *out, const struct scans *all, const enum part *part,
                     enum part want, struct err *e)
{
    int n = 0;
    for (int i = 0; i < all->n; i++)
        n += part[i] == want;
    if (n == 0) {
        err_set(e, ERR_DATA, "the split leaves no scan for '%s'", part_names[want]);
        return err_hint(e, "%d scans were found", all->n);
    }
    out->on_bad = all->on_bad;
    if (!(out->list = mem_new((size_t)n, sizeof *out->list, e))) return -1;
    for (int i = 0; i < all->n; i++)
        if (part[i] == want) out->list[out->n++] = all->list[i];
    return 0;
}

static int give_out(struct scans *all, const enum part *part, struct scans *const out[PARTS],
                    struct err *e)
{
    int rc = 0;
    struct scans *first = NULL;
    for (int k = 0; k < PARTS && rc == 0; k++) {
        if (!out[k]) continue;
        rc = take_part(out[k], all, part, (enum part)k, e);
        if (!first) first = out[k];
    }
    if (rc == 0 && first) {
        first->nbad = all->nbad;
        first->bad = all->bad;
        all->nbad = 0;
        all->bad = NULL;
    }
    return rc;
}

int split_scans(const struct cfg_pick *split, const struct scans_query *q,
                struct scans *const out[PARTS], struct err *e)
{
    const struct split *s = split_is_none(split) ? &split_folders : split_of(split);
    bool wanted[PARTS];
    struct scans all = {0};
    struct scans_query query = *q;
    void *state = NULL;
    enum part *part = NULL;
    int rc = -1;
    for (int k = 0; k < PARTS; k++) {
        wanted[k] = out[k] != NULL;
        if (out[k]) *out[k] = (struct scans){0};
    }
    if (s->open && !(state = s->open(split->conf, e))) return -1;
    struct filter filter = {s, state, wanted};
    if (state) {
        query.wanted = is_wanted;
        query.ctx = &filter;
    }
    if (scans_search(&all, &query, e) || !(part = mem_new((size_t)all.n, sizeof *part, e)) ||
        (s->divide ? s->divide(split->conf, state, &all, wanted, part, e)
                   : all_to_one(wanted, &all, part)) ||
        give_out(&all, part, out, e))
        goto out;
    rc = 0;
out:
    if (state) s->close(state);
    mem_free(part);
    scans_release(&all);
    for (int k = 0; k < PARTS && rc; k++)
        if (out[k]) scans_release(out[k]);
    return rc;
}

/* ---- Nothing in two sets ------------------------------------------------------------------- */

int split_check_disjoint(const struct scans *a, const struct scans *b, const char *const names[2],
                         bool patients_too, struct err *e)
{
    for (int i = 0; i < a->n; i++)
        for (int j = 0; j < b->n; j++) {
            const struct scan *x = a->list + i, *y = b->list + j;
            if (!strcmp(x->name, y->name)) {
                err_set(e, ERR_CONFIG, "scan '%s' is in both %s (%s) and %s (%s)", x->name,
                        names[0], x->path, names[1], y->path);
                return err_hint(e, "what a network was trained on cannot tell how well it does");
            }
            if (patients_too && x->patient[0] && !strcmp(x->patient, y->patient)) {
                err_set(e, ERR_CONFIG, "patient '%s' is in both %s (%s) and %s (%s)", x->patient,
                        names[0], x->path, names[1], y->path);
                return err_hint(e, "scans of one patient are alike; divide by patient "
                                   "(data.split=patients), or, if it must be, set "
                                   "data.same_patient=allow");
            }
        }
    return 0;
}
