#include "train/changes.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KEY = 128, DEPTH = 16, TEXT = CHANGES_TEXT };

struct line { /* a line of the dump: a.b.c: value */
    char key[KEY];
    const char *value;
    int value_len;
};
struct lines {
    int n;
    struct line *list;
};

/* The dump has a key a line, two spaces of indentation a level, and lists in one line. A text that
 * is not like that, or deeper or of longer keys than any configuration, is refused: what is not
 * compared might differ. */
static int read_lines(const char *text, struct lines *out, struct err *e)
{
    size_t most = 1, prefix[DEPTH + 1] = {0};
    int line = 0;
    char key[KEY] = "";
    for (const char *p = text; *p; p++)
        most += *p == '\n';
    if (!(out->list = mem_new(most, sizeof *out->list, e))) return -1;
    while (*text) {
        const size_t len = strcspn(text, "\n"), indent = strspn(text, " ");
        const size_t name = strcspn(text + indent, ":\n");
        const char *value = text + indent + name + 1, *end = text + len;
        const size_t level = indent / 2, at = level < DEPTH ? prefix[level] : 0;
        line++;
        text = end + (*end == '\n');
        if (indent >= len || end[indent - len] == '#') continue; /* a person's */
        if (indent + name >= len || level >= DEPTH || at + name + 2 > KEY)
            return err_set(e, ERR_DATA, "line %d, '%.*s', is none of a configuration", line,
                           (int)(len < 60 ? len : 60), end - len);
        memcpy(key + at, end - len + indent, name);
        key[at + name] = '\0';
        while (value < end && *value == ' ')
            value++;
        if (value < end) {
            struct line *l = &out->list[out->n++];
            memcpy(l->key, key, sizeof key);
            l->value = value;
            l->value_len = (int)(end - value);
        }
        key[at + name] = '.';
        prefix[level + 1] = at + name + 1;
    }
    return 0;
}

static const struct line *find(const struct lines *l, const char *key)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(l->list[i].key, key)) return &l->list[i];
    return NULL;
}

static bool allowed(const char *key, const char *const *may_change)
{
    for (int i = 0; may_change[i]; i++)
        if (!strcmp(may_change[i], key)) return true;
    return false;
}

static void add(char text[TEXT], const char *key, const struct line *was, const struct line *is)
{
    const size_t at = strlen(text);
    snprintf(text + at, TEXT - at, "%s%s was %.*s, is %.*s", at ? "; " : "", key,
             was ? was->value_len : 4, was ? was->value : "none", is ? is->value_len : 4,
             is ? is->value : "none");
}

static bool same(const struct line *a, const struct line *b)
{
    return a && b && a->value_len == b->value_len &&
           !memcmp(a->value, b->value, (size_t)a->value_len);
}

static void compare(const struct lines *was, const struct lines *is, const char *const *may_change,
                    char fine[TEXT], char wrong[TEXT])
{
    for (int i = 0; i < was->n; i++) {
        const struct line *a = &was->list[i], *b = find(is, a->key);
        if (!same(a, b)) add(allowed(a->key, may_change) ? fine : wrong, a->key, a, b);
    }
    for (int i = 0; i < is->n; i++) {
        const struct line *b = &is->list[i];
        if (!find(was, b->key)) add(allowed(b->key, may_change) ? fine : wrong, b->key, NULL, b);
    }
}

int changes_check(const char *was, const char *is, const char *const *may_change, char fine[TEXT],
                  struct err *e)
{
    struct lines a = {0}, b = {0};
    char wrong[TEXT] = "";
    *fine = '\0';
    int bad = read_lines(was, &a, e) || read_lines(is, &b, e);
    if (!bad) compare(&a, &b, may_change, fine, wrong);
    mem_free(a.list);
    mem_free(b.list);
    if (bad) return -1;
    if (!*wrong) return 0;
    err_set(e, ERR_CONFIG, "the run was started with another configuration: %s", wrong);
    return err_hint(e, "resume with the configuration it was started with, or train in another run "
                       "directory");
}
