/* The output folder of a study: whose it is, and when it is whole.
 *
 *     config.resolved.yaml   the configuration it belongs to, from before the first result on
 *     inputs.txt             what the numbers were made from (eval/study_key.h), beside:
 *     summary.json           the last file: with it the folder is whole */
#include "base/io.h"
#include "base/mem.h"
#include "eval/study.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };
static const char CONFIG[] = "config.resolved.yaml", INPUTS[] = "inputs.txt",
                  SUMMARY[] = "summary.json", OUTPUT[] = "output:";

/* The configuration as a new string, free(). */
static char *config_text(const struct study_env *env, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int rc = out ? cfg_write(env->fields, env->conf, out) : -1;
    if (out && fclose(out) == 0 && rc == 0) return text;
    free(text);
    err_set(e, ERR_FAILED, "%s: out of memory", CONFIG);
    return NULL;
}

/* The first lines in which two texts differ, with their lengths; false where they are the same. The
 * folder may have been moved, or be called otherwise. */
static bool find_difference(const char **a, int *la, const char **b, int *lb)
{
    while (**a || **b) {
        *la = (int)strcspn(*a, "\n");
        *lb = (int)strcspn(*b, "\n");
        const bool named =
            strncmp(*a, OUTPUT, strlen(OUTPUT)) == 0 && strncmp(*b, OUTPUT, strlen(OUTPUT)) == 0;
        if (!named && (*la != *lb || strncmp(*a, *b, (size_t)*la) != 0)) return true;
        *a += *la + ((*a)[*la] == '\n');
        *b += *lb + ((*b)[*lb] == '\n');
    }
    return false;
}

/* Whether the file has the text; ERR_CONFIG where not. A file that is not there is no objection. */
static int compare(const struct study_env *env, const char *name, const char *text,
                   const char *whose, struct err *e)
{
    char path[PATH_MAX];
    size_t len;
    int la, lb, rc = 0;
    if (io_path(path, sizeof path, e, "%s/%s", env->output, name)) return -1;
    if (!io_exists(path)) return 0;
    char *had = io_read_text(path, MOST_BYTES, &len, e);
    if (!had) return -1;
    const char *a = had, *b = text;
    if (find_difference(&a, &la, &b, &lb))
        rc = err_set(e, ERR_CONFIG, "%s: %s: it has '%.*s', not '%.*s'", path, whose, la, a, lb, b);
    mem_free(had);
    return rc;
}

static bool has(const struct study_env *env, const char *name)
{
    char path[PATH_MAX];
    return io_path(path, sizeof path, NULL, "%s/%s", env->output, name) == 0 && io_exists(path);
}

int study_check_output(const struct study_env *env, bool *whole, struct err *e)
{
    *whole = false;
    char *config = config_text(env, e);
    int rc = config ? compare(env, CONFIG, config, "the folder has another study", e) : -1;
    free(config);
    if (rc && e && e->code == ERR_CONFIG)
        err_hint(e, "give another `output`, or remove the folder: results of two would be mixed");
    if (rc || !env->resume || !has(env, SUMMARY) || !has(env, INPUTS)) return rc;
    if (compare(env, INPUTS, env->key, "the finished study is of other files", e))
        return err_hint(e, "without --resume the study is done anew");
    *whole = true;
    return 0;
}

static int write_text(const struct study_env *env, const char *name, const char *text,
                      struct err *e)
{
    char path[PATH_MAX];
    return io_path(path, sizeof path, e, "%s/%s", env->output, name) ||
                   io_write_text(path, text, strlen(text), e)
               ? -1
               : 0;
}

int study_open_output(const struct study_env *env, struct err *e)
{
    if (study_remove(env, SUMMARY, e) || study_remove(env, INPUTS, e)) return -1;
    char *config = config_text(env, e);
    int rc = config ? write_text(env, CONFIG, config, e) : -1;
    free(config);
    return rc;
}

int study_close_output(const struct study_env *env, int failed, json_t *summary, struct err *e)
{
    char *text = NULL;
    if (summary && !failed) text = json_dumps(summary, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(summary);
    if (failed) return -1;
    if (!text)
        return err_set(e, ERR_FAILED, "summary.json: out of memory, or a name that is not UTF-8");
    int rc = (env->key && write_text(env, INPUTS, env->key, e)) || io_flush(env->output, e) ||
             write_text(env, SUMMARY, text, e) || study_remove(env, STUDY_JOURNAL, e);
    free(text);
    return rc ? -1 : 0;
}
