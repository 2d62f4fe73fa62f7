/* A split by patients: no patient is in two parts, however many scans he or she has. Scans without
 * a patient count as one patient each.
 *
 * Patients are taken in an order that is random by seed and identity alone, and each goes to the
 * part that lacks most scans of its share. So the parts differ from their shares by less than a
 * patient's scans, and do not depend on the order or place of files. */
#include "base/mem.h"
#include "base/rng.h"
#include "data/split.h"

#include <stdlib.h>
#include <string.h>

struct conf {
    double train, validation, test;
    uint64_t seed;
};

static const struct cfg_field fields[] = {
    CFG_REAL(struct conf, train, "0.8", 0, 1, "", "share of the scans to train on"),
    CFG_REAL(struct conf, validation, "0.2", 0, 1, "", "share of the scans to validate on"),
    CFG_REAL(struct conf, test, "0", 0, 1, "",
             "share of the scans to test on; what the shares leave of 1 is not used"),
    CFG_U64(struct conf, seed, "1000", "of the order of patients; one split for a seed"), CFG_END};

struct member { /* a scan, as one of a patient's */
    const char *patient;
    uint64_t key; /* random, by seed and patient */
    int scan;
};

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return strcmp(x->patient, y->patient);
}

static uint64_t random_key(uint64_t seed, const char *patient)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (const char *p = patient; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    struct rng r = rng_make(seed, RNG_SPLIT, (uint32_t)(h >> 32), (uint32_t)h);
    uint64_t high = rng_u32(&r);
    return high << 32 | rng_u32(&r);
}

static void share_out(const struct conf *c, const struct member *m, int n, enum part *part)
{
    const double share[PARTS] = {c->train, c->validation, c->test};
    double lacks[PARTS + 1];
    for (int k = 0; k < PARTS; k++)
        lacks[k] = share[k] * n;
    lacks[PART_NONE] = (1.0 - (c->train + c->validation + c->test)) * n;
    for (int i = 0, end; i < n; i = end) {
        int to = 0;
        for (int k = 1; k <= PART_NONE; k++)
            if (lacks[k] > lacks[to] + 1e-9) to = k;
        for (end = i; end < n && by_key(m + i, m + end) == 0; end++)
            part[m[end].scan] = (enum part)to;
        lacks[to] -= end - i;
    }
}

static int divide(const void *conf, const void *state, struct scans *scans,
                  const bool wanted[PARTS], enum part *part, struct err *e)
{
    (void)state, (void)wanted;
    const struct conf *c = conf;
    struct member *m = mem_new((size_t)scans->n, sizeof *m, e);
    if (!m) return -1;
    for (int i = 0; i < scans->n; i++) {
        const struct scan *s = scans->list + i;
        m[i] = (struct member){.patient = s->patient[0] ? s->patient : s->name, .scan = i};
        m[i].key = random_key(c->seed, m[i].patient);
    }
    qsort(m, (size_t)scans->n, sizeof *m, by_key);
    share_out(c, m, scans->n, part);
    mem_free(m);
    return 0;
}

static int check(const void *conf, struct err *e)
{
    const struct conf *c = conf;
    double sum = c->train + c->validation + c->test;
    if (sum > 0.0 && sum <= 1.0 + 1e-9) return 0;
    return err_set(e, ERR_CONFIG,
                   "data.split: the shares train, validation and test sum to %g, "
                   "expected more than 0 and at most 1",
                   sum);
}

const struct split split_patients = {
    .kind = {"patients", "divides by patient, in given shares", fields, sizeof(struct conf)},
    .check = check,
    .divide = divide,
};
