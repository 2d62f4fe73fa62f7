/* Files the tests of this folder make for themselves. Failures end the test. */
#pragma once

#include "nn/ckpt.h"
#include "nn/graph.h"
#include "nn/params.h"
#include "nn/unet.h"

/* Saves a network of random weights, in which every scale and bias differs from its neighbours. The
 * returned parameters and *g are the caller's. */
struct params *save_checkpoint(const char *path, const char *task, const struct unet_conf *conf,
                               struct graph **g);

/* A file of Keras' with random weights of the first three blocks of VGG-16. */
void save_vgg(const char *path);

/* A scan in the fastMRI layout: a bright ellipse with texture, other in each slice, seen by three
 * coils of smooth sensitivity and phase. (slices, 3, side, side). With `bad`, one sample is NaN. */
void save_scan(const char *path, int slices, int side, int seed, int bad);
/* The same with the attribute `acquisition` ("CORPD_FBK", "CORPDFS_FBK"; NULL: none). */
void save_scan_of(const char *acquisition, const char *path, int slices, int side, int seed,
                  int bad);
