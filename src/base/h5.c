#include "base/h5.h"

#include "base/h5_private.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_TEXT = 64 << 20, /* bytes of one string: a larger one is a damaged length field */
    MAX_ELEMENT = 64,    /* bytes of one number, real or complex */
};

_Static_assert(sizeof(hid_t) == sizeof(int64_t), "h5_private.h takes identifiers to be of 64 bits");

/* ---- HDF5's errors become ours ----------------------------------------------------------- */

/* After a failed write on a full disk the library's own clean-up at exit crashes; every file is
 * closed here before, so nothing needs it. */
static void no_exit_handler(void)
{
    H5dont_atexit();
}

/* The library prints its errors unless told not to, once for each thread. */
void h5_hush(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, no_exit_handler);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t take_innermost(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n != 0 || !entry->desc) return 0;
    /* Of what the system said, its words; the rest, two lines of addresses, is for the library. */
    static const char says[] = "error message = '";
    const char *words = strstr(entry->desc, says);
    const char *from = words ? words + strlen(says) : entry->desc;
    snprintf(text, 512, "%.*s", words ? (int)strcspn(from, "'") : 511, from);
    return 0;
}

/* "path: dataset 'x' <what>: <the library's innermost reason>". Always -1. */
static int lib_fail(struct err *e, enum err_code code, const struct h5 *f, const char *name,
                    const char *what)
{
    char why[512] = "the HDF5 library gives no reason";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, why);
    H5Eclear2(H5E_DEFAULT);
    if (name) return err_set(e, code, "%s: '%s' %s: %s", f->path, name, what, why);
    return err_set(e, code, "%s: %s: %s", f->path, what, why);
}

int h5_read_fail(struct err *e, const struct h5 *f, const char *name)
{
    lib_fail(e, ERR_DATA, f, name, "cannot be read");
    return err_hint(e, "the file may be damaged; copy or download it again and compare its size");
}

/* ---- Files ------------------------------------------------------------------------------- */

static struct h5 *h5_new(const char *path, struct err *e)
{
    h5_hush();
    hbool_t safe = false; /* readers of two sets and the writer of checkpoints share the library */
    if (H5is_library_threadsafe(&safe) < 0 || !safe) {
        err_set(e, ERR_FAILED, "the HDF5 library was built without thread safety");
        return NULL;
    }
    struct h5 *f = mem_new(1, sizeof *f, e);
    if (!f) return NULL;
    f->file = -1;
    size_t len = strlen(path) + 1;
    f->path = mem_new(len, 1, e);
    if (!f->path) {
        mem_free(f);
        return NULL;
    }
    memcpy(f->path, path, len);
    return f;
}

/* Locks fail on some network file systems and protect nothing here: new files are private until
 * they are renamed, finished ones are never changed. */
static hid_t file_access(void)
{
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    if (fapl >= 0) H5Pset_file_locking(fapl, false, true);
#endif
    return fapl;
}

/* Says what is wrong with a path before HDF5 sees it. */
static int check_path(const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    int bad = fstat(fd, &st);
    close(fd);
    if (bad) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return err_set(e, ERR_NOINPUT, "%s: is a folder, not a file", path);
    if (!S_ISREG(st.st_mode)) return err_set(e, ERR_NOINPUT, "%s: is not a regular file", path);
    if (st.st_size == 0) {
        err_set(e, ERR_DATA, "%s: the file is empty", path);
        return err_hint(e, "a download or a copy was probably interrupted; repeat it");
    }
    if (H5Fis_hdf5(path) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        err_set(e, ERR_DATA, "%s: is not an HDF5 file", path);
        return err_hint(e, "an HDF5 file starts with the bytes \\x89HDF; look at this one with "
                           "'file' or 'head -c 200'");
    }
    return 0;
}

struct h5 *h5_open(const char *path, struct err *e)
{
    struct h5 *f = h5_new(path, e);
    if (!f) return NULL;
    if (check_path(path, e)) {
        h5_close(f);
        return NULL;
    }
    hid_t fapl = file_access();
    f->file = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    if (f->file < 0) lib_fail(e, ERR_DATA, f, NULL, "cannot be opened as HDF5");
    H5Pclose(fapl); /* clears the library's errors, as every call does */
    if (f->file < 0) {
        if (e && strstr(e->text, "truncated"))
            err_hint(e, "the file is shorter than its own header says: a download or copy was cut "
                        "off; repeat it");
        else
            err_hint(e, "the file may be damaged; copy or download it again");
        h5_close(f);
        return NULL;
    }
    return f;
}

struct h5 *h5_create(const char *path, struct err *e)
{
    struct h5 *f = h5_new(path, e);
    if (!f) return NULL;
    size_t room = strlen(path) + 32;
    char *temp = mem_new(room, 1, e);
    if (!temp) goto fail;
    /* Named by process: two programs that make the same file do not write into one another. */
    snprintf(temp, room, "%s.%ld.tmp", path, (long)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        err_set(e, ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
        mem_free(temp);
        goto fail;
    }
    close(fd);
    f->temp = temp;
    hid_t fapl = file_access();
    f->file = H5Fcreate(temp, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    if (f->file < 0) lib_fail(e, ERR_IO, f, NULL, "cannot be created");
    H5Pclose(fapl);
    if (f->file >= 0) return f;
fail:
    h5_close(f);
    return NULL;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return -1;
    int bad = fsync(fd), why = errno;
    close(fd);
    errno = why;
    return bad;
}

/* The rename itself reaches the disk with its folder. Best effort: some file systems refuse it. */
static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash) {
        sync_path(".", O_RDONLY | O_DIRECTORY);
        return;
    }
    char keep = slash[1];
    slash[1] = '\0';
    sync_path(path, O_RDONLY | O_DIRECTORY);
    slash[1] = keep;
}

/* Every function here closes what it opened. Through this handle, that is: another thread may have
 * the same file open through one of its own. */
static bool all_closed(hid_t file)
{
    return H5Fget_obj_count(file, H5F_OBJ_LOCAL | H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_ATTR) ==
           0;
}

int h5_commit(struct h5 *f, struct err *e)
{
    h5_hush();
    assert(f->temp && f->file >= 0 && all_closed(f->file));
    if (H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0)
        return lib_fail(e, ERR_IO, f, NULL, "cannot be written");
    herr_t closed = H5Fclose(f->file);
    f->file = -1;
    if (closed < 0) return lib_fail(e, ERR_IO, f, NULL, "cannot be written");
    if (sync_path(f->temp, O_RDWR))
        return err_set(e, ERR_IO, "%s: cannot be written to disk: %s", f->path, strerror(errno));
    if (rename(f->temp, f->path))
        return err_set(e, ERR_IO, "%s: cannot be put in place: %s", f->path, strerror(errno));
    sync_folder(f->path);
    mem_free(f->temp);
    f->temp = NULL;
    return 0;
}

void h5_close(struct h5 *f)
{
    if (!f) return;
    h5_hush();
    assert(f->file < 0 || all_closed(f->file));
    if (f->file >= 0) H5Fclose(f->file);
    if (f->temp) unlink(f->temp);
    mem_free(f->temp);
    mem_free(f->path);
    mem_free(f);
}

const char *h5_path(const struct h5 *f)
{
    return f->path;
}

/* ---- Types and shapes -------------------------------------------------------------------- */

/* Does a member lie inside its compound, which in a damaged file it may not? The library does not
 * look. */
static bool is_inside(hid_t t, int member)
{
    hid_t m = H5Tget_member_type(t, (unsigned)member);
    size_t size = m >= 0 ? H5Tget_size(m) : 0, whole = H5Tget_size(t);
    size_t at = H5Tget_member_offset(t, (unsigned)member);
    if (m >= 0) H5Tclose(m);
    return size && size <= whole && at <= whole - size;
}

/* The names of a complex number's parts in type `t`, NULL where it is not one. */
static const char *const *complex_parts(hid_t t)
{
    static const char *const names[][2] = {{"r", "i"}, {"real", "imag"}};
    if (H5Tget_class(t) != H5T_COMPOUND || H5Tget_nmembers(t) != 2) return NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        int re = H5Tget_member_index(t, names[k][0]), im = H5Tget_member_index(t, names[k][1]);
        if (re < 0 || im < 0) continue;
        if (is_inside(t, re) && is_inside(t, im) &&
            H5Tget_member_class(t, (unsigned)re) == H5T_FLOAT &&
            H5Tget_member_class(t, (unsigned)im) == H5T_FLOAT)
            return names[k];
    }
    H5Eclear2(H5E_DEFAULT);
    return NULL;
}

static enum h5_type type_of(hid_t t)
{
    /* A damaged size field would make the library convert through buffers of gigabytes. */
    if (H5Tget_class(t) != H5T_STRING && H5Tget_size(t) > MAX_ELEMENT) return H5_OTHER;
    switch (H5Tget_class(t)) {
    case H5T_FLOAT:
        return H5Tget_size(t) > sizeof(float) ? H5_F64 : H5_F32;
    case H5T_INTEGER:
        return H5_INT;
    case H5T_ENUM:
        return H5_INT; /* numpy's booleans */
    case H5T_STRING:
        return H5_TEXT;
    case H5T_COMPOUND:
        return complex_parts(t) ? H5_C64 : H5_OTHER;
    default:
        return H5_OTHER;
    }
}

static hid_t complex_type(const char *const *parts)
{
    hid_t t = H5Tcreate(H5T_COMPOUND, sizeof(float complex));
    H5Tinsert(t, parts[0], 0, H5T_NATIVE_FLOAT);
    H5Tinsert(t, parts[1], sizeof(float), H5T_NATIVE_FLOAT);
    return t;
}

static const char *type_name(enum h5_type t)
{
    static const char *const names[] = {
        "of an unknown type", "real (float32)", "real (float64)", "complex", "integer", "text"};
    return names[t];
}

/* "(1, 16, 128, 128)" */
static const char *shape_text(int rank, const int64_t *dim, char out[160])
{
    size_t n = (size_t)snprintf(out, 160, "(");
    for (int i = 0; i < rank; i++)
        n += (size_t)snprintf(out + n, 160 - n, i ? ", %lld" : "%lld", (long long)dim[i]);
    snprintf(out + n, 160 - n, ")");
    return out;
}

int64_t h5_open_dataset(const struct h5 *f, const char *name, struct err *e)
{
    h5_hush();
    if (!h5_has(f, name)) {
        err_set(e, ERR_DATA, "%s: dataset '%s' is missing", f->path, name);
        return -1;
    }
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (d < 0) lib_fail(e, ERR_DATA, f, name, "cannot be opened as a dataset");
    return d;
}

static int describe(const struct h5 *f, const char *name, hid_t d, struct h5_info *info,
                    struct err *e)
{
    *info = (struct h5_info){0};
    hid_t t = H5Dget_type(d), space = H5Dget_space(d);
    hsize_t dim[H5S_MAX_RANK];
    int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dim, NULL), rc = -1;
    if (t < 0 || rank < 0) {
        h5_read_fail(e, f, name);
    } else if (rank > H5_MAX_RANK) {
        err_set(e, ERR_DATA, "%s: dataset '%s' has %d dimensions, at most %d are supported",
                f->path, name, rank, H5_MAX_RANK);
    } else {
        info->type = type_of(t);
        info->rank = rank;
        rc = 0;
        for (int i = 0; i < rank; i++) {
            info->dim[i] = (int64_t)dim[i];
            if (dim[i] > INT64_MAX)
                rc = err_set(e, ERR_DATA, "%s: dataset '%s' has an impossible size", f->path, name);
        }
    }
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    return rc;
}

bool h5_has(const struct h5 *f, const char *name)
{
    h5_hush();
    bool yes = H5Oexists_by_name(f->file, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return yes;
}

int h5_describe(const struct h5 *f, const char *name, struct h5_info *info, struct err *e)
{
    hid_t d = h5_open_dataset(f, name, e);
    if (d < 0) return -1;
    int rc = describe(f, name, d, info, e);
    H5Dclose(d);
    return rc;
}

/* ---- Blocks of datasets ------------------------------------------------------------------ */

/* One block to move: the dataset, the element type, and both data spaces, all to be closed. */
struct block {
    hid_t set, type, file, memory;
    bool empty;
};

static void block_release(const struct block *b)
{
    if (b->memory > 0) H5Sclose(b->memory);
    if (b->file > 0) H5Sclose(b->file);
    if (b->type > 0) H5Tclose(b->type);
    if (b->set > 0) H5Dclose(b->set);
}

/* Is [start, start + count) inside a dataset of this shape, and its size addressable? */
static int check_block(const struct h5 *f, const char *name, const struct h5_info *info, int rank,
                       const int64_t *start, const int64_t *count, struct err *e)
{
    char has[160], want[160], at[160];
    bool ok = info->rank == rank;
    size_t bytes = sizeof(double complex);
    for (int i = 0; ok && i < rank; i++) {
        int64_t from = start ? start[i] : 0;
        ok = count[i] >= 0 && from >= 0 && from <= info->dim[i] &&
             count[i] <= info->dim[i] - from && (start || count[i] == info->dim[i]) &&
             !__builtin_mul_overflow(bytes, (size_t)count[i], &bytes);
    }
    if (ok) return 0;
    err_set(e, ERR_DATA, "%s: dataset '%s' has the shape %s, expected %s", f->path, name,
            shape_text(info->rank, info->dim, has), shape_text(rank, count, want));
    if (start) err_wrap(e, "block at %s", shape_text(rank, start, at));
    return -1;
}

static int block_prepare(struct block *b, const struct h5 *f, const char *name, int rank,
                         const int64_t *start, const int64_t *count, bool is_complex, struct err *e)
{
    *b = (struct block){0};
    assert(rank >= 0 && rank <= H5_MAX_RANK);
    b->set = h5_open_dataset(f, name, e);
    if (b->set < 0) return -1;
    struct h5_info info;
    if (describe(f, name, b->set, &info, e)) return -1;
    bool fits = is_complex ? info.type == H5_C64
                           : info.type == H5_F32 || info.type == H5_F64 || info.type == H5_INT;
    if (!fits)
        return err_set(e, ERR_DATA, "%s: dataset '%s' is %s, expected %s numbers", f->path, name,
                       type_name(info.type), is_complex ? "complex" : "real");
    if (check_block(f, name, &info, rank, start, count, e)) return -1;

    hsize_t from[H5_MAX_RANK], len[H5_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        from[i] = start ? (hsize_t)start[i] : 0;
        len[i] = (hsize_t)count[i];
        b->empty |= count[i] == 0;
    }
    hid_t stored = H5Dget_type(b->set);
    b->type = is_complex ? complex_type(complex_parts(stored)) : H5Tcopy(H5T_NATIVE_FLOAT);
    H5Tclose(stored);
    b->file = H5Dget_space(b->set);
    b->memory = H5Screate_simple(rank, len, NULL);
    bool bad = b->type < 0 || b->file < 0 || b->memory < 0;
    if (!bad && rank > 0 && !b->empty)
        bad = H5Sselect_hyperslab(b->file, H5S_SELECT_SET, from, NULL, len, NULL) < 0;
    return bad ? h5_read_fail(e, f, name) : 0;
}

static int read_block(const struct h5 *f, const char *name, int rank, const int64_t *start,
                      const int64_t *count, bool is_complex, void *out, struct err *e)
{
    struct block b;
    int rc = block_prepare(&b, f, name, rank, start, count, is_complex, e);
    if (rc == 0 && !b.empty && H5Dread(b.set, b.type, b.memory, b.file, H5P_DEFAULT, out) < 0)
        rc = h5_read_fail(e, f, name);
    block_release(&b);
    return rc;
}

static int write_block(struct h5 *f, const char *name, int rank, const int64_t *start,
                       const int64_t *count, bool is_complex, const void *x, struct err *e)
{
    struct block b;
    int rc = block_prepare(&b, f, name, rank, start, count, is_complex, e);
    if (rc == 0 && !b.empty && H5Dwrite(b.set, b.type, b.memory, b.file, H5P_DEFAULT, x) < 0)
        rc = lib_fail(e, ERR_IO, f, name, "cannot be written");
    block_release(&b);
    return rc;
}

int h5_read_f32(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float *out, struct err *e)
{
    return read_block(f, name, rank, start, count, false, out, e);
}

int h5_read_c64(const struct h5 *f, const char *name, int rank, const int64_t *start,
                const int64_t *count, float complex *out, struct err *e)
{
    return read_block(f, name, rank, start, count, true, out, e);
}

int h5_write_f32(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float *x, struct err *e)
{
    return write_block(f, name, rank, start, count, false, x, e);
}

int h5_write_c64(struct h5 *f, const char *name, int rank, const int64_t *start,
                 const int64_t *count, const float complex *x, struct err *e)
{
    return write_block(f, name, rank, start, count, true, x, e);
}

static int make_dataset(struct h5 *f, const char *name, hid_t type, hid_t space, hid_t *out,
                        struct err *e)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_obj_track_times(how, false); /* the same data gives the same bytes */
    *out = H5Dcreate2(f->file, name, type, space, links, how, H5P_DEFAULT);
    H5Pclose(links);
    H5Pclose(how);
    return *out < 0 ? lib_fail(e, ERR_IO, f, name, "cannot be made") : 0;
}

int h5_make(struct h5 *f, const char *name, enum h5_type type, int rank, const int64_t *dim,
            struct err *e)
{
    static const char *const parts[] = {"r", "i"};
    h5_hush();
    assert(rank >= 0 && rank <= H5_MAX_RANK);
    assert(type == H5_F32 || type == H5_F64 || type == H5_C64 || type == H5_INT);
    hsize_t len[H5_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        assert(dim[i] >= 0);
        len[i] = (hsize_t)dim[i];
    }
    hid_t t = type == H5_C64   ? complex_type(parts)
              : type == H5_F32 ? H5Tcopy(H5T_NATIVE_FLOAT)
              : type == H5_F64 ? H5Tcopy(H5T_NATIVE_DOUBLE)
                               : H5Tcopy(H5T_NATIVE_INT64);
    hid_t space = H5Screate_simple(rank, len, NULL), set = -1;
    int rc = make_dataset(f, name, t, space, &set, e);
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    H5Tclose(t);
    return rc;
}

/* ---- Text -------------------------------------------------------------------------------- */

static hid_t text_type(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, H5T_VARIABLE);
    H5Tset_cset(t, H5T_CSET_UTF8);
    return t;
}

/* Reads one string from dataset or attribute `id`. */
static herr_t read_raw(hid_t id, bool is_attr, hid_t type, void *out)
{
    return is_attr ? H5Aread(id, type, out) : H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
}

static char *read_fixed(hid_t id, bool is_attr, hid_t stored, struct err *e)
{
    size_t size = H5Tget_size(stored);
    if (size > MAX_TEXT) {
        err_set(e, ERR_DATA, "a text of %zu bytes is longer than the limit of %d", size, MAX_TEXT);
        return NULL;
    }
    char *text = mem_new(size + 1, 1, e);
    hid_t t = H5Tcopy(stored); /* keeps the character set, which HDF5 does not convert */
    H5Tset_size(t, size + 1);
    H5Tset_strpad(t, H5T_STR_NULLTERM);
    if (text && read_raw(id, is_attr, t, text) < 0) {
        err_set(e, ERR_DATA, "the text cannot be read");
        mem_free(text);
        text = NULL;
    }
    H5Tclose(t);
    return text;
}

/* libhdf5 1.10 itself may crash where a file's heap of such strings is damaged, so this program's
 * own files that must survive damage (caches, checkpoints) keep numbers instead. */
static char *read_variable(hid_t id, bool is_attr, hid_t stored, struct err *e)
{
    char *raw = NULL, *text = NULL;
    if (read_raw(id, is_attr, stored, &raw) < 0) {
        err_set(e, ERR_DATA, "the text cannot be read");
        return NULL;
    }
    size_t len = raw ? strlen(raw) : 0;
    text = mem_new(len + 1, 1, e);
    if (text && raw) memcpy(text, raw, len);
    H5free_memory(raw);
    return text;
}

static char *read_text(const struct h5 *f, const char *name, hid_t id, bool is_attr, struct err *e)
{
    char *text = NULL;
    hid_t t = is_attr ? H5Aget_type(id) : H5Dget_type(id);
    hid_t space = is_attr ? H5Aget_space(id) : H5Dget_space(id);
    if (t < 0 || space < 0 || H5Tget_class(t) != H5T_STRING)
        err_set(e, ERR_DATA, "is not text");
    else if (H5Sget_simple_extent_npoints(space) != 1)
        err_set(e, ERR_DATA, "is not a single text but a list");
    else
        text = H5Tis_variable_str(t) > 0 ? read_variable(id, is_attr, t, e)
                                         : read_fixed(id, is_attr, t, e);
    if (!text) err_wrap(e, "%s: %s '%s'", f->path, is_attr ? "attribute" : "dataset", name);
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    H5Eclear2(H5E_DEFAULT);
    return text;
}

char *h5_read_text(const struct h5 *f, const char *name, struct err *e)
{
    hid_t d = h5_open_dataset(f, name, e);
    if (d < 0) return NULL;
    char *text = read_text(f, name, d, false, e);
    H5Dclose(d);
    return text;
}

int h5_write_text(struct h5 *f, const char *name, const char *text, struct err *e)
{
    h5_hush();
    hid_t t = text_type(), space = H5Screate(H5S_SCALAR), set = -1;
    int rc = make_dataset(f, name, t, space, &set, e);
    if (rc == 0 && H5Dwrite(set, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) < 0)
        rc = lib_fail(e, ERR_IO, f, name, "cannot be written");
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    H5Tclose(t);
    return rc;
}

/* ---- Attributes -------------------------------------------------------------------------- */

bool h5_attr_has(const struct h5 *f, const char *on, const char *key)
{
    h5_hush();
    bool yes = H5Aexists_by_name(f->file, on, key, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return yes;
}

static hid_t open_attr(const struct h5 *f, const char *on, const char *key, struct err *e)
{
    if (!h5_attr_has(f, on, key)) {
        err_set(e, ERR_DATA, "%s: attribute '%s' of '%s' is missing", f->path, key, on);
        return -1;
    }
    hid_t a = H5Aopen_by_name(f->file, on, key, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0) h5_read_fail(e, f, key);
    return a;
}

static int read_number(const struct h5 *f, const char *on, const char *key, bool whole, hid_t type,
                       void *v, struct err *e)
{
    hid_t a = open_attr(f, on, key, e);
    if (a < 0) return -1;
    hid_t t = H5Aget_type(a), space = H5Aget_space(a);
    enum h5_type is = type_of(t);
    int rc = 0;
    if (!(is == H5_INT || (!whole && (is == H5_F32 || is == H5_F64))) ||
        H5Sget_simple_extent_npoints(space) != 1)
        rc = err_set(e, ERR_DATA, "%s: attribute '%s' of '%s' is not one %s number", f->path, key,
                     on, whole ? "whole" : "real");
    else if (H5Aread(a, type, v) < 0)
        rc = h5_read_fail(e, f, key);
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    H5Aclose(a);
    return rc;
}

int h5_attr_f64(const struct h5 *f, const char *on, const char *key, double *v, struct err *e)
{
    return read_number(f, on, key, false, H5T_NATIVE_DOUBLE, v, e);
}

int h5_attr_i64(const struct h5 *f, const char *on, const char *key, int64_t *v, struct err *e)
{
    return read_number(f, on, key, true, H5T_NATIVE_INT64, v, e);
}

char *h5_attr_text(const struct h5 *f, const char *on, const char *key, struct err *e)
{
    hid_t a = open_attr(f, on, key, e);
    if (a < 0) return NULL;
    char *text = read_text(f, key, a, true, e);
    H5Aclose(a);
    return text;
}

static int set_attr(struct h5 *f, const char *on, const char *key, hid_t type, const void *v,
                    struct err *e)
{
    if (h5_attr_has(f, on, key)) H5Adelete_by_name(f->file, on, key, H5P_DEFAULT);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t a =
        H5Acreate_by_name(f->file, on, key, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    int rc = 0;
    if (a < 0 || H5Awrite(a, type, v) < 0)
        rc = lib_fail(e, ERR_IO, f, key, "cannot be written as an attribute");
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    return rc;
}

int h5_set_attr_f64(struct h5 *f, const char *on, const char *key, double v, struct err *e)
{
    return set_attr(f, on, key, H5T_NATIVE_DOUBLE, &v, e);
}

int h5_set_attr_i64(struct h5 *f, const char *on, const char *key, int64_t v, struct err *e)
{
    return set_attr(f, on, key, H5T_NATIVE_INT64, &v, e);
}

int h5_set_attr_text(struct h5 *f, const char *on, const char *key, const char *v, struct err *e)
{
    hid_t t = text_type();
    int rc = set_attr(f, on, key, t, &v, e);
    H5Tclose(t);
    return rc;
}

/* ---- Listing ----------------------------------------------------------------------------- */

struct each {
    const struct h5 *f;
    int (*fn)(void *ctx, const char *name, const struct h5_info *info);
    void *ctx;
    struct err *e;
    bool failed;
};

static herr_t visit(hid_t group, const char *name, const H5L_info_t *link, void *arg)
{
    struct each *v = arg;
    if (link->type != H5L_TYPE_HARD) return 0;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) {
        v->failed = true;
        return h5_read_fail(v->e, v->f, name);
    }
    int rc = 0;
    if (H5Iget_type(object) == H5I_DATASET) {
        struct h5_info info;
        v->failed = describe(v->f, name, object, &info, v->e) != 0;
        rc = v->failed ? -1 : v->fn(v->ctx, name, &info) != 0;
    }
    H5Oclose(object);
    return rc;
}

int h5_each(const struct h5 *f, int (*fn)(void *ctx, const char *name, const struct h5_info *info),
            void *ctx, struct err *e)
{
    h5_hush();
    struct each v = {.f = f, .fn = fn, .ctx = ctx, .e = e};
    if (H5Lvisit(f->file, H5_INDEX_NAME, H5_ITER_INC, visit, &v) < 0 && !v.failed)
        return h5_read_fail(e, f, "/");
    return v.failed ? -1 : 0;
}
