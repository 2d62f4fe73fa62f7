/* The reference that --help prints: three columns, key, default and meaning. */
#include "base/cfg_private.h"
#include "base/num.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

enum { WIDTH = 100, KEY_MAX = 34, DEFAULT_WIDTH = 12, GAP = 2 };

struct help {
    FILE *out;
    struct arena *arena; /* of dotted paths; without memory the text ends early */
    int key_width;
    const char *positional; /* not NULL: keys are shown as options, this one as the argument */
};

static const char *range_text(char *out, size_t size, const struct cfg_field *f, const char *what)
{
    char low[NUM_TEXT], high[NUM_TEXT];
    const double most = f->type == CFG_TYPE_REAL || f->type == CFG_TYPE_REALS ? 1e30 : INT_MAX;
    const char *space = *f->unit ? " " : "";
    num_shortest(low, f->min);
    num_shortest(high, f->max);
    if (f->max < most && f->min > -most)
        snprintf(out, size, "%s, %s to %s%s%s", what, low, high, space, f->unit);
    else if (f->min > -most)
        snprintf(out, size, "%s, at least %s%s%s", what, low, space, f->unit);
    else if (f->max < most)
        snprintf(out, size, "%s, at most %s%s%s", what, high, space, f->unit);
    else
        snprintf(out, size, "%s%s%s", what, space, f->unit);
    return out;
}

const char *cfg_type_text(char out[CFG_TYPE_TEXT_MAX], const struct cfg_field *f)
{
    const size_t size = CFG_TYPE_TEXT_MAX;
    switch (f->type) {
    case CFG_TYPE_BOOL:
        snprintf(out, size, "true or false");
        break;
    case CFG_TYPE_INT:
        return range_text(out, size, f, "whole number");
    case CFG_TYPE_U64:
        snprintf(out, size, "whole number");
        break;
    case CFG_TYPE_REAL:
        return range_text(out, size, f, "number");
    case CFG_TYPE_INTS:
        return range_text(out, size, f, "list of whole numbers");
    case CFG_TYPE_REALS:
        return range_text(out, size, f, "list of numbers");
    case CFG_TYPE_TEXTS:
        snprintf(out, size, "list of texts");
        break;
    case CFG_TYPE_CHOICE:
        for (int i = 0, used = 0; f->choices[i] && (size_t)used < size; i++)
            used += snprintf(out + used, size - (size_t)used, "%s%s", i ? ", " : "one of ",
                             f->choices[i]);
        break;
    case CFG_TYPE_PICK:
        snprintf(out, size, "one of the kinds below");
        break;
    case CFG_TYPE_PICKS:
        snprintf(out, size, "any of the kinds below");
        break;
    default:
        snprintf(out, size, "text");
        break;
    }
    return out;
}

/* Prints a line of text from column `at` on, broken between words and indented there. */
static void wrap(FILE *out, int at, const char *text)
{
    int column = at;
    while (*text && *text != '\n') {
        const int word = (int)strcspn(text, " \n");
        const bool start = column == at;
        if (!start && column + 1 + word > WIDTH) {
            fprintf(out, "\n%*s", at, "");
            column = at;
        } else if (!start) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void cfg_help_text(const char *text, FILE *out)
{
    while (*text) {
        const size_t len = strcspn(text, "\n");
        if (len > WIDTH)
            wrap(out, 0, text);
        else
            fprintf(out, "%.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* One cell that starts at column `at` and after which the column `next` begins; a cell too long
 * for its column pushes the rest to a new line. */
static void cell(FILE *out, const char *text, int at, int next)
{
    const int len = (int)strlen(text);
    fputs(text, out);
    if (at + len + GAP > next)
        fprintf(out, "\n%*s", next, "");
    else
        fprintf(out, "%*s", next - at - len, "");
}

/* The name of a key as people type it: "a.b_c" in a file, "--a.b-c" as an option. */
static void name_text(const struct help *h, char *out, size_t size, const char *path)
{
    const bool argument = h->positional && strcmp(path, h->positional) == 0;
    snprintf(out, size, "%s%s", h->positional && !argument ? "--" : "", path);
    for (char *p = out; h->positional && *p; p++) {
        if (argument) *p = (char)toupper((unsigned char)*p);
        if (*p == '_') *p = '-';
    }
}

static void row(const struct help *h, int indent, const char *key, const char *def,
                const char *meaning)
{
    const int second = h->key_width + GAP, third = second + DEFAULT_WIDTH + GAP;
    char name[300];
    fprintf(h->out, "%*s", indent, "");
    name_text(h, name, sizeof name, key);
    cell(h->out, name, indent, second);
    cell(h->out, def, second, third);
    wrap(h->out, third, meaning);
}

static void show(const struct help *h, const struct cfg_field *fields, int indent,
                 const char *prefix);

static void show_kinds(const struct help *h, const struct cfg_field *f, int indent,
                       const char *path)
{
    const bool many = f->type == CFG_TYPE_PICKS;
    for (int i = 0; f->kinds[i]; i++) {
        const struct cfg_kind *kind = f->kinds[i];
        const char *between = many ? "." : h->positional ? ".kind " : ".kind: ";
        const char *name = arena_print(h->arena, "%s%s%s", path, between, kind->name);
        const char *prefix = arena_print(h->arena, many ? "%s.%s." : "%s.", path, kind->name);
        if (!name || !prefix) return;
        row(h, indent, name, "", kind->help ? kind->help : "");
        show(h, kind->fields, indent + 2, prefix);
    }
}

static void show(const struct help *h, const struct cfg_field *fields, int indent,
                 const char *prefix)
{
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        char type[CFG_TYPE_TEXT_MAX], meaning[1024];
        const char *path = arena_print(h->arena, "%s%s", prefix, f->key);
        const char *below = arena_print(h->arena, "%s%s.", prefix, f->key);
        if (!path || !below) return;
        const bool group = f->type == CFG_TYPE_GROUP;
        if (group || (f > fields && f[-1].type == CFG_TYPE_GROUP)) fputc('\n', h->out);
        if (f->type == CFG_TYPE_ANY) {
            row(h, indent, path, "", f->help);
            continue;
        }
        if (group) {
            row(h, indent, path, "", f->help);
            show(h, f->group, indent, below);
            continue;
        }
        snprintf(meaning, sizeof meaning, "%s (%s)", f->help, cfg_type_text(type, f));
        row(h, indent, path, !f->def ? "required" : *f->def ? f->def : "\"\"", meaning);
        if (f->kinds) show_kinds(h, f, indent + 2, path);
    }
}

/* The widest key of a table whose keys start at column `before`. */
static int widest(const struct cfg_field *fields, int before)
{
    int most = 0;
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        const int len = before + (int)strlen(f->key);
        int w = f->group ? widest(f->group, len + 1) : len;
        for (int i = 0; f->kinds && f->kinds[i]; i++) {
            const bool many = f->type == CFG_TYPE_PICKS;
            const int name = (int)strlen(f->kinds[i]->name);
            const int title = len + 2 + (many ? 1 : (int)strlen(".kind: ")) + name;
            const int below = widest(f->kinds[i]->fields, len + 4 + (many ? name + 2 : 1));
            w = title > w ? title : w;
            w = below > w ? below : w;
        }
        most = w > most ? w : most;
    }
    return most > KEY_MAX ? KEY_MAX : most;
}

void cfg_help_options(const struct cfg_field *fields, const char *positional, FILE *out)
{
    struct arena arena = {0};
    const struct help h = {.out = out,
                           .arena = &arena,
                           .key_width = widest(fields, positional ? 2 : 0),
                           .positional = positional};
    show(&h, fields, 0, "");
    arena_release(&arena);
}

void cfg_help(const struct cfg_field *fields, FILE *out)
{
    cfg_help_options(fields, NULL, out);
}
