#include "train/tfevents.h"

#include "base/io.h"
#include "base/mem.h"
#include "train/tfrecord.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST_PICTURE = 1 << 28, HEAD = 256 };

struct tfevents {
    FILE *out;
    char path[1200];
};

/* ---- protocol buffers: a message under construction, of bounded size ---- */

struct message {
    unsigned char byte[HEAD];
    size_t len;
};

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_bytes(struct message *m, const void *x, size_t n)
{
    if (n > sizeof m->byte - m->len) n = sizeof m->byte - m->len; /* tags are cut to fit: put_tag */
    memcpy(m->byte + m->len, x, n);
    m->len += n;
}

static void put_varint(struct message *m, uint64_t v)
{
    unsigned char out[10];
    size_t n = 0;
    for (; v > 127; v >>= 7)
        out[n++] = (unsigned char)(v | 128);
    out[n++] = (unsigned char)v;
    put_bytes(m, out, n);
}

static void put_key(struct message *m, unsigned field, enum wire wire)
{
    put_varint(m, field << 3 | (unsigned)wire);
}

static void put_int(struct message *m, unsigned field, uint64_t v)
{
    put_key(m, field, VARINT);
    put_varint(m, v);
}

/* Little-endian, whatever the machine. */
static void put_fixed(struct message *m, uint64_t bits, int bytes)
{
    unsigned char out[8];
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(bits >> 8 * i);
    put_bytes(m, out, (size_t)bytes);
}

static void put_double(struct message *m, unsigned field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(m, field, FIXED64);
    put_fixed(m, bits, 8);
}

static void put_float(struct message *m, unsigned field, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_key(m, field, FIXED32);
    put_fixed(m, bits, 4);
}

/* A field of bytes of which `inside` come next; a message in a message is one. */
static void put_length(struct message *m, unsigned field, size_t inside)
{
    put_key(m, field, BYTES);
    put_varint(m, inside);
}

static void put_tag(struct message *m, unsigned field, const char *text)
{
    size_t n = strnlen(text, HEAD / 4);
    put_length(m, field, n);
    put_bytes(m, text, n);
}

/* ---- records ---- */

/* One record: the event `head`, of which `tail` are the last bytes. Flushed, so that a reader that
 * follows the file sees it, and what a kill can lose is one record. */
static int write_record(struct tfevents *t, const struct message *head, const void *tail,
                        size_t tail_len, struct err *e)
{
    if (!tfrecord_write(t->out, head->byte, head->len, tail, tail_len) && !fflush(t->out)) return 0;
    return err_set(e, ERR_IO, "%s: cannot be written: %s", t->path, strerror(errno));
}

static struct message event(uint64_t step)
{
    struct message m = {0};
    struct timeval now;
    gettimeofday(&now, NULL);
    put_double(&m, 1, (double)now.tv_sec + 1e-6 * (double)now.tv_usec);
    put_int(&m, 2, step);
    return m;
}

static int write_head(struct tfevents *t, uint64_t first_step, struct err *e)
{
    struct message version = event(0), start = event(first_step);
    put_tag(&version, 3, "brain.Event:2");
    put_length(&start, 7, 2); /* SessionLog of two bytes: */
    put_int(&start, 1, 1);
    return write_record(t, &version, NULL, 0, e) || write_record(t, &start, NULL, 0, e) ? -1 : 0;
}

/* Readers take the files of a folder in the order of their names; these count the seconds, and
 * starts within one second. */
static FILE *create(char *path, size_t size, const char *dir, struct err *e)
{
    for (int turn = 0; turn < 1000; turn++) {
        if (io_path(path, size, e, "%s/events.out.tfevents.%010lld.%03d.ssfd", dir,
                    (long long)time(NULL), turn))
            return NULL;
        FILE *f = fopen(path, "wbx");
        if (f) return f;
        if (errno != EEXIST) break;
    }
    err_set(e, ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    return NULL;
}

struct tfevents *tfevents_open(const char *dir, uint64_t first_step, struct err *e)
{
    struct tfevents *t = mem_new(1, sizeof *t, e);
    if (!t) return NULL;
    t->out = create(t->path, sizeof t->path, dir, e);
    if (t->out && write_head(t, first_step, e) == 0) return t;
    tfevents_close(t);
    return NULL;
}

void tfevents_close(struct tfevents *t)
{
    if (!t) return;
    if (t->out) fclose(t->out);
    mem_free(t);
}

int tfevents_scalar(struct tfevents *t, uint64_t step, const char *name, double value,
                    struct err *e)
{
    if (!isfinite(value)) return 0;
    struct message scalar = {0}, summary = {0}, m = event(step);
    put_tag(&scalar, 1, name);
    put_float(&scalar, 2, (float)value);
    put_length(&summary, 1, scalar.len);
    put_bytes(&summary, scalar.byte, scalar.len);
    put_length(&m, 5, summary.len);
    return write_record(t, &m, summary.byte, summary.len, e);
}

/* Width and height of a PNG stand at fixed places (PNG specification 11.2.2). */
static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int tfevents_picture(struct tfevents *t, uint64_t step, const char *name, const void *png,
                     size_t len, struct err *e)
{
    const unsigned char *p = png;
    if (len < 33 || memcmp(p, "\x89PNG\r\n\x1a\n", 8) != 0 || memcmp(p + 12, "IHDR", 4) != 0)
        return err_set(e, ERR_DATA, "the picture '%s' is not a PNG", name);
    if (len > LARGEST_PICTURE)
        return err_set(e, ERR_DATA, "the picture '%s' has %zu bytes, more than %d", name, len,
                       LARGEST_PICTURE);
    struct message image = {0}, value = {0}, summary = {0}, m = event(step);
    put_int(&image, 1, big_endian(p + 20));
    put_int(&image, 2, big_endian(p + 16));
    put_int(&image, 3, 1);
    put_length(&image, 4, len); /* the bytes follow as the tail of the record */
    put_tag(&value, 1, name);
    put_length(&value, 4, image.len + len);
    put_length(&summary, 1, value.len + image.len + len);
    put_length(&m, 5, summary.len + value.len + image.len + len);
    put_bytes(&m, summary.byte, summary.len);
    put_bytes(&m, value.byte, value.len);
    put_bytes(&m, image.byte, image.len);
    return write_record(t, &m, png, len, e);
}
