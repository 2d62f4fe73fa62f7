#include "train/metrics.h"

#include "base/io.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int metrics_open(struct metrics *m, const char *dir, bool keep, struct err *e)
{
    *m = (struct metrics){0};
    if (io_path(m->path, sizeof m->path, e, "%s/metrics.jsonl", dir)) return -1;
    m->lost = keep && !io_exists(m->path);
    m->file = fopen(m->path, keep ? "a" : "w");
    return m->file ? 0 : err_set(e, ERR_IO, "%s: %s", m->path, strerror(errno));
}

void metrics_close(struct metrics *m)
{
    if (m->file) fclose(m->file);
    *m = (struct metrics){0};
}

enum line { OURS, LATER, BROKEN };

/* OURS: of what the state at step `step` has behind it. */
static enum line kind_of(const char *line, uint64_t step, uint64_t validated, const char *score)
{
    json_t *j = json_loads(line, 0, NULL), *at = json_object_get(j, "step");
    const uint64_t last = json_object_get(j, score) ? validated : step;
    const enum line kind = !json_is_integer(at)                       ? BROKEN
                           : (uint64_t)json_integer_value(at) <= last ? OURS
                                                                      : LATER;
    json_decref(j);
    return kind;
}

static void warn(const struct metrics *m, int broken, const char *command)
{
    if (m->lost)
        fprintf(stderr, "%s: warning: %s is missing: what it told of the steps so far is lost\n",
                command, m->path);
    if (broken)
        fprintf(stderr, "%s: warning: %s: %d lines that are none of it are dropped\n", command,
                m->path, broken);
}

int metrics_rewind(struct metrics *m, uint64_t step, uint64_t validated, const char *score,
                   const char *command, struct err *e)
{
    char *kept = NULL, *line = NULL;
    size_t len = 0, room = 0;
    int broken = 0;
    FILE *in = fopen(m->path, "r"), *out = open_memstream(&kept, &len);
    while (in && out && getline(&line, &room, in) > 0)
        switch (kind_of(line, step, validated, score)) {
        case OURS:
            fputs(line, out);
            break;
        case LATER:
            break;
        case BROKEN:
            broken += strchr(line, '\n') != NULL; /* the last may have been cut */
        }
    warn(m, broken, command);
    bool ok = in && out;
    if (in) fclose(in);
    if (out && fclose(out)) ok = false;
    free(line);
    if (!ok) err_set(e, ERR_IO, "%s: %s", m->path, strerror(errno));
    if (ok) {
        fclose(m->file);
        ok = io_write_text(m->path, kept, len, e) == 0;
        m->file = fopen(m->path, "a");
        if (ok && !m->file) ok = err_set(e, ERR_IO, "%s: %s", m->path, strerror(errno)) == 0;
    }
    free(kept);
    return ok ? 0 : -1;
}

int metrics_log(struct metrics *m, uint64_t step, const char *const *names, const double *values,
                int n, struct err *e)
{
    fprintf(m->file, "{\"step\": %llu", (unsigned long long)step);
    for (int i = 0; i < n; i++)
        if (isfinite(values[i]))
            fprintf(m->file, ", \"%s\": %.9g", names[i], values[i]);
        else
            fprintf(m->file, ", \"%s\": null", names[i]);
    fputs("}\n", m->file);
    if (!fflush(m->file) && !ferror(m->file)) return 0;
    return err_set(e, ERR_IO, "%s: %s", m->path, strerror(errno));
}
