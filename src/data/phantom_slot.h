/* Between phantom.c, which simulates slices, and phantom_file.c, which writes them. */
#pragma once

#include "data/coils_sim.h"
#include "data/fft.h"
#include "data/phantom.h"

#define PHANTOM_FOV_MM   140.0 /* of the reference image, both sides */
#define PHANTOM_SLICE_MM 3.0

struct phantom { /* one scan */
    struct phantom_conf conf;
    int scan;
    int readout, width;
    float voxel_mm, pitch_mm;
    struct knee knee;
    struct coil_array array;
    bool fs;
    float gain, noise_sd;
    float phase[6], fat_left, fat_uneven;
    uint32_t key; /* of the phase and the suppression */
    char patient[65];
};

struct slot {                     /* work space of one slice in flight */
    float complex *object, *coil; /* (FINE readout, FINE width) */
    float complex *kspace;        /* (coils, readout, width) */
    float complex *images;        /* (coils, size, size) */
    float *rss;                   /* (size, size) */
    struct fft2 *fine, *grid;
    struct err e;
};

int slot_init(struct slot *s, const struct phantom *p,
              struct err *e); /* release also after failure */
void slot_release(struct slot *s);
int slot_simulate(struct slot *s, const struct phantom *p, int slice); /* errors in s->e */
