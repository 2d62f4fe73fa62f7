/* fit.initial: the weights a training begins with, from the checkpoint of another one. Of the same
 * task and the same network; images may be of another size, and dropout may differ. Where that
 * training averaged its weights, it is the averages. */
#pragma once

#include "nn/ckpt.h"

struct initial { /* where weights came from; path NULL: they are random */
    const char *path;
    uint64_t checksum; /* of the file */
    uint64_t step;     /* after which it was saved */
};

/* Whether the file can be begun with: ERR_NOINPUT where it is not there, ERR_DATA, naming the file
 * and the first difference, where it is damaged or of something else. */
int initial_check(const char *path, const char *task, const struct unet_conf *unet, struct err *e);
/* The same, and the weights into p. */
int initial_load(struct initial *from, const char *path, const char *task,
                 const struct unet_conf *unet, struct params *p, struct err *e);
