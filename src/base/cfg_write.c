#include "base/cfg_private.h"
#include "base/num.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static void write_fields(const struct cfg_field *fields, const char *conf, int indent, FILE *out);

/* Text that YAML reads back as it stands, and that no person takes for anything but text. */
static bool is_plain(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    if (!isascii(*s) || (!isalpha((unsigned char)*s) && *s != '/')) return false;
    for (const char *p = s; *p; p++)
        if (!isascii(*p) || (!isalnum((unsigned char)*p) && !strchr("_./-+", *p))) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(s, words[i]) == 0) return false;
    return true;
}

/* The code point at s and its length in bytes; what is not UTF-8 counts as one byte. */
static uint32_t code_point(const unsigned char *s, int *bytes)
{
    const int n = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : *s >= 0xc2 ? 2 : 0;
    uint32_t c = n <= 1 ? *s : *s & (0xffU >> (n + 1));
    *bytes = 1;
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return *s;
        c = c << 6 | (s[i] & 0x3fU);
    }
    if (n) *bytes = n;
    return c;
}

static void write_text(const char *text, FILE *out)
{
    if (!text) text = "";
    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    int bytes;
    for (const unsigned char *p = (const unsigned char *)text; *p; p += bytes) {
        const uint32_t c = code_point(p, &bytes);
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", (int)c);
        else if (c == '\n' || c == '\t')
            fputs(c == '\n' ? "\\n" : "\\t", out);
        else if (c >= 0x20 && c < 0x7f)
            fputc((int)c, out);
        else if (c > 0xffff)
            fprintf(out, "\\U%08" PRIX32, c); /* escaped: YAML takes some of them for line ends */
        else if (c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && c < 0xfffe && bytes > 1)
            fwrite(p, 1, (size_t)bytes, out);
        else
            fprintf(out, "\\u%04" PRIX32, c);
    }
    fputc('"', out);
}

static void write_list(const struct cfg_field *f, const void *v, FILE *out)
{
    char number[NUM_TEXT];
    const struct cfg_ints *ints = v;
    const struct cfg_reals *reals = v;
    const struct cfg_texts *texts = v;
    const int n = f->type == CFG_TYPE_INTS    ? ints->n
                  : f->type == CFG_TYPE_REALS ? reals->n
                                              : texts->n;
    fputc('[', out);
    for (int i = 0; i < n; i++) {
        if (i) fputs(", ", out);
        if (f->type == CFG_TYPE_INTS)
            fprintf(out, "%d", ints->v[i]);
        else if (f->type == CFG_TYPE_REALS)
            fputs(num_shortest(number, reals->v[i]), out);
        else
            write_text(texts->v[i], out);
    }
    fputc(']', out);
}

static void write_picks(const struct cfg_picks *picks, int indent, FILE *out)
{
    if (picks->n == 0) {
        fputs(" {}\n", out);
        return;
    }
    fputc('\n', out);
    for (int i = 0; i < picks->n; i++) {
        const struct cfg_kind *kind = picks->v[i].kind;
        const bool empty = cfg_count(kind->fields) == 0;
        fprintf(out, "%*s%s:%s\n", indent, "", kind->name, empty ? " {}" : "");
        write_fields(kind->fields, picks->v[i].conf, indent + 2, out);
    }
}

static void write_scalar(const struct cfg_field *f, const void *v, FILE *out)
{
    char number[NUM_TEXT];
    switch (f->type) {
    case CFG_TYPE_BOOL:
        fputs(*(const bool *)v ? "true" : "false", out);
        break;
    case CFG_TYPE_INT:
        fprintf(out, "%d", *(const int *)v);
        break;
    case CFG_TYPE_U64:
        fprintf(out, "%" PRIu64, *(const uint64_t *)v);
        break;
    case CFG_TYPE_REAL:
        fputs(num_shortest(number, *(const double *)v), out);
        break;
    case CFG_TYPE_TEXT:
        write_text(*(const char *const *)v, out);
        break;
    case CFG_TYPE_CHOICE:
        write_text(f->choices[*(const int *)v], out);
        break;
    default:
        write_list(f, v, out);
        break;
    }
}

static void write_fields(const struct cfg_field *fields, const char *conf, int indent, FILE *out)
{
    for (const struct cfg_field *f = fields; f && f->key; f++) {
        const void *v = conf + f->offset;
        if (f->type == CFG_TYPE_ANY) continue;
        fprintf(out, "%*s%s:", indent, "", f->key);
        if (f->type == CFG_TYPE_GROUP) {
            fputs(cfg_count(f->group) ? "\n" : " {}\n", out);
            write_fields(f->group, v, indent + 2, out);
        } else if (f->type == CFG_TYPE_PICK) {
            const struct cfg_pick *pick = v;
            fprintf(out, "\n%*skind: %s\n", indent + 2, "", pick->kind->name);
            write_fields(pick->kind->fields, pick->conf, indent + 2, out);
        } else if (f->type == CFG_TYPE_PICKS) {
            write_picks(v, indent + 2, out);
        } else {
            fputc(' ', out);
            write_scalar(f, v, out);
            fputc('\n', out);
        }
    }
}

int cfg_write(const struct cfg_field *fields, const void *conf, FILE *out)
{
    write_fields(fields, conf, 0, out);
    return ferror(out) ? -1 : 0;
}
