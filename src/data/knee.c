#include "data/knee_paint.h"

#include <math.h>

static const double TE_MS = 30, TR_MS = 2800, FAT_T1_MS = 370, FAT_T2_MS = 130;

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
    [T_OEDEMA] = {0.92, 1500, 85, 0.30},
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
        double water = (1 - exp(-TR_MS / tissues[t].t1)) * exp(-TE_MS / tissues[t].t2);
        k->tissue[t] = (struct amplitude){
            (float)(pd * (1 - fat) * water),
            (float)(pd * fat * (1 - exp(-TR_MS / FAT_T1_MS)) * exp(-TE_MS / FAT_T2_MS))};
    }
    draw_pose(k, &r);
    k->femur_width = about(&r, 1, 0.035);
    k->condyle[0] = about(&r, 1, 0.03);
    k->condyle[1] = about(&r, 0.98, 0.03);
    k->notch = between(&r, 7.5, 10);
    k->gap = between(&r, 2.2, 3.1);
    k->tilt = about(&r, 0.08, 0.03);
    k->spine = between(&r, 5, 8);
    k->cortex = between(&r, 0.7, 1.1);
    k->scar_femur = between(&r, 29, 36);
    k->scar_tibia = between(&r, -21, -15);
    k->scar = between(&r, 0.15, 0.6);
    k->trabeculae = between(&r, 0.6, 1.3);
    k->red_marrow = between(&r, 0, 0.7);
    k->lesion = (struct vec3){between(&r, 14, 28), about(&r, 0, 10), between(&r, 5, 14)};
    if (rng_below(&r, 2)) k->lesion.x = -k->lesion.x;
    if (rng_below(&r, 2)) k->lesion.z = -k->lesion.z;
    k->lesion_radius = rng_uniform(&r) < 0.4 ? between(&r, 6, 14) : 0;
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

struct belly {
    struct vec3 at;
    float rx, ry, rz, lean;
    int way;
}; /* way +1: a tube above `at`, -1: below */
static const struct belly bellies[] = {
    {{36, 6, 68}, 19, 30, 42, -0.05f, 1},      /* vastus medialis */
    {{-38, 6, 80}, 19, 32, 46, 0.02f, 1},      /* vastus lateralis */
    {{0, 30, 95}, 17, 10, 50, 0, 1},           /* vastus intermedius, rectus femoris */
    {{-30, -32, 70}, 13, 13, 78, 0.06f, 1},    /* biceps femoris */
    {{24, -33, 72}, 14, 12, 86, -0.06f, 1},    /* semimembranosus */
    {{40, -22, 60}, 7, 10, 100, -0.04f, 1},    /* sartorius, gracilis */
    {{23, -30, -46}, 19, 17, 72, 0.03f, -1},   /* gastrocnemius, medial head */
    {{-20, -32, -44}, 17, 15, 66, -0.03f, -1}, /* gastrocnemius, lateral head */
    {{-3, -22, -58}, 27, 11, 42, 0, -1},       /* popliteus, soleus */
    {{-30, 5, -58}, 17, 22, 44, 0.04f, -1},    /* tibialis anterior, extensors */
    {{-44, -8, -60}, 9, 16, 46, 0.06f, -1},    /* peronei */
    {{33, -10, -70}, 17, 19, 44, -0.03f, -1},  /* soleus, medial */
};

static void paint_muscles(struct brush *b, float fascia)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    float nearest = 1e3f, second = 1e3f, lean = 0;
    int belly = 0;
    for (int i = 0; i < (int)(sizeof(bellies) / sizeof(*bellies)); i++) {
        const struct belly *m = &bellies[i];
        float dz = p.z - m->at.z;
        if ((float)m->way * dz < -m->rz) continue;
        struct vec3 q = {p.x - m->lean * dz, p.y, (float)m->way * dz > 0 ? m->at.z : p.z};
        float d = ellipsoid(q, m->at.x, m->at.y, m->at.z, m->rx * k->bulk, m->ry * k->bulk, m->rz);
        if (d < nearest) {
            second = nearest;
            nearest = d;
            belly = i;
            lean = m->lean;
        } else if (d < second) {
            second = d;
        }
    }
    nearest += 2.2f * knee_field(k->key + 91, p.x / 22, p.y / 22, p.z / 30);
    /* Fat planes where two bellies meet, and under the fascia. */
    float d = maxf(nearest, maxf(0.35f - 0.5f * (second - nearest), fascia + 0.9f));
    if (d > b->edge) return;
    struct vec3 q = {b->q.x - lean * b->q.z, b->q.y, b->q.z};
    const struct brush fibre = {.k = k, .q = q};
    uint32_t salt = 10 + 4 * (uint32_t)belly;
    float fine = brush_field(&fibre, salt, 1.5f, 1.9f, 14),
          coarse = brush_field(&fibre, salt + 1, 4, 5, 26);
    float streak = smoothstep(
        0.50f, 0.95f, brush_field(&fibre, salt + 2, 2.2f, 3.5f, 22) * (0.75f + 0.5f * k->streaks));
    brush_tissue(b, T_MUSCLE, 1 + 0.14f * fine + 0.12f * coarse, d);
    b->s.fat +=
        (1 - clampf(0.5f + d / b->edge, 0, 1)) * streak * 0.45f * k->streaks * k->tissue[T_FAT].fat;
}

/* Skin, the lobules and septa of subcutaneous fat, the deep fascia, the fat around the joint. */
static void paint_envelope(struct brush *b, float fascia, float skin)
{
    const struct knee *k = b->k;
    float lobule = brush_field(b, 60, 5, 5, 8), fine = brush_field(b, 61, 2.2f, 2.2f, 3);
    float deep = smoothstep(1, -1, fascia);
    float gain = 1 - 0.08f * deep + 0.07f * lobule + (0.05f + 0.06f * deep) * fine;
    b->s = (struct amplitude){k->tissue[T_FAT].water * gain, k->tissue[T_FAT].fat * gain};
    float septum = fabsf(brush_field(b, 62, 7, 7, 15)) * 5; /* zero crossings are sheets */
    if (k->texture > 0) brush_tissue(b, T_SEPTUM, 1, septum - 0.22f + 0.6f * deep);
    /* the deep fascia; its thick lateral part is the iliotibial band */
    float band =
        smoothstep(-30, -42, b->p.x) * smoothstep(-12, 0, b->p.y) * smoothstep(-14, 6, b->p.z);
    brush_tissue(b, band > 0.5f ? T_LIGAMENT : T_SEPTUM, 0.7f,
                 fabsf(fascia + band) - 0.4f - 0.8f * band);
    brush_tissue(b, T_SKIN, 1, maxf(skin, -1.5f - skin)); /* the outer 1.5 mm */
}

/* Synovium and fluid around the condyles, in the notch and in the joint space. */
static void paint_capsule(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    float bone = minf(d->femur, d->tibia);
    float rim = 39 * k->femur_width;
    float space = maxf(maxf(-12 - p.z, p.z - 34), maxf(fabsf(p.x) - rim, p.y - 18));
    float joint = smooth_max(bone - 4.5f - 3 * k->effusion, space, 5);
    float ragged = 1.2f * brush_field(b, 70, 2.5f, 2.5f, 3.5f);
    brush_tissue(b, T_SYNOVIUM, 0.85f + 0.2f * brush_field(b, 71, 2, 2, 2.5f), joint + ragged);
    float gutter = smooth_max(bone - 0.9f - 3.2f * k->effusion, space + 2, 5);
    brush_tissue(b, T_FLUID, 1, gutter + ragged);
    float gap = maxf(d->femur, d->tibia) - (k->cartilage + 1.0f); /* between the cartilages */
    if (p.z > -8 && p.z < 14) brush_tissue(b, T_FLUID, 0.95f, maxf(gap, fabsf(p.x) - rim + 5));
}

/* Wedges between condyle and plateau: the gap itself gives them their shape. */
static void paint_menisci(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (p.z > 16 || p.z < -10) return;
    float s = p.x > 0 ? 1.0f : -1.0f, w = k->femur_width;
    /* distance from the outer rim of each plateau, inwards */
    float x = (p.x - s * 17 * w) / (20 * w), y = (p.y + 3) / 25;
    float inward = (1 - sqrtf(x * x + y * y)) * 20;
    float inner = inward - k->meniscus, outer = -0.5f - inward;
    float above = 0.85f * (p.z - d->plateau - 0.9f * k->cartilage - 7 * (1 - inward / k->meniscus));
    float bone = maxf(0.7f * k->cartilage - d->femur, 0.7f * k->cartilage - d->tibia);
    float wedge = maxf(maxf(inner, outer), maxf(above, bone));
    wedge = smooth_max(wedge, maxf(9 - fabsf(p.x), fabsf(p.y + 3) - 20), 2);
    brush_tissue(b, T_MENISCUS, 1 + 0.9f * brush_field(b, 80, 1.5f, 4, 1.2f), wedge);
}

static void paint_band(struct brush *b, struct vec3 a, struct vec3 c, float flat, float radius,
                       float gain)
{
    struct vec3 q = b->p;
    q.y = a.y + (q.y - a.y) * flat; /* a band is a capsule wide in y */
    c.y = a.y + (c.y - a.y) * flat;
    float d = capsule(q, a, c, radius) + 0.25f * radius * brush_field(b, 84, 2.2f, 3, 3);
    if (d > b->edge) return;
    float fibre = brush_field(b, 82, 0.9f, 3, 6);
    brush_tissue(b, T_LIGAMENT, gain * (1 + 0.7f * fibre), d);
}

static void paint_ligaments(struct brush *b, const struct bones *d)
{
    const struct knee *k = b->k;
    const float w = k->femur_width;
    const struct vec3 p = b->p;
    if (p.x > 20 && p.z < 30 &&
        p.z > -48) { /* medial collateral: spans the hollow between the bones */
        float span = smooth_min(d->femur, d->tibia, 18) - 1.5f;
        float ends = maxf(fabsf(p.y - 1) - 8, maxf(p.z - 28, -44 - p.z));
        float fibre = brush_field(b, 83, 0.9f, 3, 8);
        brush_tissue(b, T_LIGAMENT, 1.2f + 0.8f * fibre,
                     maxf(fabsf(span) - 0.75f * smoothstep(5, -6, ends), ends));
    }
    if (p.x < -20 && p.z < 32 && p.z > -20)
        paint_band(b, (struct vec3){-42 * w, -5, 27}, (struct vec3){-38 * w, -16, -14}, 0.8f, 1.6f,
                   1.2f);
    if (fabsf(p.x) < 20 && p.z < 30 && p.z > -16) {
        paint_band(b, (struct vec3){-8, -15, 20}, (struct vec3){2, 8, 2}, 0.9f, 2.3f,
                   3); /* anterior */
        paint_band(b, (struct vec3){-6, -12, 17}, (struct vec3){4, 3, 1}, 0.9f, 2.2f, 3.5f);
        paint_band(b, (struct vec3){7, 0, 16}, (struct vec3){1, -24, -6}, 0.8f, 4.0f,
                   1.6f); /* posterior */
    }
}

static void paint_vessels(struct brush *b, float bone)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (bone < 1) return;
    float sway = 4 * knee_field(k->key + 90, p.z / 17, p.x / 40, 0);
    if (p.y < -18) {
        struct vec3 q = {p.x - sway, p.y, p.z};
        brush_tissue(b, T_VEIN, 1,
                     capsule(q, (struct vec3){-3, -42, 120}, (struct vec3){-1, -38, -120}, 4.2f));
        brush_tissue(b, T_ARTERY, 1,
                     capsule(q, (struct vec3){3, -35, 120}, (struct vec3){2, -31, -120}, 3.1f));
        brush_tissue(b, T_MUSCLE, 1.2f,
                     capsule(q, (struct vec3){-8, -46, 120}, (struct vec3){-9, -45, -120}, 3));
    }
    for (int i = 0; i < KNEE_VEINS; i++) {
        struct vec3 q = {p.x + sway, p.y - sway, p.z};
        if (q.z < minf(k->vein[i].a.z, k->vein[i].b.z) - 3 ||
            q.z > maxf(k->vein[i].a.z, k->vein[i].b.z) + 3)
            continue;
        float d = capsule(q, k->vein[i].a, k->vein[i].b, k->vein[i].radius);
        if (d > 1 + b->edge) continue;
        brush_tissue(b, T_SEPTUM, 0.8f, d - 0.5f);
        brush_tissue(b, T_VEIN, 1, d);
    }
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

struct amplitude knee_at(const struct knee *k, struct vec3 world, float edge)
{
    struct vec3 q = to_anatomy(k, world), p = q;
    float up = smoothstep(0, 110, q.z), down = smoothstep(0, -110, q.z);
    float rx = k->limb * (48.5f + 9 * up - 3 * down), ry = k->limb * (46 + 8 * up - 2 * down);
    float waist = 1.5f * expf(-q.z * q.z / 500);
    float fascia = cylinder(q.x, q.y - 2 + 6 * up + 8 * down, rx + waist, ry);
    if (fascia > 24) return (struct amplitude){0, 0};
    float outline = knee_field(k->key + 100, q.x / 30, q.y / 30, q.z / 40);
    fascia += 1.8f * outline;
    float thick = k->fat * (1 + k->fat_medial * clampf(q.x / 45, -1, 1) + 0.25f * (up + down)) +
                  1.2f * knee_field(k->key + 101, q.x / 25, q.y / 25, q.z / 35);
    float skin = fascia - maxf(thick, 2.5f);
    if (skin > edge) return (struct amplitude){0, 0};
    p.x += 1.3f * knee_field(k->key + 102, q.x / 19, q.y / 19, q.z / 19);
    p.y += 1.3f * knee_field(k->key + 103, q.x / 19, q.y / 19, q.z / 19);
    p.z += 1.1f * knee_field(k->key + 104, q.x / 17, q.y / 17, q.z / 17);
    struct brush b = {.k = k, .p = p, .q = q, .edge = edge / k->scale};
    struct bones d = {60, 60, 60, 60, 60, 0};
    if (fascia < edge) d = bones_at(k, p);
    if (d.nearest > -b.edge) { /* elsewhere bone covers it all */
        paint_envelope(&b, fascia, skin);
        if (fascia < edge) {
            paint_muscles(&b, maxf(fascia, 1.2f - d.nearest));
            if (p.z > -16 && p.z < 40) paint_capsule(&b, &d);
            paint_menisci(&b, &d);
            paint_ligaments(&b, &d);
        }
    }
    bones_paint(&b, &d);
    paint_vessels(&b, d.nearest);
    float air = clampf(0.5f - skin / b.edge, 0, 1);
    return (struct amplitude){maxf(b.s.water, 0) * air, maxf(b.s.fat, 0) * air};
}
