#include "base/owner.h"

#include "base/io.h"
#include "base/mem.h"

#include <limits.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

static const char *const commands[] = {[OWNER_TRAINING] = "a training",
                                       [OWNER_STUDY] = "a study",
                                       [OWNER_RECONSTRUCTION] = "reconstruct"};

/* By the keys that a configuration begins with. */
static enum owner owner_of(const char *config)
{
    static const char OUTPUT[] = "output:", CHECKPOINT[] = "\ncheckpoint:";
    if (strncmp(config, OUTPUT, strlen(OUTPUT)) != 0) return OWNER_TRAINING;
    const char *second = strchr(config, '\n');
    const bool names_network = second && strncmp(second, CHECKPOINT, strlen(CHECKPOINT)) == 0;
    return names_network ? OWNER_RECONSTRUCTION : OWNER_STUDY;
}

int owner_check(const char *folder, enum owner who, struct err *e)
{
    char path[PATH_MAX];
    size_t len;
    if (io_path(path, sizeof path, e, "%s/config.resolved.yaml", folder)) return -1;
    if (!io_exists(path)) return 0;
    char *config = io_read_text(path, MOST_BYTES, &len, e);
    if (!config) return -1;
    const enum owner is = owner_of(config);
    mem_free(config);
    if (is == who) return 0;
    err_set(e, ERR_CONFIG, "%s is a folder of %s", folder, commands[is]);
    return err_hint(e, "give another folder: files of two commands would replace each other");
}
