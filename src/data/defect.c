#include "data/defect.h"

#include "base/num.h"
#include "data/phantom.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *unit;
} kinds_of[DEFECT_KINDS] = {
    [DEFECT_NONE] = {"none", ""},           [DEFECT_MOTION] = {"motion", "mm"},
    [DEFECT_WRAP] = {"wrap", "mm"},         [DEFECT_SPIKE] = {"spike", "of the largest sample"},
    [DEFECT_DEAD_COIL] = {"dead-coil", ""}, [DEFECT_LESION] = {"lesion", "mm"},
};

int defect_kinds(const char *names, unsigned *kinds, struct err *e)
{
    *kinds = 0;
    for (const char *at = names; *at;) {
        size_t n = strcspn(at, ", ");
        for (int k = 1; k < DEFECT_KINDS; k++)
            if (strlen(kinds_of[k].name) == n && memcmp(at, kinds_of[k].name, n) == 0) {
                *kinds |= 1u << k;
                goto known;
            }
        err_set(e, ERR_USAGE, "defect: there is no kind '%.*s'", (int)n, at);
        return err_hint(e, "kinds are motion, wrap, spike, dead-coil and lesion");
    known:
        at += n;
        at += strspn(at, ", ");
    }
    if (!*kinds) *kinds = (1u << DEFECT_KINDS) - 2;
    return 0;
}

static double between(struct rng *r, double lo, double hi)
{
    return lo + (hi - lo) * rng_uniform(r);
}

/* A range of at least half of the slices. */
static void draw_range(struct defect *d, int slices, struct rng *r)
{
    int n = slices - (int)rng_below(r, (uint32_t)(slices / 2 + 1));
    d->first = (int)rng_below(r, (uint32_t)(slices - n + 1));
    d->last = d->first + n - 1;
}

static void draw_motion(struct defect *d, const struct phantom_shape *s, struct rng *r)
{
    draw_range(d, s->slices, r);
    d->severity = between(r, 1, 6);
    d->shots = (s->right - s->left + 7) / 8; /* echo trains of eight */
    d->poses = 2 + (int)rng_below(r, DEFECT_POSES - 1);
    for (int i = 1; i < d->poses; i++) {
        /* each event in its own part of the scan, the first one anywhere but at the ends */
        double at = (i - 1 + between(r, 0.2, 0.8)) / (d->poses - 1);
        d->from[i] = 1 + (int)(at * (d->shots - 1));
        double size = d->severity * (i == 1 ? 1 : between(r, 0.3, 1)),
               way = between(r, 0, 2 * M_PI);
        d->pose[i] = (struct pose){(float)(size * cos(way)), (float)(size * sin(way)),
                                   (float)(size * between(r, -0.01, 0.01))};
    }
}

static void draw_spikes(struct defect *d, const struct phantom_shape *s, struct rng *r)
{
    d->spikes = 1 + (int)rng_below(r, DEFECT_SPIKES);
    if (d->spikes > s->slices) d->spikes = s->slices;
    d->first = s->slices - 1;
    for (int i = 0; i < d->spikes; i++) {
        struct spike *k = &d->spike[i];
        bool taken = true;
        while (taken) { /* a slice of its own */
            k->slice = (int)rng_below(r, (uint32_t)s->slices);
            taken = false;
            for (int j = 0; j < i; j++)
                taken |= d->spike[j].slice == k->slice;
        }
        /* away from the centre, where a spike is a stripe and not an offset */
        do {
            k->row = s->readout / 4 + (int)rng_below(r, (uint32_t)(s->readout / 2));
            k->col = s->left + (int)rng_below(r, (uint32_t)(s->right - s->left));
        } while (abs(k->row - s->readout / 2) < s->readout / 32 &&
                 abs(k->col - s->width / 2) < s->width / 32);
        k->over = between(r, 0.15, 1.2);
        k->phase = between(r, 0, 2 * M_PI);
        if (k->over > d->severity) d->severity = k->over;
        if (k->slice < d->first) d->first = k->slice;
        if (k->slice > d->last) d->last = k->slice;
    }
}

static void draw_lesion(struct defect *d, const struct phantom_shape *s, struct knee *k,
                        struct rng *r)
{
    d->lesion = knee_lesion_draw(k, (enum lesion_kind)rng_below(r, LESION_KINDS), r);
    const double voxel = s->fov_mm / s->size, middle = 0.5 * (s->slices - 1);
    struct vec3 at = knee_to_world(k, d->lesion.at);
    /* not into a gap between slices, which are sparse when they are few */
    const double slice = fmin(fmax(round(middle - at.y / s->pitch_mm), 0), s->slices - 1);
    const double near = s->pitch_mm * (middle - slice), off = at.y - near;
    if (fabs(off) > 0.5 * s->slice_mm) {
        d->lesion.at.y -= (float)(off / k->scale);
        at = knee_to_world(k, d->lesion.at);
    }
    k->lesion = d->lesion;
    d->severity = d->lesion.radius;
    d->row = (int)lround(s->size / 2 - at.z / voxel);
    d->col = (int)lround(s->size / 2 + at.x / voxel);
    /* a slice that the ball does not reach is left alone by it */
    const double reach = (1.1 * d->lesion.radius + 1.5) * k->scale + 0.5 * s->slice_mm;
    const int first = (int)ceil(middle - (at.y + reach) / s->pitch_mm),
              last = (int)floor(middle - (at.y - reach) / s->pitch_mm);
    d->first = first < 0 ? 0 : first;
    d->last = last > s->slices - 1 ? s->slices - 1 : last;
}

void defect_draw(struct defect *d, unsigned kinds, double share, const struct phantom_shape *s,
                 struct knee *k, struct rng r)
{
    *d = (struct defect){.kind = DEFECT_NONE};
    if (rng_uniform(&r) >= share) return;
    int n = __builtin_popcount(kinds), pick = (int)rng_below(&r, (uint32_t)n);
    for (int i = 1; i < DEFECT_KINDS; i++)
        if (kinds >> i & 1 && pick-- == 0) d->kind = (enum defect_kind)i;
    d->last = s->slices - 1;
    switch (d->kind) {
    case DEFECT_MOTION:
        draw_motion(d, s, &r);
        break;
    case DEFECT_SPIKE:
        d->last = 0;
        draw_spikes(d, s, &r);
        break;
    case DEFECT_LESION:
        draw_lesion(d, s, k, &r);
        break;
    case DEFECT_WRAP:
        d->severity = between(&r, 12, 35);
        /* from axis to axis; a leg is some 60 mm from its axis to its skin */
        d->separation_mm = (float)(0.5 * s->fov_mm * s->width / s->size + 61);
        break;
    default:
        d->severity = 1;
        d->coil = (int)rng_below(&r, (uint32_t)s->coils);
    }
}

int defect_pose_of(const struct defect *d, int column)
{
    int pose = 0, shot = d->shots > 0 ? column % d->shots : 0;
    while (pose + 1 < d->poses && shot >= d->from[pose + 1])
        pose++;
    return pose;
}

/* ---- truth ---- */

/* One line; NAN: an empty cell. */
static int put_line(char *out, size_t room, const char *contrast, enum defect_kind kind,
                    const double number[6], const char *where)
{
    char cell[6][NUM_TEXT] = {""};
    const char *quote = strchr(where, ',') ? "\"" : ""; /* as RFC 4180 says */
    for (int i = 0; i < 6; i++)
        if (!isnan(number[i])) num_text(cell[i], number[i], 9);
    int n = snprintf(out, room, "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s%s%s\n", contrast,
                     kinds_of[kind].name, cell[0], cell[1], cell[2], kinds_of[kind].unit, cell[3],
                     cell[4], cell[5], quote, where, quote);
    assert(n > 0 && (size_t)n < room);
    return n;
}

void defect_tell(const struct defect *d, const char *contrast, char text[DEFECT_TEXT])
{
    char where[128] = "";
    double number[6] = {d->first, d->last, d->severity, NAN, NAN, NAN}; /* coil, row, column */
    switch (d->kind) {
    case DEFECT_NONE:
        number[0] = number[1] = number[2] = NAN;
        break;
    case DEFECT_SPIKE:
        for (int i = 0, n = 0; i < d->spikes; i++) {
            const struct spike *s = &d->spike[i];
            const double one[6] = {s->slice, s->slice, s->over, NAN, s->row, s->col};
            n += put_line(text + n, DEFECT_TEXT - (size_t)n, contrast, d->kind, one,
                          "k-space, all coils");
        }
        return;
    case DEFECT_MOTION:
        snprintf(where, sizeof where, "%d poses, from shot %d of %d", d->poses, d->from[1],
                 d->shots);
        break;
    case DEFECT_DEAD_COIL:
        number[3] = d->coil;
        break;
    case DEFECT_LESION:
        number[4] = d->row;
        number[5] = d->col;
        snprintf(where, sizeof where, "%s", knee_lesion_place(&d->lesion));
        break;
    default:
        snprintf(where, sizeof where, "the other leg, from beyond the field of view");
    }
    put_line(text, DEFECT_TEXT, contrast, d->kind, number, where);
}
