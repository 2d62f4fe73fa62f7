/* The reconstruction task (paper section 2.1): from the zero-filled, coil-combined image of an
 * undersampled scan to the JSENSE-combined image of the full one. Complex images as two channels,
 * both divided by the 95th percentile of the zero-filled magnitude. A new mask for every image and
 * epoch in training; in validation one that depends on the scan alone. With data consistency a
 * sample's mask is its acquisition (data/acquisition.h). */
#pragma once

#include "data/augment.h"
#include "data/undersample.h"
#include "train/task.h"

/* Borrows the images; task_free. The masks of the training are drawn by the seed of `from`, sample
 * and epoch. */
struct task *recon_new(struct undersample_conf from, const struct augment_conf *augment,
                       const struct unet_conf *unet, struct images *train,
                       struct images *validation, struct err *e);
/* Whether data consistency, where it is asked for, goes with the augmentation: ERR_CONFIG. */
int recon_check(const struct unet_conf *unet, const struct augment_conf *augment, struct err *e);
/* Whether there are such masks for the scans, found but perhaps without references, and data
 * consistency, where it is asked for: ERR_CONFIG, naming the scan. Unless `quiet` prints on stderr
 * what the masks keep, a line for every size there is. */
int recon_admit(struct undersample_conf from, const struct unet_conf *unet,
                const struct images *train, const struct images *validation, bool quiet,
                struct err *e);
