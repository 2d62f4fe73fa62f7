/* Numbers PyTorch computed, from tests/nn/golden/, and the closed form of the weights, inputs and
 * targets they belong to. scripts/make-golden-nn.py makes the files and documents both. */
#pragma once

#include "naive_net.h"

struct golden_entry {
    char name[64];
    int rank, dim[4];
    size_t len;
    double *v;
};

struct golden {
    int n;
    struct golden_entry list[128];
};

/* The file of that name; fails the running test when it cannot be read whole. */
struct golden *golden_read(const char *name);
void golden_free(struct golden *g);
const struct golden_entry *golden_find(const struct golden *g, const char *name); /* NULL: none */

/* Number i of the stream `name`, in [-1, 1). */
double golden_uniform(const char *name, uint64_t i);
/* "input" or "target": the stream of that name with the number the file gives appended. As float32.
 */
void golden_image(const struct golden *g, const char *name, size_t n, double *x);
/* Initial values of a parameter, as float32. */
void golden_param(const char *name, int rank, const int *dim, double *x);

/* The two networks of the files, "ssl" and "recon", and their input. */
struct unet_conf golden_conf(bool ssl);
struct shape golden_input(bool ssl);
