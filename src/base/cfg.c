#include "base/cfg_private.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdarg.h>
#include <string.h>

int cfg_count(const struct cfg_field *fields)
{
    int n = 0;
    while (fields && fields[n].key)
        n++;
    return n;
}

const struct cfg_field *cfg_find(const struct cfg_field *fields, const char *key, size_t len)
{
    for (const struct cfg_field *f = fields; f && f->key; f++)
        if (strncmp(f->key, key, len) == 0 && !f->key[len]) return f;
    return NULL;
}

const struct cfg_kind *cfg_find_kind(const struct cfg_kind *const *kinds, const char *name,
                                     size_t len)
{
    for (; *kinds; kinds++)
        if (strncmp((*kinds)->name, name, len) == 0 && !(*kinds)->name[len]) return *kinds;
    return NULL;
}

const char *cfg_quote(char out[CFG_QUOTE], const char *text)
{
    size_t n = strnlen(text, CFG_QUOTE), room = n < CFG_QUOTE ? n : CFG_QUOTE - 4;
    while (n == CFG_QUOTE && room && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--; /* cut between characters, not inside one */
    for (size_t i = 0; i < room; i++) {
        const unsigned char c = (unsigned char)text[i], before = i ? (unsigned char)text[i - 1] : 0;
        const bool control = c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0); /* C0 and C1 */
        out[i] = control ? '?' : text[i];
    }
    strcpy(out + room, n == CFG_QUOTE ? "..." : "");
    return out;
}

void cfg_mistake(struct cfg_load *l, const struct yaml_node *at, const char *fmt, ...)
{
    enum { TAIL = 32 }; /* for "and N more" */
    char line[512], place[48] = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    l->mistakes++;
    if (at->line) snprintf(place, sizeof place, ":%d:%d", at->line, at->column);
    if (l->shown < l->mistakes - 1 || l->shown == CFG_MAX_MISTAKES) return;
    const size_t room = sizeof l->text - l->used - TAIL;
    const int n = snprintf(l->text + l->used, room, "%s%s%s: %s", l->used ? "\n" : "", at->origin,
                           place, line);
    if (n < 0 || (size_t)n >= room) { /* the first is shown, cut or not */
        if (l->used) l->text[l->used] = '\0';
        if (l->used) return;
    }
    l->used += strlen(l->text + l->used);
    l->shown++;
}

struct yaml_node *cfg_default(struct cfg_load *l, const struct cfg_field *f)
{
    const struct yaml_node at = {.origin = "default"};
    struct yaml_node *n;
    struct err e = {0};
    if (f->type == CFG_TYPE_TEXT || f->type == CFG_TYPE_CHOICE)
        n = yaml_scalar(l->arena, &at, f->def); /* as it is: "" is empty text, not nothing */
    else
        n = yaml_read(l->arena, at.origin, false, f->def, strlen(f->def), &e);
    if (!n && e.code == ERR_CONFIG)
        cfg_mistake(l, &at, "of '%s': %s", f->key, e.text);
    else
        l->no_memory |= !n;
    return n;
}

/* Reads, merges and binds; what is wrong is left in *l, except for a file that is not YAML. */
static int load(struct cfg_load *l, const struct cfg_field *fields, void *conf, const char *name,
                const char *text, size_t len, const struct cfg_set *sets, int nsets, struct err *e)
{
    const struct yaml_node start = {.origin = name ? name : "command line"};
    struct yaml_node *root = NULL;
    if (text && len > CFG_MAX_BYTES)
        return err_set(e, ERR_CONFIG, "%s: %zu bytes, more than a configuration may have (%d)",
                       name, len, CFG_MAX_BYTES);
    if (text && !(root = yaml_read(l->arena, name, true, text, len, e))) return -1;
    if (!root || yaml_is_null(root))
        root = yaml_container(l->arena, root ? root : &start, YAML_MAP);
    if (!root) return err_set(e, ERR_FAILED, "out of memory");
    if (root->kind != YAML_MAP) {
        cfg_mistake(l, root, "a configuration is a group of keys ('key: value' lines), not %s",
                    root->kind == YAML_LIST ? "a list" : "a single value");
        return 0;
    }
    for (int i = 0; i < nsets; i++)
        cfg_merge(l, fields, root, &sets[i]);
    cfg_bind(l, fields, conf, root, root, "", NULL);
    return 0;
}

struct cfg *cfg_build(const struct cfg_field *fields, void *conf, const char *name,
                      const char *text, size_t len, const struct cfg_set *sets, int nsets,
                      struct err *e)
{
    struct cfg *c = mem_new(1, sizeof *c, e);
    if (!c) return NULL;
    struct cfg_load l = {.cfg = c, .arena = &c->arena, .fields = fields};
    char *own = name ? arena_text(&c->arena, name, strlen(name)) : NULL;
    int failed = 0;
    if (name && !own)
        failed = err_set(e, ERR_FAILED, "out of memory");
    else
        failed = load(&l, fields, conf, own, text, len, sets, nsets, e);
    if (!failed && l.no_memory) failed = err_set(e, ERR_FAILED, "%s: out of memory", name);
    if (!failed && l.mistakes > l.shown)
        failed = err_set(e, ERR_CONFIG, "%s\nand %d more", l.text, l.mistakes - l.shown);
    else if (!failed && l.mistakes)
        failed = err_set(e, ERR_CONFIG, "%s", l.text);
    if (!failed) return c;
    cfg_free(c);
    return NULL;
}

int cfg_split_set(struct arena *a, struct cfg_set *s, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');
    char q[CFG_QUOTE];
    if (!equals || equals == text)
        return err_set(e, ERR_USAGE, "--set wants KEY=VALUE, not '%s'", cfg_quote(q, text));
    *s = (struct cfg_set){.value = equals + 1};
    s->key = arena_text(a, text, (size_t)(equals - text));
    s->name = arena_print(a, "--set %s", text);
    return s->key && s->name ? 0 : err_set(e, ERR_FAILED, "out of memory");
}

/* All `sets` taken apart; NULL with the error set. */
static struct cfg_set *split_sets(struct arena *a, const char *const *sets, int n, struct err *e)
{
    struct cfg_set *s = arena_new(a, (size_t)(n + 1) * sizeof *s);
    if (!s) err_set(e, ERR_FAILED, "out of memory");
    for (int i = 0; s && i < n; i++)
        if (cfg_split_set(a, &s[i], sets[i], e)) return NULL;
    return s;
}

struct cfg *cfg_parse(const struct cfg_field *fields, void *conf, const char *name,
                      const char *text, size_t len, const char *const *sets, int nsets,
                      struct err *e)
{
    struct arena a = {0};
    const struct cfg_set *s = split_sets(&a, sets, nsets, e);
    struct cfg *c = s ? cfg_build(fields, conf, name, text, len, s, nsets, e) : NULL;
    arena_release(&a);
    return c;
}

struct cfg *cfg_load_sets(const struct cfg_field *fields, void *conf, const char *path,
                          const struct cfg_set *sets, int nsets, struct err *e)
{
    struct err why = {0};
    size_t len = 0;
    char *text = path ? io_read_text(path, CFG_MAX_BYTES, &len, &why) : NULL;
    if (path && !text) {
        err_set(e, why.code == ERR_DATA ? ERR_CONFIG : why.code, "%s", why.text);
        return NULL;
    }
    struct cfg *c = cfg_build(fields, conf, path, text, len, sets, nsets, e);
    mem_free(text);
    return c;
}

struct cfg *cfg_load(const struct cfg_field *fields, void *conf, const char *path,
                     const char *const *sets, int nsets, struct err *e)
{
    struct arena a = {0};
    const struct cfg_set *s = split_sets(&a, sets, nsets, e);
    struct cfg *c = s ? cfg_load_sets(fields, conf, path, s, nsets, e) : NULL;
    arena_release(&a);
    return c;
}

void cfg_free(struct cfg *c)
{
    if (!c) return;
    arena_release(&c->arena);
    mem_free(c);
}

const char *cfg_where(const struct cfg *c, const char *key)
{
    for (const struct cfg_place *p = c->places; p; p = p->next)
        if (strcmp(p->key, key) == 0) return p->where;
    return "default";
}
