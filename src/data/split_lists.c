/* Splits as lists of files, one a part: JSON or YAML, read as YAML, of which JSON is a part. Either
 * a list of names, or the form in which the paper's own split was published:
 *
 *     {"images": [{"file_name": "file1000001.h5", "num_slices": 36, …}, …], …}
 *
 * Names may have folders before them and the ending of the format behind; neither counts. */
#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/yaml_tree.h"
#include "data/scan_format.h"
#include "data/split.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LIST = 32 << 20 };
enum { MISSING_STOP, MISSING_SKIP };

struct conf {
    const char *train, *validation, *test;
    int missing;
};
static const char *const missing_choices[] = {"stop", "skip", NULL};

static const struct cfg_field fields[] = {
    CFG_TEXT(struct conf, train, "", "list of the scans to train on, JSON or YAML"),
    CFG_TEXT(struct conf, validation, "", "list of the scans to validate on"),
    CFG_TEXT(struct conf, test, "", "list of the scans to test on"),
    CFG_CHOICE(struct conf, missing, "stop", missing_choices,
               "what to do about names in a list for which there is no file"),
    CFG_END};

struct entry {
    char name[256];
    enum part part;
    int slices; /* 0: the list does not say */
    const char *origin;
    int line;
};

struct lists {
    int n;
    struct entry *entry; /* sorted by name */
    struct arena arena;  /* holds the origins */
};

static void lists_close(void *state)
{
    struct lists *l = state;
    if (!l) return;
    mem_free(l->entry);
    arena_release(&l->arena);
    mem_free(l);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int fail_at(const struct yaml_node *n, const char *what, struct err *e)
{
    err_set(e, ERR_DATA, "%s:%d:%d: %s", n->origin, n->line, n->column, what);
    return err_hint(e, "expected [\"file1.h5\", …] or {\"images\": [{\"file_name\": \"file1.h5\"}, "
                       "…]}");
}

static int set_name(struct entry *en, const struct yaml_node *n, struct err *e)
{
    const char *slash = strrchr(n->text, '/'), *base = slash ? slash + 1 : n->text;
    size_t len = strlen(base);
    if (len == 0 || len >= sizeof en->name) return fail_at(n, "is not the name of a file", e);
    memcpy(en->name, base, len + 1);
    if (scan_has_ending(en->name)) *strrchr(en->name, '.') = '\0';
    return 0;
}

static int add_entry(struct lists *l, const struct yaml_node *n, enum part part, struct err *e)
{
    const struct yaml_node *name = n->kind == YAML_MAP ? yaml_find(n, "file_name") : n, *slices;
    if (!name || name->kind != YAML_TEXT || !name->text[0])
        return fail_at(n, "is neither a name nor has a file_name", e);
    struct entry *en = l->entry + l->n;
    *en = (struct entry){.part = part, .origin = name->origin, .line = name->line};
    if (set_name(en, name, e)) return -1;
    if (n->kind == YAML_MAP && (slices = yaml_find(n, "num_slices"))) {
        int64_t v;
        if (slices->kind != YAML_TEXT || !num_whole(slices->text, &v) || v < 1 || v > INT32_MAX)
            return fail_at(slices, "num_slices is not a whole number from 1", e);
        en->slices = (int)v;
    }
    l->n++;
    return 0;
}

static int make_room(struct lists *l, const struct yaml_node *list, struct err *e)
{
    int more = 0;
    for (const struct yaml_node *n = list->first; n; n = n->next)
        more++;
    struct entry *entry = mem_new((size_t)(l->n + more), sizeof *entry, e);
    if (!entry) return -1;
    if (l->n) memcpy(entry, l->entry, (size_t)l->n * sizeof *entry);
    mem_free(l->entry);
    l->entry = entry;
    return 0;
}

static int read_list(struct lists *l, const char *path, enum part part, struct err *e)
{
    if (!path[0]) return 0;
    size_t len;
    char *text = io_read_text(path, MAX_LIST, &len, e);
    const char *origin = text ? arena_text(&l->arena, path, strlen(path)) : NULL;
    struct yaml_node *root = NULL;
    if (origin)
        root = yaml_read(&l->arena, origin, true, text, len, e);
    else if (text)
        err_set(e, ERR_FAILED, "out of memory");
    mem_free(text);
    if (!root) {
        if (e && e->code == ERR_CONFIG) e->code = ERR_DATA;
        return err_wrap(e, "list of the part '%s'", part_names[part]);
    }
    const struct yaml_node *list = root->kind == YAML_MAP ? yaml_find(root, "images") : root;
    if (!list || list->kind != YAML_LIST || !list->first)
        return fail_at(root, "there is no list of scans in it", e);
    if (make_room(l, list, e)) return -1;
    for (const struct yaml_node *n = list->first; n; n = n->next)
        if (add_entry(l, n, part, e)) return -1;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int refuse_twice(struct lists *l, struct err *e)
{
    qsort(l->entry, (size_t)l->n, sizeof *l->entry, by_name);
    for (int i = 1; i < l->n; i++) {
        const struct entry *a = l->entry + i - 1, *b = l->entry + i;
        if (by_name(a, b)) continue;
        err_set(e, ERR_DATA, "scan '%s' is listed twice: %s:%d and %s:%d", a->name, a->origin,
                a->line, b->origin, b->line);
        return err_hint(e, a->part == b->part ? "remove one of the lines"
                                              : "a scan belongs to one part of a split");
    }
    return 0;
}

static void *lists_open(const void *conf, struct err *e)
{
    const struct conf *c = conf;
    struct lists *l = mem_new(1, sizeof *l, e);
    if (!l) return NULL;
    if (read_list(l, c->train, PART_TRAIN, e) == 0 &&
        read_list(l, c->validation, PART_VALIDATION, e) == 0 &&
        read_list(l, c->test, PART_TEST, e) == 0 && refuse_twice(l, e) == 0)
        return l;
    lists_close(l);
    return NULL;
}

/* ---- Using --------------------------------------------------------------------------------- */

static const struct entry *find_entry(const struct lists *l, const char *name)
{
    struct entry key;
    snprintf(key.name, sizeof key.name, "%s", name);
    return l->n ? bsearch(&key, l->entry, (size_t)l->n, sizeof key, by_name) : NULL;
}

static enum part part_of(const void *state, const char *name)
{
    const struct entry *en = find_entry(state, name);
    return en ? en->part : PART_NONE;
}

/* Of bad scans only the path is left. */
static bool has_name(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(name);
    return strncmp(base, name, n) == 0 && (base[n] == '.' || base[n] == '\0');
}

static int miss(const struct conf *c, struct scans *scans, const struct entry *en, int missing,
                int listed, struct err *e)
{
    struct err why = {0};
    err_set(&why, ERR_NOINPUT, "%s:%d: there is no file of scan '%s'", en->origin, en->line,
            en->name);
    if (c->missing == MISSING_STOP) {
        if (e) *e = why;
        return err_hint(e,
                        "%d of %d listed scans are not in the folders given; set "
                        "data.split.missing=skip to go on without them",
                        missing, listed);
    }
    int on_bad = scans->on_bad; /* another question than that of bad files */
    scans->on_bad = BAD_SCAN_SKIP;
    int rc = scans_leave_out(scans, en->name, &why);
    scans->on_bad = on_bad;
    if (rc && e) *e = why;
    return rc;
}

static int check_missing(const struct conf *c, const struct lists *l, struct scans *scans,
                         const bool *wanted, const bool *there, struct err *e)
{
    int missing = 0, listed = 0;
    for (int i = 0; i < l->n; i++) {
        listed += wanted[l->entry[i].part];
        missing += wanted[l->entry[i].part] && !there[i];
    }
    for (int i = 0; i < l->n; i++)
        if (wanted[l->entry[i].part] && !there[i] &&
            miss(c, scans, l->entry + i, missing, listed, e))
            return -1;
    return 0;
}

/* A list that counts slices must agree with the file: else it is another file of that name. */
static int check_slices(struct scans *scans, int i, const struct entry *en, struct err *e)
{
    struct err why = {0};
    if (!en->slices || en->slices == scans->list[i].slices) return 0;
    err_set(&why, ERR_DATA, "%s: has %d slices, but %s:%d says %d", scans->list[i].path,
            scans->list[i].slices, en->origin, en->line, en->slices);
    err_hint(&why, "the file is another one, or was cut");
    if (scans_drop(scans, i, &why) == 0) return 0;
    if (e) *e = why;
    return -1;
}

static int divide(const void *conf, const void *state, struct scans *scans,
                  const bool wanted[PARTS], enum part *part, struct err *e)
{
    const struct lists *l = state;
    bool *there = mem_new((size_t)l->n, sizeof *there, e);
    int rc = there ? 0 : -1;
    for (int i = 0; i < scans->n && rc == 0; i++) {
        const struct entry *en = find_entry(l, scans->list[i].name);
        part[i] = en ? en->part : PART_NONE; /* a file named itself may be in no list */
        if (!en) continue;
        there[en - l->entry] = true;
        rc = check_slices(scans, i, en, e);
        if (scans->list[i].dropped) part[i] = PART_NONE;
    }
    for (int i = 0; i < l->n && rc == 0; i++)
        for (int k = 0; k < scans->nbad && !there[i]; k++)
            there[i] = has_name(scans->bad[k].path, l->entry[i].name);
    if (rc == 0) rc = check_missing(conf, l, scans, wanted, there, e);
    mem_free(there);
    return rc;
}

static int check(const void *conf, struct err *e)
{
    const struct conf *c = conf;
    if (c->train[0] || c->validation[0] || c->test[0]) return 0;
    return err_set(e, ERR_CONFIG, "data.split: name at least one list: train, validation or test");
}

const struct split split_lists = {
    .kind = {"lists", "by lists of files, such as the paper's own", fields, sizeof(struct conf)},
    .check = check,
    .open = lists_open,
    .part_of = part_of,
    .close = lists_close,
    .divide = divide,
};
