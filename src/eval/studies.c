#include "base/io.h"
#include "eval/study.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

extern const struct study study_perturbation, study_layers, study_qc;

const struct cfg_kind *const study_kinds[] = {&study_perturbation.kind, &study_layers.kind,
                                              &study_qc.kind, NULL};

int study_remove(const struct study_env *env, const char *name, struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    if (unlink(path) == 0 || errno == ENOENT) return 0;
    return err_set(e, ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
}

int study_write_table(const struct study_env *env, const struct table *t, const char *name,
                      struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    return table_write_csv(t, path, e);
}

json_t *study_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *study_interval(struct interval v)
{
    return json_pack("{s:o, s:o, s:o, s:i}", "value", study_number(v.mean), "ci_low",
                     study_number(v.low), "ci_high", study_number(v.high), "n", v.n);
}
