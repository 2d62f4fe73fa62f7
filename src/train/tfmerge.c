/* tfevents_merge. Event files of starts that follow each other: what one tells of a step lasts
 * until a later start begins at that step or an earlier one. */
#include "train/tfevents.h"

#include "base/io.h"
#include "base/mem.h"
#include "train/tfrecord.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct part { /* a file */
    char path[1200];
    uint64_t first; /* step of its start; UINT64_MAX: it was cut before that */
    uint64_t limit; /* steps from here on are told by later files */
};

enum kind { OTHER, VERSION, START, FIGURES };

static bool varint(const unsigned char **p, const unsigned char *end, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        const unsigned char byte = *(*p)++;
        *v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

/* What an event is, as tfevents.c writes it: wall time, step, and one thing more. */
static enum kind kind_of(const struct tfrecord *r, uint64_t *step)
{
    enum {
        TIME = 1 << 3 | 1,
        STEP = 2 << 3,
        TEXT = 3 << 3 | 2,
        SUMMARY = 5 << 3 | 2,
        LOG = 7 << 3 | 2
    };
    const unsigned char *p = r->bytes + 10, *end = r->bytes + r->len;
    if (r->len < 12 || r->bytes[0] != TIME || r->bytes[9] != STEP || !varint(&p, end, step) ||
        p == end)
        return OTHER;
    return *p == TEXT ? VERSION : *p == LOG ? START : *p == SUMMARY ? FIGURES : OTHER;
}

/* The first step that a file tells of. */
static int look(struct part *f, struct err *e)
{
    unsigned char text[256];
    FILE *in = fopen(f->path, "rb");
    if (!in) return err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
    const size_t len = fread(text, 1, sizeof text, in);
    size_t at = 0;
    struct tfrecord r;
    uint64_t step;
    fclose(in);
    f->first = UINT64_MAX;
    while (f->first == UINT64_MAX && tfrecord_next(text, len, &at, &r))
        if (kind_of(&r, &step) == START) f->first = step;
    return 0;
}

/* What lasts of a file; of the first, also how it begins. */
static int copy(const struct part *f, bool first, struct io_stream *out, struct err *e)
{
    struct stat st;
    size_t len, at = 0;
    struct tfrecord r;
    uint64_t step;
    if (stat(f->path, &st)) return err_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
    char *text = io_read_text(f->path, (size_t)st.st_size, &len, e);
    if (!text) return -1;
    while (tfrecord_next(text, len, &at, &r)) {
        const enum kind kind = kind_of(&r, &step);
        if (kind == FIGURES ? step < f->limit : first && kind != OTHER)
            tfrecord_write(out->file, r.bytes, r.len, NULL, 0); /* ends in io_stream_end */
    }
    mem_free(text);
    return 0;
}

static int is_ours(const struct dirent *f)
{
    const size_t len = strlen(f->d_name);
    return !strncmp(f->d_name, "events.out.tfevents.", 20) && len > 5 &&
           !strcmp(f->d_name + len - 5, ".ssfd");
}

/* The event files of a folder in the order in which they are read. */
static struct part *list_parts(const char *dir, int most, int *n, struct err *e)
{
    struct dirent **list = NULL;
    struct part *part = NULL;
    *n = scandir(dir, &list, is_ours, alphasort);
    if (*n < 0) err_set(e, ERR_IO, "%s: %s", dir, strerror(errno));
    if (*n > most) part = mem_new((size_t)*n, sizeof *part, e);
    for (int i = 0; i < *n; i++) {
        if (part && io_path(part[i].path, sizeof part->path, e, "%s/%s", dir, list[i]->d_name)) {
            mem_free(part);
            part = NULL;
        }
        free(list[i]);
    }
    free(list);
    return part;
}

static int merge(struct part *part, int n, struct err *e)
{
    struct io_stream out;
    int bad = 0;
    for (int i = 0; i < n && !bad; i++)
        bad = look(&part[i], e);
    if (bad || io_stream_begin(&out, part[0].path, e)) return -1;
    uint64_t limit = UINT64_MAX;
    for (int i = n; i-- > 0;) {
        part[i].limit = limit;
        if (part[i].first < limit) limit = part[i].first;
    }
    int head = 0; /* the first that is whole enough to begin with */
    while (head + 1 < n && part[head].first == UINT64_MAX)
        head++;
    for (int i = head; i < n && !bad; i++)
        bad = copy(&part[i], i == head, &out, e);
    if (io_stream_end(&out, !bad, bad ? NULL : e) || bad) return -1;
    for (int i = 1; i < n; i++)
        if (unlink(part[i].path))
            return err_set(e, ERR_IO, "%s: cannot be deleted: %s", part[i].path, strerror(errno));
    return 0;
}

int tfevents_merge(const char *dir, int most, struct err *e)
{
    int n;
    struct part *part = list_parts(dir, most, &n, e);
    const int bad = part ? merge(part, n, e) : n < 0 || n > most;
    mem_free(part);
    return bad ? -1 : 0;
}
