/* The options of the simulator, its presets, and the shape of a scan that follows from them. */
#include "data/coils_sim.h"
#include "data/defect.h"
#include "data/phantom.h"

#include <math.h>

enum { MAX_SIDE = 4096 };
static const double FOV_MM = 140, STACK_MM = 72 /* of a few slices */;

static const char *const contrasts[] = {"mixed", "non-fs", "fs", NULL};
static const char *const presets[] = {"demo", "small", "full", "fastmri", NULL};
const struct cfg_field phantom_fields[] = {
    CFG_TEXT(struct phantom_conf, out, NULL, "folder for the scans"),
    CFG_INT(struct phantom_conf, scans, "4", 1, 100000, "", "scans to make"),
    CFG_U64(struct phantom_conf, seed, "1", "everything random follows from it"),
    CFG_CHOICE(
        struct phantom_conf, preset, "demo", presets,
        "sizes: demo and small have 8 slices and 8 coils, small without oversampling; full has "
        "35 slices, 15 coils and k-space of 640 x 368; fastmri draws slices, columns and field "
        "of view as fastMRI's knees have them"),
    CFG_INT(struct phantom_conf, slices, "0", 0, 256, "", "slices of a scan; 0: by the preset"),
    CFG_INT(struct phantom_conf, coils, "0", 0, COILS_SIM_MAX, "",
            "receive coils; 0: by the preset"),
    CFG_INT(struct phantom_conf, size, "320", 32, 1024, "px",
            "side of the reference image, 140 mm"),
    CFG_INT(struct phantom_conf, readout, "0", 0, MAX_SIDE, "",
            "rows of k-space; 0: by the preset, twice the size but in small"),
    CFG_INT(struct phantom_conf, width, "0", 0, MAX_SIDE, "",
            "columns of k-space; 0: by the preset, 1.15 times the size but in small and fastmri"),
    CFG_INT(struct phantom_conf, padding, "-1", PHANTOM_PADDING_OF_PRESET, MAX_SIDE, "",
            "columns not acquired at each edge; -1: by the preset, as in fastMRI in full and "
            "fastmri, none in the others"),
    CFG_REAL(struct phantom_conf, slice_mm, "3", 0.5, 10, "mm", "thickness of a slice"),
    CFG_CHOICE(struct phantom_conf, contrast, "mixed", contrasts,
               "fat suppression; mixed: alternating"),
    CFG_REAL(struct phantom_conf, snr, "50", 1, 1e6, "",
             "signal 1 over noise, varied by 40 % between scans"),
    CFG_REAL(struct phantom_conf, texture, "1", 0, 2, "", "contrast of tissue textures"),
    CFG_TEXT(struct phantom_conf, anatomy, "",
             "NIfTI volume to take the anatomy from; empty: a knee of its own for every scan"),
    CFG_REAL(
        struct phantom_conf, defects, "0", 0, 1, "",
        "share of the scans with a known defect, told in a table beside them; 0 with `defect`: "
        "all"),
    CFG_TEXT(
        struct phantom_conf, defect, "",
        "kinds of defects, separated by commas: motion, wrap, spike, dead-coil, lesion; empty: "
        "any"),
    CFG_BOOL(struct phantom_conf, overwrite, "false",
             "replace scans that are there with other parameters"),
    CFG_END};

static bool is_full(const struct phantom_conf *c)
{
    return c->preset == PRESET_FULL || c->preset == PRESET_FASTMRI;
}

int phantom_check(const struct phantom_conf *c, struct err *e)
{
    unsigned kinds;
    if (defect_kinds(c->defect ? c->defect : "", &kinds, e)) return -1;
    const bool volume = c->anatomy && *c->anatomy;
    if (volume && c->contrast == PHANTOM_FS)
        return err_set(e, ERR_USAGE, "contrast: a volume has no fat that could be suppressed");
    if (volume && kinds == 1u << DEFECT_LESION) {
        err_set(e, ERR_USAGE, "defect: lesions are for simulated knees, not for a volume");
        return err_hint(e, "leave out --anatomy, or choose other kinds of defects");
    }
    const struct phantom_shape s = phantom_shape(c, 0);
    if (s.readout < s.size)
        err_set(e, ERR_USAGE, "readout: %d rows of k-space cannot hold images of %d", s.readout,
                s.size);
    else if (s.width < s.size)
        err_set(e, ERR_USAGE, "width: %d columns of k-space cannot hold images of %d", s.width,
                s.size);
    else if (2 * c->padding > s.width / 2) {
        err_set(e, ERR_USAGE,
                "padding: %d columns at each of two edges, %d together, are more than half of the "
                "%d of k-space",
                c->padding, 2 * c->padding, s.width);
        return err_hint(e, "at most %d at each edge are possible here", s.width / 2 / 2);
    } else
        return 0;
    return err_hint(e, "leave readout and width at 0 to have them follow the size");
}

/* Columns, the centre and the maximum of encodingLimits, and how many of 1,394 knees of fastMRI
 * have them (rare ones left out). */
static const struct {
    int width, center, maximum, count;
} encodings[] = {
    {368, 166, 331, 740}, {372, 167, 334, 569}, {320, 144, 287, 19}, {322, 145, 289, 18},
    {388, 175, 349, 7},   {338, 152, 304, 9},   {386, 174, 347, 6},  {400, 180, 359, 5},
    {356, 160, 319, 5},   {370, 185, 369, 4},
};
enum { ENCODINGS = sizeof encodings / sizeof *encodings };

/* fastMRI acquires nine tenths of the columns, those of widths it has as they are there. */
static void acquired(struct phantom_shape *s)
{
    int center = (int)lround(0.45 * s->width), maximum = (int)lround(0.9 * s->width);
    for (int i = 0; i < ENCODINGS; i++)
        if (encodings[i].width == s->width) {
            center = encodings[i].center;
            maximum = encodings[i].maximum;
        }
    s->left = s->width / 2 - center;
    s->right = s->left + maximum + 1;
    if (s->right > s->width) s->right = s->width;
}

static void draw_shape(struct phantom_shape *s, const struct phantom_conf *c, struct rng r)
{
    int total = 0, at = 0;
    for (int i = 0; i < ENCODINGS; i++)
        total += encodings[i].count;
    int n = (int)rng_below(&r, (uint32_t)total);
    while (n >= encodings[at].count)
        n -= encodings[at++].count;
    if (!c->width) s->width = c->size == 320 ? encodings[at].width : s->width;
    if (!c->slices) s->slices = 30 + (int)rng_below(&r, 11);
    double u = rng_uniform(&r);
    s->fov_mm = u < 0.985 ? 140 : u < 0.998 ? 150 : 160;
}

struct phantom_shape phantom_shape(const struct phantom_conf *c, int scan)
{
    const bool full = is_full(c), small = c->preset == PRESET_SMALL;
    struct phantom_shape s = {
        .slices = c->slices ? c->slices
                  : full    ? 35
                            : 8,
        .coils = c->coils ? c->coils
                 : full   ? 15
                          : 8,
        .size = c->size,
        .readout = c->readout ? c->readout
                   : small    ? c->size
                              : 2 * c->size,
        .width = c->width ? c->width
                 : small  ? c->size
                          : 2 * (int)lround(c->size * 0.575),
        .fov_mm = FOV_MM,
        .slice_mm = c->slice_mm > 0 ? c->slice_mm : 3,
    };
    if (c->preset == PRESET_FASTMRI)
        draw_shape(&s, c, rng_make(c->seed, RNG_SIMULATE, (uint32_t)scan, 4));
    s.left = c->padding > 0 ? c->padding : 0;
    s.right = s.width - s.left;
    if (c->padding < 0 && full) acquired(&s);
    s.pitch_mm = fmax(s.slice_mm, STACK_MM / s.slices);
    return s;
}

size_t phantom_bytes(const struct phantom_shape *s)
{
    size_t n = (size_t)s->readout * (size_t)s->width * (size_t)s->coils * sizeof(float complex) +
               (size_t)s->size * (size_t)s->size * sizeof(float);
    return n * (size_t)s->slices;
}
