#include "base/io.h"
#include "eval/study.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
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

int study_open_output(const struct study_env *env, struct err *e)
{
    return study_remove(env, "summary.json", e);
}

int study_write_table(const struct study_env *env, const struct table *t, const char *name,
                      struct err *e)
{
    char path[PATH_MAX];
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    return table_write_csv(t, path, e);
}

static int write_config(const struct study_env *env, struct err *e)
{
    char path[PATH_MAX], *text = NULL;
    size_t len = 0;
    if (io_path(path, sizeof path, e, "%s/config.resolved.yaml", env->output)) return -1;
    FILE *out = open_memstream(&text, &len);
    if (!out) return err_set(e, ERR_FAILED, "out of memory");
    int rc = cfg_write(env->fields, env->conf, out);
    if (fclose(out) != 0 || rc != 0)
        rc = err_set(e, ERR_FAILED, "%s: out of memory", path);
    else
        rc = io_write_text(path, text, len, e);
    free(text);
    return rc;
}

int study_close_output(const struct study_env *env, int failed, json_t *summary, struct err *e)
{
    char path[PATH_MAX], *text = NULL;
    int rc = -1;
    if (summary && !failed) text = json_dumps(summary, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(summary);
    if (failed) return -1;
    if (!text)
        return err_set(e, ERR_FAILED, "summary.json: out of memory, or a name that is not UTF-8");
    if (!write_config(env, e) && !io_flush(env->output, e) &&
        !io_path(path, sizeof path, e, "%s/summary.json", env->output))
        rc = io_write_text(path, text, strlen(text), e);
    free(text);
    return rc ? -1 : study_remove(env, STUDY_JOURNAL, e);
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
