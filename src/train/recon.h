/* The reconstruction task (paper section 2.1): from the zero-filled, coil-combined image of an
 * undersampled scan to the JSENSE-combined image of the full one. Complex images as two channels,
 * both divided by the 95th percentile of the zero-filled magnitude. A new mask for every image and
 * epoch in training; in validation one that depends on the scan alone. */
#pragma once

#include "data/augment.h"
#include "data/images.h"
#include "data/mask.h"
#include "data/zerofill.h"
#include "train/task.h"

struct recon;
/* Borrows the images. `mask` is one of mask_kinds with its configuration, drawn on k-space as
 * `mask_on` says (data/zerofill.h); `jsense` is that of the references. */
struct recon *recon_new(struct cfg_pick mask, int mask_on, const struct augment_conf *augment,
                        const struct jsense_conf *jsense, const struct unet_conf *unet,
                        uint64_t seed, struct images *train, struct images *validation,
                        struct err *e);
void recon_free(struct recon *r);
/* What the masks keep, a line for every size of image in the sets, to stderr. */
void recon_print_masks(const struct recon *r);
const struct task *recon_task(const struct recon *r);
