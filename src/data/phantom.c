#include "base/cli.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/phantom_slot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIMULATOR = 2 /* other bytes from the same options: another number */ };
static const double UNIT = 3e-4; /* signal 1 as fastMRI's files are scaled */

static void draw_scanner(struct phantom *p, struct rng r)
{
    p->gain = (float)(UNIT * exp(0.25 * (2 * rng_uniform(&r) - 1)));
    double snr = p->conf.snr * (0.6 + 0.8 * rng_uniform(&r));
    p->noise_sd = (float)(p->gain / snr);
    p->fat_left = (float)(0.08 + 0.07 * rng_uniform(&r));
    p->fat_uneven = (float)(0.05 + 0.10 * rng_uniform(&r));
    p->phase[0] = (float)(2 * M_PI * rng_uniform(&r));
    for (int i = 1; i < 6; i++)
        p->phase[i] = (float)(0.6 * rng_normal(&r));
    /* 440 Hz at 3 T or 220 Hz at 1.5 T over 200 to 280 Hz a voxel */
    p->fat_shift_mm = (float)(0.35 + 0.5 * rng_uniform(&r)) * (rng_below(&r, 2) ? 1 : -1);
    p->key = rng_u32(&r);
    for (int i = 0; i < 8; i++)
        snprintf(p->patient + 8 * i, 9, "%08x", (unsigned)rng_u32(&r));
}

static int draw_defect(struct phantom *p, struct err *e)
{
    const struct phantom_conf *c = &p->conf;
    const char *names = c->defect ? c->defect : "";
    unsigned kinds;
    if (defect_kinds(names, &kinds, e)) return -1;
    if (p->volume) kinds &= ~(1u << DEFECT_LESION);
    double share = c->defects > 0 ? c->defects : *names ? 1 : 0;
    defect_draw(&p->defect, kinds, share, &p->shape, &p->knee,
                rng_make(c->seed, RNG_SIMULATE, (uint32_t)p->scan, 3));
    if (p->defect.kind == DEFECT_WRAP)
        p->beyond = (int)ceil(p->defect.severity / (double)p->voxel_mm);
    return 0;
}

struct phantom *phantom_new(const struct phantom_conf *c, const struct anatomy *volume, int scan,
                            struct err *e)
{
    if (phantom_check(c, e)) return NULL;
    struct phantom *p = mem_new(1, sizeof *p, e);
    if (!p) return NULL;
    const struct phantom_shape s = phantom_shape(c, scan);
    p->conf = *c;
    p->shape = s;
    p->scan = scan;
    p->volume = volume;
    p->voxel_mm = (float)(s.fov_mm / s.size);
    p->fs = !volume && (c->contrast == PHANTOM_FS || (c->contrast == PHANTOM_MIXED && scan % 2));
    knee_draw(&p->knee, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 0), c->texture);
    if (volume)
        p->pose = anatomy_pose(volume, s.fov_mm, s.pitch_mm * s.slices,
                               rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 5));
    coil_array_draw(&p->array, s.coils, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 1));
    draw_scanner(p, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 2));
    if (draw_defect(p, e)) {
        mem_free(p);
        return NULL;
    }
    return p;
}

void phantom_free(struct phantom *p)
{
    mem_free(p);
}
double phantom_noise_sd(const struct phantom *p)
{
    return p->noise_sd;
}
enum contrast phantom_contrast(const struct phantom *p)
{
    return p->fs ? CONTRAST_FS : CONTRAST_NON_FS;
}
const struct defect *phantom_defect(const struct phantom *p)
{
    return &p->defect;
}

void phantom_parameters(const struct phantom *p, char text[PHANTOM_PARAMETERS])
{
    const struct phantom_conf *c = &p->conf;
    const struct phantom_shape *s = &p->shape;
    snprintf(text, PHANTOM_PARAMETERS,
             "simulator %d, seed %llu, scan %d, slices %d, coils %d, size %d, k-space %d x %d, "
             "acquired %d to %d, field of view %.9g mm, slices of %.9g mm every %.9g mm, fat "
             "suppressed %d, snr %.9g, texture %.9g, volume %016llx, defects %.9g of '%s'",
             SIMULATOR, (unsigned long long)c->seed, p->scan, s->slices, s->coils, s->size,
             s->readout, s->width, s->left, s->right, s->fov_mm, s->slice_mm, s->pitch_mm, p->fs,
             c->snr, c->texture, (unsigned long long)(p->volume ? anatomy_hash(p->volume) : 0),
             c->defects, c->defect ? c->defect : "");
}

/* ---- what is where ---- */

float phantom_slice_y(const struct phantom *p, int slice)
{
    return (float)p->shape.pitch_mm * (0.5f * (float)(p->shape.slices - 1) - (float)slice);
}

struct amplitude phantom_object(const struct phantom *p, struct vec3 at, float edge)
{
    if (p->defect.kind == DEFECT_WRAP) { /* the other leg mirrors this one, on its medial side */
        const float apart = p->defect.separation_mm;
        const float mirror = p->volume ? p->pose.mirror : p->knee.mirror;
        if (mirror * at.x > 0.5f * apart) at.x = mirror * apart - at.x;
    }
    return p->volume ? anatomy_at(p->volume, &p->pose, at) : knee_at(&p->knee, at, edge);
}

struct amplitude phantom_tissue(const struct phantom *p, int slice, int row, int col)
{
    int half = p->shape.size / 2;
    struct vec3 at = {(float)(col - half) * p->voxel_mm, phantom_slice_y(p, slice),
                      (float)(half - row) * p->voxel_mm};
    return phantom_object(p, at, p->voxel_mm);
}

void phantom_weigh(const struct phantom *p, struct vec3 at, float complex weight[2])
{
    float share = 1;
    if (p->fs) { /* the suppression fails gradually away from the isocentre */
        float far = (at.x * at.x + at.z * at.z) / (70.0f * 70.0f);
        float uneven = knee_field(p->key, at.x / 50, at.y / 50, at.z / 50);
        share = p->fat_left + p->fat_uneven * (0.6f * far + uneven);
        share = share < 0.03f ? 0.03f : share > 0.9f ? 0.9f : share;
    }
    const float *c = p->phase, x = at.x / 70, z = at.z / 70, y = at.y / 70;
    float phase = c[0] + c[1] * x + c[2] * z + c[3] * x * z + c[4] * x * x + c[5] * y +
                  0.4f * knee_field(p->key + 1, at.x / 60, at.y / 60, at.z / 60);
    float gain = p->gain;
    if (p->beyond) { /* the excitation fades outside of the field of view */
        float half = 0.5f * (float)p->shape.width * p->voxel_mm;
        float t = (fabsf(at.x) - half) / (float)p->defect.severity;
        gain *= t <= 0 ? 1 : t >= 1 ? 0 : 0.5f * (1 + cosf((float)M_PI * t));
    }
    weight[0] = gain * cosf(phase) + gain * sinf(phase) * I;
    weight[1] = share * weight[0];
}
