/* Between phantom.c, which draws a scan, phantom_slice.c, which simulates its slices,
 * phantom_file.c, which writes them, phantom_truth.c, which lists defects, and phantom_run.c. */
#pragma once

#include "data/coils_sim.h"
#include "data/defect.h"
#include "data/fft.h"
#include "data/phantom.h"

enum { PHANTOM_FINE = 2 /* points of the object along a voxel */, PHANTOM_PARAMETERS = 1024 };

struct phantom { /* one scan */
    struct phantom_conf conf;
    struct phantom_shape shape;
    int scan;
    float voxel_mm;
    struct knee knee;
    const struct anatomy *volume; /* NULL: the knee */
    struct anatomy_pose pose;
    struct coil_array array;
    struct defect defect;
    int beyond; /* columns on each side that are excited outside of the field of view, and fold */
    bool fs;
    float gain, noise_sd;
    float fat_shift_mm; /* along the readout, positive towards the head */
    float phase[6], fat_left, fat_uneven;
    uint32_t key; /* of the phase and the suppression */
    char patient[65];
};

/* Everything that the bytes of a scan follow from, as text: two files with the same text are the
 * same. */
void phantom_parameters(const struct phantom *p, char text[PHANTOM_PARAMETERS]);

/* Its defect or that it has none, as defect.h has it; also an attribute of the file. */
void phantom_truth_of(const struct phantom *p, char text[DEFECT_TEXT]);

/* The file of a scan, and what is there under its name: that scan, judged by its parameters and not
 * by its samples; another; or what cannot be read, with the reason in *e. */
int phantom_path(char *path, size_t size, const struct phantom_conf *c, int scan, struct err *e);
enum phantom_found { PHANTOM_SAME, PHANTOM_OTHER, PHANTOM_DAMAGED };
enum phantom_found phantom_find(const char *path, const struct phantom *p, struct err *e);

/* Makes the table of defects of the scans of this seed in the folder, made by this run or another,
 * from the files; removes it where none has a defect, unless this run asked for defects. Leaves out
 * scans that `gone` (may be NULL; c->scans entries) is set for: they are about to be replaced. */
int phantom_truth(const struct phantom_conf *c, const struct anatomy *volume, const bool *gone,
                  struct err *e);

/* Position of a slice: mm, front positive. */
float phantom_slice_y(const struct phantom *p, int slice);
/* Amplitudes at a point of the world, of this leg or, where it wraps, of the other. */
struct amplitude phantom_object(const struct phantom *p, struct vec3 at, float edge);
/* What amplitudes of water and of fat count for at a point: gain, suppression, background phase. */
void phantom_weigh(const struct phantom *p, struct vec3 at, float complex weight[2]);

struct slot {                     /* work space of one slice in flight */
    float complex *fine;          /* (FINE readout, FINE wide): wide = width + 2 beyond */
    float complex *object, *coil; /* (gh, gw): a grid somewhat finer than the voxels */
    float complex *folded;        /* (readout, wide) or NULL */
    float complex *kspace;        /* (coils, readout, width) */
    float complex *images;        /* (coils, size, size) */
    float *rss;                   /* (size, size) */
    int wide, gh, gw;
    struct fft2 *fft_fine, *fft_object, *fft_wide, *fft_image; /* fft_wide: NULL without folding */
    struct err e;
};

int slot_init(struct slot *s, const struct phantom *p,
              struct err *e); /* release also after failure */
void slot_release(struct slot *s);
int slot_simulate(struct slot *s, const struct phantom *p, int slice); /* errors in s->e */
