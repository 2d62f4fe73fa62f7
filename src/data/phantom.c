#include "base/mem.h"
#include "base/rng.h"
#include "data/jsense.h"
#include "data/phantom_slot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FINE = 2 /* points of the object along a voxel */, MAX_SIDE = 4096 };
static const double STACK_MM = 72 /* of a few slices */;
static const double UNIT = 3e-4; /* signal 1 as fastMRI's files are scaled */

static const char *const contrasts[] = {"mixed", "non-fs", "fs", NULL};
const struct cfg_field phantom_fields[] = {
    CFG_TEXT(struct phantom_conf, out, NULL, "folder for the scans"),
    CFG_INT(struct phantom_conf, scans, "4", 1, 100000, "", "scans to make"),
    CFG_U64(struct phantom_conf, seed, "1", "everything random follows from it"),
    CFG_INT(struct phantom_conf, slices, "8", 1, 256, "", "slices of a scan"),
    CFG_INT(struct phantom_conf, coils, "8", 1, COILS_SIM_MAX, "", "receive coils"),
    CFG_INT(struct phantom_conf, size, "320", 32, 1024, "px",
            "side of the reference image, 140 mm"),
    CFG_INT(struct phantom_conf, readout, "0", 0, MAX_SIDE, "",
            "rows of k-space; 0: twice the size"),
    CFG_INT(struct phantom_conf, width, "0", 0, MAX_SIDE, "",
            "columns of k-space; 0: 1.15 times the size"),
    CFG_INT(struct phantom_conf, padding, "0", 0, MAX_SIDE, "",
            "columns not acquired at each edge"),
    CFG_CHOICE(struct phantom_conf, contrast, "mixed", contrasts,
               "fat suppression; mixed: alternating"),
    CFG_REAL(struct phantom_conf, snr, "60", 1, 1e6, "",
             "signal 1 over noise, varied by 25 % between scans"),
    CFG_REAL(struct phantom_conf, texture, "1", 0, 2, "", "contrast of tissue textures"),
    CFG_BOOL(struct phantom_conf, overwrite, "false", "replace scans that are there"),
    CFG_END};

static int rows_of(const struct phantom_conf *c)
{
    return c->readout ? c->readout : 2 * c->size;
}

static int columns_of(const struct phantom_conf *c)
{
    return c->width ? c->width : 2 * (int)lround(c->size * 0.575);
}

int phantom_check(const struct phantom_conf *c, struct err *e)
{
    const int readout = rows_of(c), width = columns_of(c);
    if (readout < c->size)
        err_set(e, ERR_USAGE, "readout: %d rows of k-space cannot hold images of %d", readout,
                c->size);
    else if (width < c->size)
        err_set(e, ERR_USAGE, "width: %d columns of k-space cannot hold images of %d", width,
                c->size);
    else if (2 * c->padding > width / 2)
        err_set(e, ERR_USAGE, "padding: %d columns at each edge are more than half of %d",
                c->padding, width);
    else
        return 0;
    return err_hint(e, "leave readout and width at 0 to have them follow the size");
}

/* ---- one scan ---- */

static void draw_scanner(struct phantom *p, struct rng r)
{
    p->gain = (float)(UNIT * exp(0.25 * (2 * rng_uniform(&r) - 1)));
    double snr = p->conf.snr * (0.75 + 0.5 * rng_uniform(&r));
    p->noise_sd = (float)(p->gain / snr);
    p->fat_left = (float)(0.08 + 0.07 * rng_uniform(&r));
    p->fat_uneven = (float)(0.05 + 0.10 * rng_uniform(&r));
    p->phase[0] = (float)(2 * M_PI * rng_uniform(&r));
    for (int i = 1; i < 6; i++)
        p->phase[i] = (float)(0.6 * rng_normal(&r));
    p->key = rng_u32(&r);
    for (int i = 0; i < 8; i++)
        snprintf(p->patient + 8 * i, 9, "%08x", (unsigned)rng_u32(&r));
}

struct phantom *phantom_new(const struct phantom_conf *c, int scan, struct err *e)
{
    if (phantom_check(c, e)) return NULL;
    struct phantom *p = mem_new(1, sizeof *p, e);
    if (!p) return NULL;
    p->conf = *c;
    p->scan = scan;
    p->readout = rows_of(c);
    p->width = columns_of(c);
    p->voxel_mm = (float)(PHANTOM_FOV_MM / c->size);
    p->pitch_mm = (float)fmax(PHANTOM_SLICE_MM, STACK_MM / c->slices);
    p->fs = c->contrast == PHANTOM_FS || (c->contrast == PHANTOM_MIXED && scan % 2);
    knee_draw(&p->knee, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 0), c->texture);
    coil_array_draw(&p->array, c->coils, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 1));
    draw_scanner(p, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 2));
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

static float slice_y(const struct phantom *p, int slice)
{
    return p->pitch_mm * (0.5f * (float)(p->conf.slices - 1) - (float)slice);
}

struct amplitude phantom_tissue(const struct phantom *p, int slice, int row, int col)
{
    int half = p->conf.size / 2;
    struct vec3 at = {(float)(col - half) * p->voxel_mm, slice_y(p, slice),
                      (float)(half - row) * p->voxel_mm};
    return knee_at(&p->knee, at, p->voxel_mm);
}

/* What tissue of these amplitudes gives at a point: contrast, background phase. */
static float complex signal_at(const struct phantom *p, struct amplitude a, struct vec3 at)
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
    float signal = p->gain * (a.water + share * a.fat);
    return signal * cosf(phase) + signal * sinf(phase) * I;
}

/* ---- one slice ---- */

int slot_init(struct slot *s, const struct phantom *p, struct err *e)
{
    size_t n = (size_t)p->readout * (size_t)p->width, coils = (size_t)p->conf.coils;
    size_t pixels = (size_t)p->conf.size * (size_t)p->conf.size;
    *s = (struct slot){.object = mem_new(n * FINE * FINE, sizeof *s->object, e)};
    if (!s->object || !(s->coil = mem_new(n * FINE * FINE, sizeof *s->coil, e)) ||
        !(s->kspace = mem_new(n * coils, sizeof *s->kspace, e)) ||
        !(s->images = mem_new(pixels * coils, sizeof *s->images, e)) ||
        !(s->rss = mem_new(pixels, sizeof *s->rss, e)) ||
        !(s->fine = fft2_new(FINE * p->readout, FINE * p->width, e)) ||
        !(s->grid = fft2_new(p->readout, p->width, e)))
        return -1;
    return 0;
}

void slot_release(struct slot *s)
{
    mem_free(s->object);
    mem_free(s->coil);
    mem_free(s->kspace);
    mem_free(s->images);
    mem_free(s->rss);
    fft2_free(s->fine);
    fft2_free(s->grid);
}

/* The object on the fine grid. The four points of a voxel lie at different depths of the slice, two
 * each: the truncation of k-space averages them, which makes partial volume along the slice. What
 * lies well beyond the reference image needs less care. */
static void draw_object(struct slot *s, const struct phantom *p, int slice)
{
    static const int quarter[FINE][FINE] = {{0, 2}, {3, 1}};
    const int h = FINE * p->readout, w = FINE * p->width;
    const float mm = p->voxel_mm / FINE, y = slice_y(p, slice), thick = (float)PHANTOM_SLICE_MM;
    const float edge = 1.2f * mm + 0.05f * thick; /* the latter hides the steps of depth */
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            struct vec3 at = {(float)(j - w / 2) * mm, y, (float)(h / 2 - i) * mm};
            const int depths = fabsf(at.z) < 0.55f * (float)PHANTOM_FOV_MM ? 2 : 1;
            struct amplitude a = {0, 0};
            for (int n = 0; n < depths; n++) {
                float share =
                    ((float)quarter[i % FINE][j % FINE] + ((float)n + 0.5f) / (float)depths) / 4;
                struct vec3 q = {at.x, y + thick * (share - 0.5f), at.z};
                struct amplitude one = knee_at(&p->knee, q, edge);
                a.water += one.water / (float)depths;
                a.fat += one.fat / (float)depths;
            }
            s->object[(size_t)i * (size_t)w + (size_t)j] =
                a.water + a.fat > 0 ? signal_at(p, a, at) : 0;
        }
}

/* Two samples of unit complex noise from one block of the stream. */
static void noise_pair(const struct rng *r, uint64_t i, float complex out[2])
{
    uint32_t word[4];
    rng_block(r, i, word);
    for (int k = 0; k < 2; k++) { /* Box-Muller; the first uniform is never 0 */
        float u = ((float)(word[2 * k] >> 8) + 0.5f) * 0x1p-24f;
        float v = (float)(word[2 * k + 1] >> 8) * (float)(2 * M_PI * 0x1p-24);
        float a = sqrtf(-2 * logf(u));
        out[k] = a * cosf(v) + a * sinf(v) * I;
    }
}

/* The centre of the fine k-space `from`, with noise, zero in the columns that are not acquired. */
static void sample(const struct phantom *p, const struct rng *noise, int coil,
                   const float complex *from, float complex *to)
{
    const int h = p->readout, w = p->width, pad = p->conf.padding;
    const int top = FINE * h / 2 - h / 2, left = FINE * w / 2 - w / 2;
    const size_t n = (size_t)h * (size_t)w, blocks = (n + 1) / 2;
    for (size_t b = 0; b < blocks; b++) {
        float complex pair[2];
        noise_pair(noise, (uint64_t)coil * blocks + b, pair);
        for (size_t i = 2 * b; i < n && i < 2 * b + 2; i++) {
            const int row = (int)(i / (size_t)w), col = (int)(i % (size_t)w);
            const float complex k =
                from[(size_t)(top + row) * (size_t)(FINE * w) + (size_t)(left + col)];
            /* orthonormal on the fine grid: 1 / FINE makes images of the amplitude of the object */
            to[i] =
                col < pad || col >= w - pad ? 0 : k * (1.0f / FINE) + p->noise_sd * pair[i - 2 * b];
        }
    }
}

/* x *= y, without the special cases of C's complex product. */
static void multiply(float complex *x, const float complex *y, size_t n)
{
    float *a = (float *)x;
    const float *b = (const float *)y;
    for (size_t i = 0; i < 2 * n; i += 2) {
        float re = a[i] * b[i] - a[i + 1] * b[i + 1], im = a[i] * b[i + 1] + a[i + 1] * b[i];
        a[i] = re;
        a[i + 1] = im;
    }
}

int slot_simulate(struct slot *s, const struct phantom *p, int slice)
{
    const struct rng noise = rng_make(p->conf.seed, RNG_NOISE, (uint32_t)p->scan, (uint32_t)slice);
    const int h = p->readout, w = p->width, size = p->conf.size;
    const size_t n = (size_t)h * (size_t)w, pixels = (size_t)size * (size_t)size;
    draw_object(s, p, slice);
    for (int c = 0; c < p->conf.coils; c++) {
        if (coil_map(&p->array, c, slice_y(p, slice), FINE * h, FINE * w, p->voxel_mm / FINE,
                     s->coil, &s->e))
            return -1;
        multiply(s->coil, s->object, n * FINE * FINE);
        fft2_forward(s->fine, s->coil);
        float complex *k = s->kspace + (size_t)c * n;
        sample(p, &noise, c, s->coil, k);
        memcpy(s->coil, k, n * sizeof *k);
        fft2_inverse(s->grid, s->coil);
        image_fit(s->coil, h, w, s->images + (size_t)c * pixels, size, size);
    }
    coils_rss(s->images, p->conf.coils, size, size, s->rss);
    return 0;
}
