/* TensorBoard event files: scalars and pictures over steps, as TensorBoard reads them.
 *
 * A file is a sequence of records (tfrecord.h) whose bytes are each a protocol buffer message
 * (tensorflow/core/util/event.proto and framework/summary.proto), of which these fields are
 * written, by number:
 *
 *     Event       1 double wall_time, 2 int64 step, and one of
 *                 3 string file_version ("brain.Event:2", the first record of a file),
 *                 5 Summary, 7 SessionLog
 *     Summary     1 Value, repeated
 *     Value       1 string tag, and 2 float simple_value or 4 Image
 *     Image       1 int32 height, 2 int32 width, 3 int32 colorspace (1: grey),
 *                 4 bytes encoded_image_string (a PNG)
 *     SessionLog  1 enum status (1: START)
 *
 * A file is never appended to: every start of a training opens one more, whose SessionLog START
 * tells readers to forget what earlier files say of its step and later ones. So a training that
 * was killed after its checkpoint and resumed shows each step once, and a record cut in half by the
 * kill is the last of its file, where readers expect one. Files of many starts are merged into one
 * (tfevents_merge), which has each step once. */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct tfevents;

/* A new file events.out.tfevents.* in the folder, which exists; the first step it will tell of. */
struct tfevents *tfevents_open(const char *dir, uint64_t first_step, struct err *e);
/* Where the folder has more than `most` of our event files, makes the first of them hold what
 * readers see in all, and deletes the others. A crash in between changes nothing of what is seen.
 */
int tfevents_merge(const char *dir, int most, struct err *e);
/* Closes; also of NULL. */
void tfevents_close(struct tfevents *t);
/* A figure at this step, flushed. One that is not finite is left out. */
int tfevents_scalar(struct tfevents *t, uint64_t step, const char *name, double value,
                    struct err *e);
/* A grey PNG file's bytes. ERR_DATA where they are not a PNG. */
int tfevents_picture(struct tfevents *t, uint64_t step, const char *name, const void *png,
                     size_t len, struct err *e);
