#include "data/coils_sim.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>

static const float NODE_MM = 4;

void coil_array_draw(struct coil_array *a, int n, struct rng r)
{
    assert(n >= 1 && n <= COILS_SIM_MAX);
    *a = (struct coil_array){.n = n};
    for (int k = 0; k < COILS_SIM_SEGMENTS; k++) {
        a->cos[k] = (float)cos(2 * M_PI * k / COILS_SIM_SEGMENTS);
        a->sin[k] = (float)sin(2 * M_PI * k / COILS_SIM_SEGMENTS);
    }
    int rings = n < 6 ? 1 : n < 15 ? 2 : 3;
    double turn = rng_uniform(&r), height = rings == 3 ? 55 : 38;
    for (int i = 0; i < n; i++) {
        int ring = i % rings, of = (n - ring + rings - 1) / rings; /* members of this ring */
        double angle =
            2 * M_PI * ((i / rings + 0.5 * (ring % 2) + 0.08 * rng_normal(&r)) / of + turn);
        double radius = 106 + 3 * rng_normal(&r),
               z = height * (2.0 * ring - (rings - 1)) / fmax(rings - 1, 1);
        a->coil[i] = (struct coil){
            .at = {(float)(radius * cos(angle)), (float)(radius * sin(angle)),
                   (float)(z + 3 * rng_normal(&r))},
            .angle = (float)angle,
            .radius = (float)(52 + 2 * rng_normal(&r)),
            .gain =
                (float complex)((1 + 0.08 * rng_normal(&r)) * cexp(2 * M_PI * I * rng_uniform(&r))),
        };
    }
    double power = 0;
    for (int i = 0; i < n; i++) {
        float complex s = coil_at(a, i, (struct vec3){0, 0, 0});
        power += (double)(crealf(s) * crealf(s) + cimagf(s) * cimagf(s));
    }
    for (int i = 0; i < n; i++)
        a->coil[i].gain *= (float)(1 / sqrt(power));
}

float complex coil_at(const struct coil_array *a, int i, struct vec3 p)
{
    const struct coil *c = &a->coil[i];
    const float ux = -sinf(c->angle), uy = cosf(c->angle); /* the loop lies in (u, z) */
    const float step = (float)(2 * M_PI / COILS_SIM_SEGMENTS);
    float bx = 0, by = 0;
    for (int k = 0; k < COILS_SIM_SEGMENTS; k++) {
        float cu = c->radius * a->cos[k], cz = c->radius * a->sin[k];
        float lx = -a->sin[k] * ux, ly = -a->sin[k] * uy,
              lz = a->cos[k]; /* direction of the current */
        float rx = p.x - c->at.x - cu * ux, ry = p.y - c->at.y - cu * uy, rz = p.z - c->at.z - cz;
        float d2 = rx * rx + ry * ry + rz * rz + 25; /* a wire 5 mm thick: finite everywhere */
        float w = c->radius * step / (d2 * sqrtf(d2));
        bx += w * (ly * rz - lz * ry);
        by += w * (lz * rx - lx * rz);
    }
    return c->gain * (bx - by * I);
}

/* Catmull-Rom weights of the nodes -1, 0, 1, 2 at t in [0, 1). */
static void cubic(float t, float w[4])
{
    w[0] = 0.5f * t * (-1 + t * (2 - t));
    w[1] = 0.5f * (2 + t * t * (3 * t - 5));
    w[2] = 0.5f * t * (1 + t * (4 - 3 * t));
    w[3] = 0.5f * t * t * (t - 1);
}

int coil_map(const struct coil_array *a, int i, float y, int h, int w, float mm_row, float mm_col,
             float complex *map, struct err *e)
{
    const float down = mm_row / NODE_MM, across = mm_col / NODE_MM; /* nodes per sample */
    int nh = (int)((float)h * down) + 5, nw = (int)((float)w * across) + 5;
    float complex *row = mem_new((size_t)nw, sizeof *row, e);
    float complex *wide = mem_new((size_t)nh * (size_t)w, sizeof *wide, e);
    int rc = -1;
    if (!row || !wide) goto out;
    /* node (j, k) is at row (j - 1) / down, column (k - 1) / across of the grid */
    for (int j = 0; j < nh; j++) {
        float z = ((float)(h / 2) - (float)(j - 1) / down) * mm_row;
        for (int k = 0; k < nw; k++)
            row[k] = coil_at(
                a, i, (struct vec3){((float)(k - 1) / across - (float)(w / 2)) * mm_col, y, z});
        for (int x = 0; x < w; x++) {
            float at = (float)x * across, c[4];
            int k = (int)at;
            cubic(at - (float)k, c);
            wide[(size_t)j * (size_t)w + (size_t)x] =
                row[k] * c[0] + row[k + 1] * c[1] + row[k + 2] * c[2] + row[k + 3] * c[3];
        }
    }
    for (int r = 0; r < h; r++) {
        float at = (float)r * down, c[4];
        int j = (int)at;
        cubic(at - (float)j, c);
        const float complex *n = wide + (size_t)j * (size_t)w;
        for (int x = 0; x < w; x++)
            map[(size_t)r * (size_t)w + (size_t)x] =
                n[x] * c[0] + n[x + w] * c[1] + n[x + 2 * w] * c[2] + n[x + 3 * w] * c[3];
    }
    rc = 0;
out:
    mem_free(row);
    mem_free(wide);
    return rc;
}
