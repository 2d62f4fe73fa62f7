/* What a training would take, for --check: time, from a few steps on random numbers on this machine
 * now, and disk. */
#pragma once

#include "base/cli.h"
#include "train/fit_conf.h"
#include "train/sets.h"

/* Prints lines that begin with '#', so that they and the configuration are YAML together. `found`:
 * the scans; NULL: there are none, as *why says, and the figures are for a thousand images. */
int estimate_training(const struct unet_conf *unet, const struct fit_conf *c,
                      const struct sets_conf *sets, const struct sets *found, const struct err *why,
                      const struct cli *cli, struct err *e);
