/* The reconstruction task (paper section 2.1): from the zero-filled, coil-combined image of an
 * undersampled scan to the JSENSE-combined image of the full one. Complex images as two channels,
 * both divided by the 95th percentile of the zero-filled magnitude. A new mask for every image and
 * epoch in training; in validation one that depends on the scan alone. With data consistency a
 * sample's mask is its acquisition (data/acquisition.h). */
#pragma once

#include "data/augment.h"
#include "data/undersample.h"
#include "train/task.h"

struct recon;
/* Borrows the images. The masks of the training are drawn by the seed of `from`, sample and epoch.
 */
struct recon *recon_new(struct undersample_conf from, const struct augment_conf *augment,
                        const struct unet_conf *unet, struct images *train,
                        struct images *validation, struct err *e);
void recon_free(struct recon *r);
/* Whether data consistency, where it is asked for, goes with the augmentation: ERR_CONFIG. */
int recon_check(const struct unet_conf *unet, const struct augment_conf *augment, struct err *e);
/* What the masks keep, a line for every size of image in the sets, to stderr. */
void recon_print_masks(struct recon *r);
const struct task *recon_task(const struct recon *r);
