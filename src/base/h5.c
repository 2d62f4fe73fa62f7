#include "base/h5.h"

#include "base/h5_private.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int h5_fail(struct err *e, enum err_code code, const struct h5 *f, const char *name,
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
    h5_fail(e, ERR_DATA, f, name, "cannot be read");
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
    if (f->file < 0) h5_fail(e, ERR_DATA, f, NULL, "cannot be opened as HDF5");
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
    if (f->file < 0) h5_fail(e, ERR_IO, f, NULL, "cannot be created");
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
        return h5_fail(e, ERR_IO, f, NULL, "cannot be written");
    herr_t closed = H5Fclose(f->file);
    f->file = -1;
    if (closed < 0) return h5_fail(e, ERR_IO, f, NULL, "cannot be written");
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

bool h5_has(const struct h5 *f, const char *name)
{
    h5_hush();
    bool yes = H5Oexists_by_name(f->file, name, H5P_DEFAULT) > 0;
    H5Eclear2(H5E_DEFAULT);
    return yes;
}
