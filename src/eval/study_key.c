#include "eval/study_key.h"

#include "base/cli.h"
#include "base/io.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

static void put_file(FILE *out, const char *path)
{
    struct stat st;
    if (stat(path, &st)) {
        fprintf(out, "file %s: absent\n", path);
        return;
    }
    if (S_ISREG(st.st_mode))
        fprintf(out, "file %s: %lld bytes, modified %lld.%09ld\n", path, (long long)st.st_size,
                (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    if (!S_ISDIR(st.st_mode)) return;
    struct dirent **list = NULL;
    int n = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inside[PATH_MAX];
        if (list[i]->d_type == DT_REG &&
            !io_path(inside, sizeof inside, NULL, "%s/%s", path, list[i]->d_name))
            put_file(out, inside);
        free(list[i]);
    }
    free(list);
}

/* Texts of the configuration that name something on the disk. */
static void put_named(FILE *out, const struct cfg_field *fields, const void *conf)
{
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        const void *at = (const char *)conf + f->offset;
        if (f->type == CFG_TYPE_TEXT) {
            const char *text = *(const char *const *)at;
            if (text && io_exists(text)) put_file(out, text);
        } else if (f->type == CFG_TYPE_TEXTS) {
            const struct cfg_texts *t = at;
            for (int i = 0; i < t->n; i++)
                put_file(out, t->v[i]);
        } else if (f->type == CFG_TYPE_GROUP) {
            put_named(out, f->group, at);
        } else if (f->type == CFG_TYPE_PICK) {
            const struct cfg_pick *p = at;
            if (p->kind) put_named(out, p->kind->fields, p->conf);
        } else if (f->type == CFG_TYPE_PICKS) {
            const struct cfg_picks *p = at;
            for (int i = 0; i < p->n; i++)
                put_named(out, p->v[i].kind->fields, p->v[i].conf);
        }
    }
}

char *study_key(const struct study_env *env, const struct cfg_pick *study, struct err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out) {
        fprintf(out, "ssfd %s\n", cli_version());
        cfg_write(env->fields, env->conf, out);
        for (int i = 0; i < env->images->scans.n; i++)
            put_file(out, env->images->scans.list[i].path);
        put_named(out, study->kind->fields, study->conf);
    }
    if (out && fclose(out) == 0) return text;
    free(text);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}
