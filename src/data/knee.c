#include "data/knee_paint.h"

#include <math.h>

static const double FAT_T1_MS = 370, FAT_T2_MS = 130;

/* Proton density, T1 and T2 of the water (ms), share of fat. */
static const struct {
    double pd, t1, t2, fat;
} tissues[T_COUNT] = {
    [T_FAT] = {1.00, 900, 40, 0.93},         [T_MARROW] = {0.88, 1000, 45, 0.90},
    [T_RED_MARROW] = {0.88, 1000, 45, 0.55}, [T_MUSCLE] = {0.86, 1100, 33, 0.02},
    [T_CARTILAGE] = {0.90, 1100, 47, 0},     [T_FLUID] = {1.00, 2200, 500, 0},
    [T_MENISCUS] = {0.60, 950, 13, 0},       [T_LIGAMENT] = {0.60, 950, 12, 0.02},
    [T_CORTEX] = {0.25, 900, 8, 0.03},       [T_SKIN] = {0.80, 900, 28, 0.05},
    [T_VEIN] = {0.95, 1600, 90, 0},          [T_ARTERY] = {0.10, 1600, 60, 0},
    [T_SYNOVIUM] = {0.90, 1300, 60, 0.30},   [T_SEPTUM] = {0.70, 950, 18, 0.40},
    [T_OEDEMA] = {0.80, 1500, 85, 0.15},
};

static float between(struct rng *r, double lo, double hi)
{
    return (float)(lo + (hi - lo) * rng_uniform(r));
}

static float about(struct rng *r, double mean, double sd)
{
    double n = rng_normal(r);
    return (float)(mean + sd * (n < -2 ? -2 : n > 2 ? 2 : n));
}

/* Rotation by small angles about x, y and z (rad). */
static void rotation(float rot[9], double ax, double ay, double az)
{
    const double cx = cos(ax), sx = sin(ax), cy = cos(ay), sy = sin(ay), cz = cos(az), sz = sin(az);
    const double row[3][3] = {
        {cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz},
        {cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz},
        {-sy, sx * cy, cx * cy},
    };
    for (int i = 0; i < 9; i++)
        rot[i] = (float)row[i / 3][i % 3];
}

static void draw_veins(struct knee *k, struct rng *r)
{
    for (int i = 0; i < KNEE_VEINS; i++) {
        float angle = between(r, 0, 2 * M_PI), z = between(r, -60, 70);
        float depth = i < 4 ? between(r, 49, 55) : between(r, 20, 44); /* superficial; genicular */
        struct vec3 a = {depth * cosf(angle), depth * sinf(angle), z}, b = a;
        angle += about(r, 0, 0.25);
        b.x = depth * cosf(angle);
        b.y = depth * sinf(angle);
        b.z += i < 4 ? between(r, 40, 110) : between(r, -25, 25);
        k->vein[i] = (struct capsule){a, b, between(r, 0.8, i < 4 ? 1.4 : 1.1)};
    }
}

static void draw_pose(struct knee *k, struct rng *r)
{
    k->mirror = rng_below(r, 2) ? 1 : -1;
    k->scale = between(r, 0.94, 1.10);
    double tilt[3];
    for (int i = 0; i < 3; i++)
        tilt[i] = about(r, 0, i == 2 ? 0.10 : 0.06);
    rotation(k->rot, tilt[0], tilt[1], tilt[2]);
    k->offset = (struct vec3){about(r, 0, 2.5), about(r, 1, 2.5), about(r, 0, 5)};
    k->flexion = between(r, 0, 0.12);
    k->valgus = about(r, 0, 0.025);
}

void knee_draw(struct knee *k, struct rng r, double texture)
{
    *k = (struct knee){.texture = (float)texture, .key = rng_u32(&r)};
    for (int t = 0; t < T_COUNT; t++) {
        double vary = about(&r, 1, 0.04), pd = tissues[t].pd * vary, fat = tissues[t].fat;
        double water = (1 - exp(-KNEE_TR_MS / tissues[t].t1)) * exp(-KNEE_TE_MS / tissues[t].t2);
        k->tissue[t] = (struct amplitude){
            (float)(pd * (1 - fat) * water),
            (float)(pd * fat * (1 - exp(-KNEE_TR_MS / FAT_T1_MS)) * exp(-KNEE_TE_MS / FAT_T2_MS))};
    }
    draw_pose(k, &r);
    k->femur_width = about(&r, 1, 0.035);
    k->condyle[0] = about(&r, 1, 0.03);
    k->condyle[1] = about(&r, 0.98, 0.03);
    k->notch = between(&r, 7.5, 10);
    k->gap = between(&r, 2.2, 3.1);
    k->tilt = about(&r, 0.08, 0.03);
    k->lean = about(&r, 0, 1);
    k->patella = about(&r, 30, 2.5);
    k->spine = between(&r, 5, 8);
    k->cortex = between(&r, 0.7, 1.1);
    k->scar_femur = between(&r, 29, 36);
    k->scar_tibia = between(&r, -21, -15);
    k->scar = between(&r, 0.15, 0.6);
    k->trabeculae = between(&r, 0.6, 1.3);
    k->red_marrow = between(&r, 0, 0.7);
    k->cartilage = between(&r, 1.6, 2.6);
    k->meniscus = between(&r, 9, 13);
    k->limb = about(&r, 1, 0.035);
    k->fat = between(&r, 4, 10);
    k->fat_medial = between(&r, 0.1, 0.6);
    k->bulk = about(&r, 1, 0.07);
    k->effusion = between(&r, 0, 1) * between(&r, 0, 1);
    k->streaks = between(&r, 0.3, 1.2);
    draw_veins(k, &r);
}

/* ---- soft tissue ---- */

/* Skin, the lobules and septa of subcutaneous fat, the deep fascia, the fat around the joint. */
static void paint_envelope(struct brush *b, float fascia, float skin)
{
    float lobule = brush_field(b, 60, 5, 5, 7), fine = brush_field(b, 61, 1.6f, 1.6f, 2.2f);
    float deep = smoothstep(1, -1, fascia);
    float gain = 1 - 0.06f * deep + 0.09f * lobule + (0.07f + 0.07f * deep) * fine;
    brush_blend(b, T_FAT, gain, 1);
    /* septa of uneven strength; in deep fat, fewer and finer strands */
    float sheet = brush_field(b, 62, 6, 6, 9) + 0.25f * fine;
    float fades = clampf(0.4f + 1.1f * brush_field(b, 63, 8, 8, 12), 0, 1);
    brush_blend(b, T_SEPTUM, 1, (0.85f - 0.4f * deep) * fades * ridge(sheet, 0.075f));
    if (fabsf(fascia) < 4) {
        /* the deep fascia; its thick lateral part is the iliotibial band */
        float band =
            smoothstep(-28, -42, b->p.x) * smoothstep(-12, 2, b->p.y) * smoothstep(-24, 4, b->p.z);
        float wave = brush_field(b, 64, 4, 4, 9), far = fabsf(fascia + band + 0.35f * wave);
        brush_tissue(b, T_SEPTUM, 0.8f, far - 0.4f + 0.45f * wave);
        brush_tissue(b, T_LIGAMENT, 1.2f + brush_field(b, 65, 1, 2.5f, 7),
                     far - (1.35f + 0.5f * wave) * band + 0.4f);
    }
    brush_tissue(b, T_SKIN, 1 + 0.3f * fine, maxf(skin, -1.4f - 0.3f * lobule - skin));
}

/* Synovium and fluid around the condyles, in the notch, in the joint space and above the patella.
 */
static void paint_capsule(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    float bone = minf(d->femur, d->tibia), rim = 39 * k->femur_width, wet = k->effusion;
    float space = maxf(maxf(-9 - p.z, p.z - 34), maxf(fabsf(p.x) - rim, p.y - 18));
    float ragged =
        1.1f * brush_field(b, 70, 3, 3, 4.5f) + 0.25f * brush_field(b, 72, 1.4f, 1.4f, 2.2f);
    float joint = smooth_max(bone - 2.2f - 3 * wet, space, 5);
    brush_tissue(b, T_SYNOVIUM, 0.85f + 0.2f * brush_field(b, 71, 2, 2, 2.5f), joint + ragged);
    float gutter = smooth_max(bone - 0.2f - 3.6f * wet, space + 2, 5);
    brush_tissue(b, T_FLUID, 0.95f, gutter + ragged);
    float gap = maxf(d->femur, d->tibia) - (k->cartilage + 1.0f); /* between the cartilages */
    if (p.z > -8 && p.z < 14) brush_tissue(b, T_FLUID, 0.95f, maxf(gap, fabsf(p.x) - rim + 5));
    if (p.y > 20 && p.z > 30) /* the suprapatellar recess */
        brush_tissue(b, T_FLUID, 1,
                     ellipsoid(p, 0, 34, 62, 22, 0.6f + 5 * wet, 20) + 0.6f * ragged);
}

/* World to anatomy, bent at the joint. */
static struct vec3 to_anatomy(const struct knee *k, struct vec3 w)
{
    float x = (w.x - k->offset.x) / k->scale, y = (w.y - k->offset.y) / k->scale;
    float z = (w.z - k->offset.z) / k->scale;
    const float *m = k->rot;
    struct vec3 p = {m[0] * x + m[3] * y + m[6] * z, m[1] * x + m[4] * y + m[7] * z,
                     m[2] * x + m[5] * y + m[8] * z};
    float bend = sqrtf(p.z * p.z + 400) - 20;
    p.x = k->mirror * p.x + k->valgus * bend;
    p.y += k->flexion * bend;
    return p;
}

static struct vec3 displaced(const struct knee *k, struct vec3 q)
{
    const struct vec3 wide = knee_field3(k->key + 102, q.x / 19, q.y / 19, q.z / 18),
                      near = knee_field3(k->key + 105, q.x / 6, q.y / 6, q.z / 7);
    return (struct vec3){q.x + 1.4f * wide.x + 0.5f * near.x, q.y + 1.4f * wide.y,
                         q.z + 1.1f * wide.z + 0.4f * near.z};
}

struct vec3 knee_to_world(const struct knee *k, struct vec3 p)
{
    struct vec3 q = p; /* what knee_at displaces to p: its displacement varies slowly */
    for (int i = 0; i < 4; i++) {
        struct vec3 moved = displaced(k, q);
        q.x += p.x - moved.x;
        q.y += p.y - moved.y;
        q.z += p.z - moved.z;
    }
    float bend = sqrtf(q.z * q.z + 400) - 20;
    float x = k->mirror * (q.x - k->valgus * bend), y = q.y - k->flexion * bend, z = q.z;
    const float *m = k->rot;
    return (struct vec3){k->scale * (m[0] * x + m[1] * y + m[2] * z) + k->offset.x,
                         k->scale * (m[3] * x + m[4] * y + m[5] * z) + k->offset.y,
                         k->scale * (m[6] * x + m[7] * y + m[8] * z) + k->offset.z};
}

struct amplitude knee_at(const struct knee *k, struct vec3 world, float edge)
{
    struct vec3 q = to_anatomy(k, world), p = q;
    float up = smoothstep(0, 110, q.z), down = smoothstep(0, -110, q.z);
    float rx = k->limb * (48.5f + 9 * up - 3 * down), ry = k->limb * (46 + 8 * up - 2 * down);
    float waist = 1.5f * expf(-q.z * q.z / 500);
    float fascia = cylinder(q.x, q.y - 2 + 6 * up + 8 * down, rx + waist, ry);
    if (fascia > 24) return (struct amplitude){0, 0};
    const struct vec3 outline = knee_field3(k->key + 100, q.x / 28, q.y / 28, q.z / 38);
    fascia += 1.8f * outline.x;
    float thick = k->fat * (1 + k->fat_medial * clampf(q.x / 45, -1, 1) + 0.25f * (up + down)) +
                  1.2f * outline.y;
    float skin = fascia - maxf(thick, 2.5f);
    if (skin > edge) return (struct amplitude){0, 0};
    p = displaced(k, q);
    struct brush b = {.k = k, .p = p, .q = q, .edge = edge / k->scale};
    struct bones d = {60, 60, 60, 60, 60, 0};
    if (fascia < edge) d = bones_at(k, p);
    if (d.nearest > -b.edge) { /* elsewhere bone covers it all */
        const struct muscle m =
            muscle_at(&b, maxf(fascia, 0.4f + 2.2f * maxf(outline.z, 0) - d.nearest));
        if (m.distance > -b.edge) paint_envelope(&b, fascia, skin);
        if (fascia < edge) {
            muscle_paint(&b, m);
            if (p.z > -16 && p.z < 84) paint_capsule(&b, &d);
            bands_paint(&b, &d);
        }
    }
    bones_paint(&b, &d);
    vessels_paint(&b, d.nearest);
    float air = clampf(0.5f - skin / b.edge, 0, 1);
    return (struct amplitude){maxf(b.s.water, 0) * air, maxf(b.s.fat, 0) * air};
}
