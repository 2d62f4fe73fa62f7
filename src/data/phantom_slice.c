/* One slice: the object on a fine grid, band-limited to a grid just finer than the voxels, weighted
 * by each coil there, and brought to k-space. */
#include "base/mem.h"
#include "base/rng.h"
#include "data/jsense.h"
#include "data/phantom_slot.h"

#include <math.h>
#include <string.h>

enum {
    FINE = PHANTOM_FINE,
    GUARD = 24 /* samples that a coil may widen a spectrum by before it folds: a field that varies
                  over 6 mm */
};

/* The next even number that has no prime factor above 7. */
static int transform_size(int n)
{
    for (n += n % 2;; n += 2) {
        int m = n;
        for (int f = 2; f <= 7; f++)
            while (m % f == 0)
                m /= f;
        if (m == 1) return n;
    }
}

int slot_init(struct slot *s, const struct phantom *p, struct err *e)
{
    const int h = p->shape.readout, w = p->shape.width, size = p->shape.size;
    const int wide = w + 2 * p->beyond;
    *s = (struct slot){
        .wide = wide, .gh = transform_size(h + GUARD), .gw = transform_size(wide + GUARD)};
    const size_t n = (size_t)h * (size_t)w, coils = (size_t)p->shape.coils;
    const size_t grid = (size_t)s->gh * (size_t)s->gw, pixels = (size_t)size * (size_t)size;
    if (!(s->fine = mem_new((size_t)(FINE * h) * (size_t)(FINE * wide), sizeof *s->fine, e)) ||
        !(s->object = mem_new(grid, sizeof *s->object, e)) ||
        !(s->coil = mem_new(grid, sizeof *s->coil, e)) ||
        !(s->kspace = mem_new(n * coils, sizeof *s->kspace, e)) ||
        !(s->images = mem_new(pixels * coils, sizeof *s->images, e)) ||
        !(s->rss = mem_new(pixels, sizeof *s->rss, e)) ||
        !(s->fft_fine = fft2_new(FINE * h, FINE * wide, e)) ||
        !(s->fft_object = fft2_new(s->gh, s->gw, e)) || !(s->fft_image = fft2_new(h, w, e)))
        return -1;
    if (p->beyond && (!(s->folded = mem_new((size_t)h * (size_t)wide, sizeof *s->folded, e)) ||
                      !(s->fft_wide = fft2_new(h, wide, e))))
        return -1;
    return 0;
}

void slot_release(struct slot *s)
{
    mem_free(s->fine);
    mem_free(s->object);
    mem_free(s->coil);
    mem_free(s->folded);
    mem_free(s->kspace);
    mem_free(s->images);
    mem_free(s->rss);
    fft2_free(s->fft_fine);
    fft2_free(s->fft_object);
    fft2_free(s->fft_wide);
    fft2_free(s->fft_image);
}

/* ---- the object ---- */

/* Amplitudes over the thickness of the slice at a point of its plane. The four points of a voxel
 * lie at different depths, two each: the truncation of k-space averages them, which makes partial
 * volume along the slice. What lies well beyond the reference image needs less care. */
static struct amplitude through_slice(const struct phantom *p, struct vec3 at, int i, int j)
{
    static const int quarter[FINE][FINE] = {{0, 2}, {3, 1}};
    const float thick = (float)p->shape.slice_mm, mm = p->voxel_mm / FINE;
    const float edge = 1.2f * mm + 0.05f * thick; /* the latter hides the steps of depth */
    const int depths = fabsf(at.z) < 0.55f * (float)p->shape.fov_mm ? 2 : 1;
    struct amplitude a = {0, 0};
    for (int n = 0; n < depths; n++) {
        float share = ((float)quarter[i % FINE][j % FINE] + ((float)n + 0.5f) / (float)depths) / 4;
        struct amplitude one =
            phantom_object(p, (struct vec3){at.x, at.y + thick * (share - 0.5f), at.z}, edge);
        a.water += one.water / (float)depths;
        a.fat += one.fat / (float)depths;
    }
    return a;
}

/* The object on the fine grid, in a pose; its fat is shifted along the readout. */
static void draw_object(struct slot *s, const struct phantom *p, int slice, const struct pose *pose)
{
    const int h = FINE * p->shape.readout, w = FINE * s->wide;
    const float mm = p->voxel_mm / FINE, y = phantom_slice_y(p, slice);
    const float cos = cosf(pose->angle), sin = sinf(pose->angle);
    const int shift = (int)lroundf(-p->fat_shift_mm / mm); /* rows, downwards */
    memset(s->fine, 0, (size_t)h * (size_t)w * sizeof *s->fine);
    const float reach = 0.55f * (float)p->shape.fov_mm; /* beyond, every other column will do */
    for (int i = 0; i < h; i++) {
        struct amplitude a = {0, 0};
        for (int j = 0; j < w; j++) {
            const struct vec3 at = {(float)(j - w / 2) * mm, y, (float)(h / 2 - i) * mm};
            const float x = at.x - pose->dx, z = at.z - pose->dz;
            if (j % 2 == 0 || fabsf(at.z) < reach)
                a = through_slice(p, (struct vec3){cos * x + sin * z, y, cos * z - sin * x}, i, j);
            if (a.water + a.fat <= 0) continue;
            float complex weight[2];
            phantom_weigh(p, at, weight);
            s->fine[(size_t)i * (size_t)w + (size_t)j] += a.water * weight[0];
            if (i + shift >= 0 && i + shift < h)
                s->fine[(size_t)(i + shift) * (size_t)w + (size_t)j] += a.fat * weight[1];
        }
    }
}

/* to (h, w) = scale times the centre of from (fh, fw), both k-space. */
static void centre(const float complex *from, int fh, int fw, float complex *to, int h, int w,
                   float scale)
{
    const int top = fh / 2 - h / 2, left = fw / 2 - w / 2;
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++)
            to[(size_t)i * (size_t)w + (size_t)j] =
                scale * from[(size_t)(top + i) * (size_t)fw + (size_t)(left + j)];
}

/* From the fine grid to that of the coils, without what k-space will not hold. The transforms are
 * orthonormal: the ratio of the grids keeps amplitudes. */
static void limit_band(struct slot *s, const struct phantom *p)
{
    const int h = FINE * p->shape.readout, w = FINE * s->wide;
    const float scale = sqrtf((float)s->gh * (float)s->gw / ((float)h * (float)w));
    fft2_forward(s->fft_fine, s->fine);
    centre(s->fine, h, w, s->object, s->gh, s->gw, scale);
    fft2_inverse(s->fft_object, s->object);
}

/* ---- the receivers ---- */

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

/* The k-space of the grid in s->coil to that of the scan, in s->coil as well; what is excited
 * beyond the field of view folds in. */
static void to_scan(struct slot *s, const struct phantom *p)
{
    const int h = p->shape.readout, w = p->shape.width, wide = s->wide;
    const float scale = sqrtf((float)h * (float)wide / ((float)s->gh * (float)s->gw));
    fft2_forward(s->fft_object, s->coil);
    if (!p->beyond) { /* in place: what is read lies behind what is written */
        centre(s->coil, s->gh, s->gw, s->coil, h, w, scale);
        return;
    }
    centre(s->coil, s->gh, s->gw, s->folded, h, wide, scale);
    fft2_inverse(s->fft_wide, s->folded);
    memset(s->coil, 0, (size_t)h * (size_t)w * sizeof *s->coil);
    for (int i = 0; i < h; i++)
        for (int j = 0; j < wide; j++)
            s->coil[(size_t)i * (size_t)w + (size_t)((j + w - p->beyond % w) % w)] +=
                s->folded[(size_t)i * (size_t)wide + (size_t)j];
    fft2_forward(s->fft_image, s->coil);
}

/* Adds a pose of the object to the k-space of every coil: the columns acquired in it. */
static int receive(struct slot *s, const struct phantom *p, int slice, int pose, bool moves)
{
    const struct defect *d = &p->defect;
    const struct phantom_shape *f = &p->shape;
    const int h = f->readout, w = f->width;
    const float mm_row = p->voxel_mm * (float)h / (float)s->gh,
                mm_col = p->voxel_mm * (float)s->wide / (float)s->gw;
    for (int c = 0; c < f->coils; c++) {
        if (d->kind == DEFECT_DEAD_COIL && d->coil == c) continue;
        if (coil_map(&p->array, c, phantom_slice_y(p, slice), s->gh, s->gw, mm_row, mm_col, s->coil,
                     &s->e))
            return -1;
        multiply(s->coil, s->object, (size_t)s->gh * (size_t)s->gw);
        to_scan(s, p);
        float complex *k = s->kspace + (size_t)c * (size_t)h * (size_t)w;
        for (int i = 0; i < h; i++)
            for (int j = f->left; j < f->right; j++)
                if (!moves || defect_pose_of(d, j - f->left) == pose)
                    k[(size_t)i * (size_t)w + (size_t)j] =
                        s->coil[(size_t)i * (size_t)w + (size_t)j];
    }
    return 0;
}

/* The spikes of this slice, in the k-space k of a coil. */
static void add_spikes(const struct phantom *p, int slice, float complex *k)
{
    const struct defect *d = &p->defect;
    const size_t n = (size_t)p->shape.readout * (size_t)p->shape.width;
    for (int i = 0; i < d->spikes; i++) {
        const struct spike *spike = &d->spike[i];
        if (spike->slice != slice) continue;
        float largest = 0;
        for (size_t j = 0; j < n; j++)
            largest = fmaxf(largest, crealf(k[j]) * crealf(k[j]) + cimagf(k[j]) * cimagf(k[j]));
        k[(size_t)spike->row * (size_t)p->shape.width + (size_t)spike->col] +=
            (float complex)(spike->over * sqrt(largest) * cexp(I * spike->phase));
    }
}

/* Two samples of unit complex noise from a block of the stream. */
static void noise_pair(const uint32_t word[4], float complex out[2])
{
    for (int k = 0; k < 2; k++) { /* Box-Muller; the first uniform is never 0 */
        float u = ((float)(word[2 * k] >> 8) + 0.5f) * 0x1p-24f;
        float v = (float)(word[2 * k + 1] >> 8) * (float)(2 * M_PI * 0x1p-24);
        float a = sqrtf(-2 * logf(u));
        out[k] = a * cosf(v) + a * sinf(v) * I;
    }
}

/* Noise in the acquired columns of coil c. Sample i of a coil takes half of block i / 2. */
static void add_noise(const struct phantom *p, const struct rng *noise, int coil, float complex *k)
{
    const int w = p->shape.width;
    const size_t n = (size_t)p->shape.readout * (size_t)w, blocks = (n + 1) / 2;
    for (size_t b = 0; b < blocks; b += RNG_LANES) {
        uint32_t word[4][RNG_LANES];
        rng_blocks(noise, (uint64_t)coil * blocks + b, word);
        for (size_t lane = 0; lane < RNG_LANES && b + lane < blocks; lane++) {
            float complex pair[2];
            noise_pair((uint32_t[]){word[0][lane], word[1][lane], word[2][lane], word[3][lane]},
                       pair);
            for (size_t i = 2 * (b + lane); i < n && i < 2 * (b + lane) + 2; i++) {
                const int col = (int)(i % (size_t)w);
                if (col >= p->shape.left && col < p->shape.right) k[i] += p->noise_sd * pair[i % 2];
            }
        }
    }
}

int slot_simulate(struct slot *s, const struct phantom *p, int slice)
{
    static const struct pose rest = {0, 0, 0};
    const struct rng noise = rng_make(p->conf.seed, RNG_NOISE, (uint32_t)p->scan, (uint32_t)slice);
    const int h = p->shape.readout, w = p->shape.width, size = p->shape.size;
    const size_t n = (size_t)h * (size_t)w, pixels = (size_t)size * (size_t)size;
    const struct defect *d = &p->defect;
    const bool moves = d->kind == DEFECT_MOTION && slice >= d->first && slice <= d->last;
    memset(s->kspace, 0, n * (size_t)p->shape.coils * sizeof *s->kspace);
    for (int i = 0; i < (moves ? d->poses : 1); i++) {
        draw_object(s, p, slice, moves ? &d->pose[i] : &rest);
        limit_band(s, p);
        if (receive(s, p, slice, i, moves)) return -1;
    }
    for (int c = 0; c < p->shape.coils; c++) {
        float complex *k = s->kspace + (size_t)c * n;
        add_noise(p, &noise, c, k);
        add_spikes(p, slice, k);
        memcpy(s->coil, k, n * sizeof *k);
        fft2_inverse(s->fft_image, s->coil);
        image_fit(s->coil, h, w, s->images + (size_t)c * pixels, size, size);
    }
    coils_rss(s->images, p->shape.coils, size, size, s->rss);
    return 0;
}
