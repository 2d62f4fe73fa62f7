#include "data/mrd_header.h"

#include "base/mem.h"
#include "base/num.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

enum { MAX_XML = 1 << 20, MAX_LEVELS = 64, MAX_PATH = 512, MAX_VALUE = 256 };
enum { MAX_MATRIX = 1 << 15, MAX_COUNTER = 65535 };

/* ---- The elements that are read -------------------------------------------------------------- */

struct element {
    const char *path;
    size_t offset;
    int min, max; /* of a number; max 0: text of `size` bytes */
    size_t size;
};
#define NUMBER(path, member, lo, hi)                                                               \
    {                                                                                              \
        path, offsetof(struct mrd_header, member), lo, hi, 0                                       \
    }
#define WORDS(path, member)                                                                        \
    {                                                                                              \
        path, offsetof(struct mrd_header, member), 0, 0, sizeof((struct mrd_header *)0)->member    \
    }
#define MATRIX(space, member)                                                                      \
    NUMBER("encoding/" space "/matrixSize/x", member[MRD_X], 1, MAX_MATRIX),                       \
        NUMBER("encoding/" space "/matrixSize/y", member[MRD_Y], 1, MAX_MATRIX),                   \
        NUMBER("encoding/" space "/matrixSize/z", member[MRD_Z], 1, MAX_MATRIX)
#define LIMITS(counter, member)                                                                    \
    NUMBER("encoding/encodingLimits/" counter "/minimum", member.minimum, 0, MAX_COUNTER),         \
        NUMBER("encoding/encodingLimits/" counter "/maximum", member.maximum, 0, MAX_COUNTER),     \
        NUMBER("encoding/encodingLimits/" counter "/center", member.centre, 0, MAX_COUNTER)

static const struct element elements[] = {
    MATRIX("encodedSpace", encoded),
    MATRIX("reconSpace", recon),
    LIMITS("kspace_encoding_step_1", step_1),
    LIMITS("kspace_encoding_step_2", step_2),
    WORDS("encoding/trajectory", trajectory),
    WORDS("measurementInformation/protocolName", protocol),
    WORDS("subjectInformation/patientID", patient),
};

/* ---- Walking ------------------------------------------------------------------------------- */

struct walk {
    XML_Parser parser;
    struct mrd_header *out;
    int level, encodings;
    char path[MAX_PATH];     /* below the root, "encoding/encodedSpace/…" */
    size_t ends[MAX_LEVELS]; /* of the path at each level */
    char value[MAX_VALUE];
    size_t used;
    char wrong[MAX_PATH + MAX_VALUE + 64]; /* why the walk was stopped */
};

static void stop(struct walk *w, const char *what, const char *detail)
{
    if (!w->wrong[0]) snprintf(w->wrong, sizeof w->wrong, "%s%s", what, detail);
    XML_StopParser(w->parser, XML_FALSE);
}

/* Names come as "namespace|name". */
static const char *local(const char *name)
{
    const char *bar = strrchr(name, '|');
    return bar ? bar + 1 : name;
}

static void on_start(void *ctx, const char *qualified, const char **attributes)
{
    (void)attributes;
    struct walk *w = ctx;
    const char *name = local(qualified);
    if (w->level == MAX_LEVELS) {
        stop(w, "elements are nested too deeply", "");
        return;
    }
    size_t at = w->level ? w->ends[w->level - 1] : 0, len = strlen(name);
    if (w->level == 0) { /* the root is not part of paths */
        if (strcmp(name, "ismrmrdHeader") != 0) stop(w, "the root is not ismrmrdHeader", "");
        len = 0;
    } else if (at + len + 2 > sizeof w->path) {
        stop(w, "names of elements are too long", "");
        return;
    } else {
        if (at) w->path[at++] = '/';
        memcpy(w->path + at, name, len);
    }
    w->path[at + len] = '\0';
    w->ends[w->level++] = at + len;
    w->used = 0;
    if (w->level == 2 && strcmp(w->path, "encoding") == 0) w->encodings++;
}

static void on_text(void *ctx, const char *text, int len)
{
    struct walk *w = ctx;
    size_t room = sizeof w->value - 1 - w->used, n = (size_t)len < room ? (size_t)len : room;
    memcpy(w->value + w->used, text, n);
    w->used += n;
}

static char *trimmed(char *text)
{
    static const char space[] = " \t\r\n";
    text += strspn(text, space);
    size_t n = strlen(text);
    while (n && strchr(space, text[n - 1]))
        n--;
    text[n] = '\0';
    return text;
}

static void store(struct walk *w, const struct element *el)
{
    char *to = (char *)w->out + el->offset, *text = trimmed(w->value);
    int64_t v;
    if (!el->max) {
        snprintf(to, el->size, "%s", text);
    } else if (num_whole(text, &v) && v >= el->min && v <= el->max) {
        *(int *)(void *)to = (int)v;
    } else {
        char what[MAX_VALUE + 64];
        snprintf(what, sizeof what, ": '%s' is not a whole number from %d to %d", text, el->min,
                 el->max);
        stop(w, w->path, what);
    }
}

static void on_end(void *ctx, const char *name)
{
    (void)name;
    struct walk *w = ctx;
    w->value[w->used] = '\0';
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strcmp(w->path, elements[i].path) == 0 &&
            (w->encodings <= 1 || strncmp(w->path, "encoding/", 9) != 0))
            store(w, elements + i);
    w->level--;
    w->path[w->level ? w->ends[w->level - 1] : 0] = '\0';
    w->used = 0;
}

/* Of encodings that expat does not know, such as Python's "ascii" or windows-1252, the characters
 * of ASCII are taken; the others, which are in no number or name here, become replacements. */
static int on_encoding(void *ctx, const char *name, XML_Encoding *info)
{
    (void)ctx, (void)name;
    for (int i = 0; i < 256; i++)
        info->map[i] = i < 128 ? i : 0xfffd;
    info->data = NULL;
    info->convert = NULL;
    info->release = NULL;
    return XML_STATUS_OK;
}

/* Entities are declared in a DOCTYPE only: without one, none can grow or fetch anything. */
static void on_doctype(void *ctx, const char *name, const char *system, const char *public,
                       int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(ctx, "a DOCTYPE, which no ISMRMRD header has, is refused", "");
}

/* Limits have all of minimum (by default 0), centre and maximum, in this order, or nothing. */
static int check_limit(const char *name, struct mrd_limit *l, struct err *e)
{
    if (l->maximum >= 0 && l->minimum < 0) l->minimum = 0;
    if (l->maximum < 0 || l->centre < 0) {
        *l = (struct mrd_limit){-1, -1, -1};
        return 0;
    }
    if (l->minimum <= l->centre && l->centre <= l->maximum) return 0;
    return err_set(e, ERR_DATA,
                   "encodingLimits/%s: minimum %d, center %d, maximum %d are not in "
                   "this order",
                   name, l->minimum, l->centre, l->maximum);
}

static int check_matrix(const char *name, const int size[3], struct err *e)
{
    if (!size[MRD_X] == !size[MRD_Y]) return 0;
    return err_set(e, ERR_DATA, "%s/matrixSize has one of x and y, not both", name);
}

int mrd_header_parse(struct mrd_header *h, const char *xml, size_t len, struct err *e)
{
    const struct mrd_limit unknown = {-1, -1, -1};
    *h = (struct mrd_header){.step_1 = unknown, .step_2 = unknown};
    if (len > MAX_XML)
        return err_set(e, ERR_DATA, "the header has %zu bytes, more than the limit of %d", len,
                       MAX_XML);
    struct walk *w = mem_new(1, sizeof *w, e);
    XML_Parser p = XML_ParserCreateNS(NULL, '|');
    int rc = w ? 0 : -1;
    if (!p) rc = err_set(e, ERR_FAILED, "out of memory");
    if (rc) goto out;
    w->parser = p;
    w->out = h;
    XML_SetUserData(p, w);
    XML_SetElementHandler(p, on_start, on_end);
    XML_SetCharacterDataHandler(p, on_text);
    XML_SetStartDoctypeDeclHandler(p, on_doctype);
    XML_SetUnknownEncodingHandler(p, on_encoding, NULL);
    if (XML_Parse(p, xml, (int)len, 1) != XML_STATUS_OK)
        rc = err_set(e, ERR_DATA, "line %lu: %s", (unsigned long)XML_GetCurrentLineNumber(p),
                     w->wrong[0] ? w->wrong : XML_ErrorString(XML_GetErrorCode(p)));
    else if (check_matrix("encodedSpace", h->encoded, e) ||
             check_matrix("reconSpace", h->recon, e) ||
             check_limit("kspace_encoding_step_1", &h->step_1, e) ||
             check_limit("kspace_encoding_step_2", &h->step_2, e))
        rc = -1;
out:
    if (p) XML_ParserFree(p);
    mem_free(w);
    return rc;
}
