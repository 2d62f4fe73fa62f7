#include "train/initial.h"

#include "base/hash.h"
#include "train/net.h"

#include <stdio.h>
#include <string.h>

static int read_fitting(const char *path, const char *task, const struct unet_conf *unet,
                        struct ckpt_info *info, struct err *e)
{
    char what[160];
    struct unet_conf theirs;
    if (ckpt_read_info(path, info, e)) return err_wrap(e, "fit.initial");
    theirs = info->unet;
    theirs.dropout = unet->dropout; /* it leaves no trace in weights */
    if (strcmp(task, info->task) != 0)
        snprintf(what, sizeof what, "it was trained for the task '%s', not '%s'", info->task, task);
    else if (!net_differs(&theirs, unet, what, sizeof what))
        return 0;
    err_set(e, ERR_DATA, "fit.initial: %s is a checkpoint of another network: %s", path, what);
    return err_hint(e, "give a checkpoint of the same network, describe the network as that one "
                       "was, or leave fit.initial empty");
}

int initial_check(const char *path, const char *task, const struct unet_conf *unet, struct err *e)
{
    struct ckpt_info info;
    return read_fitting(path, task, unet, &info, e);
}

int initial_load(struct initial *from, const char *path, const char *task,
                 const struct unet_conf *unet, struct params *p, struct err *e)
{
    struct ckpt_info info;
    if (read_fitting(path, task, unet, &info, e)) return -1;
    *from = (struct initial){.path = path, .step = info.step};
    return seal_check(path, &from->checksum, e) || ckpt_load(path, p, false, e)
               ? err_wrap(e, "fit.initial")
               : 0;
}
