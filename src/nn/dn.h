/* Convolutions by oneDNN: the one door to that library, whose versions 2.6 and 3.x differ. A
 * convolution has stride 1 and same padding, its activations are dense NHWC float32 and its weights
 * are given and taken as (out, in, h, w). The library's own layout of the weights is hidden in
 * `packed` memory, all its temporary memory in `scratch`: both come from the caller, 64-byte
 * aligned, so that nothing allocates after dn_conv_new. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct dn; /* the library's engine and stream; one per plan */
struct dn *dn_new(struct err *e);
void dn_free(struct dn *d);
const char *dn_version(void); /* "2.6.3" */

/* What the processor can do, each more than the one before, as far as the library may use it (the
 * environment variable ONEDNN_MAX_CPU_ISA limits it). Our own kernels keep to it too. */
enum dn_isa { DN_ISA_ANY, DN_ISA_AVX2, DN_ISA_AVX512, DN_ISA_AVX512_BF16, DN_ISA_AMX };
enum dn_isa dn_isa(void);
const char *dn_isa_name(enum dn_isa isa);

struct dn_conv_conf {
    int n, h, w, in, out, side; /* side 1 or 3 */
    bool bias;
    bool backward_weights, backward_data; /* gradients to make: of weights and bias; of x */
};
struct dn_conv;
struct dn_conv *dn_conv_new(struct dn *d, struct dn_conv_conf conf, struct err *e);
void dn_conv_free(struct dn_conv *c);

/* Bytes the caller provides. */
size_t dn_conv_packed_bytes(const struct dn_conv *c);
size_t dn_conv_scratch_forward(const struct dn_conv *c);
size_t dn_conv_scratch_backward(const struct dn_conv *c);

void dn_conv_pack(struct dn_conv *c, const float *w, void *packed);
void dn_conv_forward(struct dn_conv *c, const float *x, const void *packed, const float *bias,
                     float *y, void *scratch);
/* dx, dw and db are overwritten; dx and dw may be NULL: not wanted, and without dw neither x nor db
 * is touched. dy is the gradient of conv + bias. */
void dn_conv_backward(struct dn_conv *c, const float *x, const float *dy, const void *packed,
                      float *dx, float *dw, float *db, void *scratch);
/* Names of the kernels, forward | data | weights. */
void dn_conv_kernel(const struct dn_conv *c, char *text, size_t size);
