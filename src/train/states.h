/* The checkpoints of a run directory:
 *
 *     last.h5              the newest state
 *     step-0000001200.h5   states before it, the newest few of them
 *     best.h5              of the best validation so far; a state, too, if no other is whole
 *     best-regular.h5      where best.h5 is of the validation at the end of a training that a
 * longer one would not have there: the best of the others. When it is continued after all, this
 * becomes best.h5 again
 *
 * The file that is replaced as last.h5 stays as step-N.h5, so at every moment there is a whole
 * state on the disk. A state whose checksum does not fit is put aside as NAME.damaged, with a
 * warning, and the training goes on from the one before. */
#pragma once

#include "base/cli.h"
#include "nn/ckpt.h"
#include "train/run.h"

#include <stdbool.h>

struct states {
    const struct run *run;
    int keep;      /* older states kept beside last.h5 */
    uint64_t last; /* step of last.h5; UINT64_MAX: there is none */
};

/* What is known of a training's states before its first step, without its encoder. */
struct ckpt_info states_fresh(const char *task, const struct unet_conf *unet, int height, int width,
                              uint64_t images);
struct states states_of(const struct run *run, int keep);
bool states_any(const char *dir); /* a state to resume from, whole or damaged */
int states_save(struct states *s, const struct params *p, const struct ckpt_info *at,
                struct err *e);
/* `best` describes the state with this network's own loss and step as the best. `aside`: what is
 * best.h5 before becomes best-regular.h5. */
int states_save_best(struct states *s, const struct params *p, const struct ckpt_info *best,
                     bool aside, struct err *e);
/* Of a training that goes on from state `at`, or that had `ended` with it: makes best.h5 the
 * network of step at->best_step, from another file where it is missing, damaged or another. Where
 * there is none, warns. In *best, best_loss and best_step of what best.h5 holds then; infinity and
 * 0: it is missing. */
int states_settle_best(struct states *s, const struct cli *cli, const struct ckpt_info *at,
                       bool ended, struct ckpt_info *best, struct err *e);
/* Path and description of the newest state that is whole. ERR_DATA where there is none. `look`:
 * damaged ones stay where they are. */
int states_newest(struct states *s, const struct cli *cli, bool look, char *path, size_t size,
                  struct ckpt_info *at, struct err *e);
/* Whether state `at`, in `path`, is one of the training whose states begin as `fresh`. */
int states_fit(const char *path, const struct ckpt_info *fresh, const struct ckpt_info *at,
               struct err *e);
