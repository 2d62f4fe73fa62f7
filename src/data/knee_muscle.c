/* Muscles: bellies that end towards the joint, fibres, the fat between them. */
#include "data/knee_paint.h"

struct belly {
    struct vec3 at;
    float rx, ry, rz;
    float lean;    /* of the axis, mm of x per mm of z */
    float pennate; /* of the fibres, beyond that */
    int way;       /* +1: a tube above `at`, -1: below */
};
static const struct belly bellies[] = {
    {{36, 4, 64}, 20, 31, 46, -0.05f, -0.55f, 1},      /* vastus medialis */
    {{-38, 6, 82}, 18, 32, 44, 0.02f, 0.35f, 1},       /* vastus lateralis */
    {{0, 30, 98}, 17, 10, 46, 0, 0.1f, 1},             /* vastus intermedius, rectus femoris */
    {{-29, -32, 66}, 12, 13, 80, 0.06f, 0.2f, 1},      /* biceps femoris */
    {{22, -35, 70}, 14, 12, 84, -0.06f, -0.25f, 1},    /* semimembranosus */
    {{40, -24, 52}, 6, 10, 100, -0.04f, 0, 1},         /* sartorius, gracilis */
    {{25, -29, -42}, 20, 18, 76, 0.05f, 0.25f, -1},    /* gastrocnemius, medial head */
    {{34, -10, -74}, 14, 17, 38, -0.06f, 0.4f, -1},    /* soleus, its medial border */
    {{-19, -32, -42}, 16, 14, 70, -0.03f, -0.25f, -1}, /* gastrocnemius, lateral head */
    {{-2, -20, -52}, 26, 9, 36, 0, -0.8f, -1},         /* popliteus */
    {{0, -26, -92}, 30, 10, 40, 0, 0.15f, -1},         /* soleus */
    {{-30, 8, -56}, 15, 18, 42, 0.04f, 0.2f, -1},      /* tibialis anterior, extensors */
    {{-43, -6, -62}, 9, 14, 42, 0.06f, -0.2f, -1},     /* peronei */
};

struct nearest {
    float distance, second;
    int belly;
};

static struct nearest nearest_belly(const struct knee *k, struct vec3 p)
{
    struct nearest n = {1e3f, 1e3f, 0};
    for (int i = 0; i < (int)(sizeof(bellies) / sizeof(*bellies)); i++) {
        const struct belly *m = &bellies[i];
        float dz = p.z - m->at.z;
        if ((float)m->way * dz < -m->rz) continue;
        struct vec3 q = {p.x - m->lean * dz, p.y, (float)m->way * dz > 0 ? m->at.z : p.z};
        float d = ellipsoid(q, m->at.x, m->at.y, m->at.z, m->rx * k->bulk, m->ry * k->bulk, m->rz);
        if (d < n.distance) {
            n.second = n.distance;
            n.distance = d;
            n.belly = i;
        } else if (d < n.second) {
            n.second = d;
        }
    }
    return n;
}

struct muscle muscle_at(const struct brush *b, float fascia)
{
    const struct knee *k = b->k;
    const struct vec3 p = b->p;
    if (fascia > b->edge) return (struct muscle){1e3f, 0};
    struct nearest n = nearest_belly(k, p);
    if (n.distance > 3.5f + b->edge) return (struct muscle){1e3f, 0};
    const struct vec3 wave = knee_field3(k->key + 91, p.x / 20, p.y / 20, p.z / 28);
    n.distance += 2.4f * wave.x + 1.1f * brush_field(b, 92, 2.5f, 4, 10);
    /* Fat planes where two bellies meet, and under the fascia. */
    float plane = 0.3f + 0.9f * maxf(wave.y, 0);
    float d = maxf(n.distance, maxf(plane - 0.5f * (n.second - n.distance), fascia + 0.7f));
    return (struct muscle){d, n.belly};
}

void muscle_paint(struct brush *b, struct muscle m)
{
    const struct knee *k = b->k;
    const float d = m.distance;
    if (d > b->edge) return;
    const float turn = bellies[m.belly].lean + bellies[m.belly].pennate;
    const struct brush fibre = {.k = k, .q = {b->q.x - turn * b->q.z, b->q.y, b->q.z}};
    const uint32_t salt = 10 + 4 * (uint32_t)m.belly;
    float fine = brush_field(&fibre, salt, 1.1f, 1.5f, 9),
          fascicle = brush_field(&fibre, salt + 1, 2.6f, 3.5f, 19),
          coarse = brush_field(&fibre, salt + 2, 8, 9, 30);
    brush_tissue(b, T_MUSCLE, 1 + 0.13f * fine + 0.13f * fascicle + 0.10f * coarse, d);
    /* strands of fat along the fibres, in some places more than in others */
    float strand = brush_field(&fibre, salt + 3, 3.0f, 5.0f, 26) + 0.22f * fine;
    float where = clampf(0.25f + 0.9f * coarse + 0.5f * fascicle, 0, 1);
    float share = 0.42f * k->streaks * where * ridge(strand, 0.10f);
    brush_blend(b, T_FAT, 0.9f, minf(share, 0.6f) * clampf(0.5f - d / b->edge, 0, 1));
}
