#include "base/hash.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static const char HEAD[] = "\nxxh3-64 ";

uint64_t xxh_of(const void *x, size_t bytes)
{
    return XXH3_64bits(x, bytes);
}

struct xxh *xxh_new(struct err *e)
{
    XXH3_state_t *state = XXH3_createState();
    if (state && XXH3_64bits_reset(state) == XXH_OK) return (struct xxh *)state;
    XXH3_freeState(state);
    err_set(e, ERR_FAILED, "out of memory");
    return NULL;
}

void xxh_add(struct xxh *h, const void *x, size_t bytes)
{
    if (h) XXH3_64bits_update((XXH3_state_t *)h, x, bytes);
}

uint64_t xxh_result(const struct xxh *h)
{
    return XXH3_64bits_digest((const XXH3_state_t *)h);
}

void xxh_free(struct xxh *h)
{
    XXH3_freeState((XXH3_state_t *)h);
}

static int digest(FILE *f, const char *path, uint64_t len, char *chunk, size_t room,
                  XXH3_state_t *state, uint64_t *hash, struct err *e)
{
    uint64_t left = len;
    XXH3_64bits_reset(state);
    while (left > 0) {
        const size_t n = fread(chunk, 1, left < room ? (size_t)left : room, f);
        if (n == 0) break;
        XXH3_64bits_update(state, chunk, n);
        left -= n;
    }
    if (ferror(f)) return err_set(e, ERR_NOINPUT, "%s: cannot be read", path);
    if (len != UINT64_MAX && left > 0) return err_set(e, ERR_DATA, "%s: shorter than it was", path);
    *hash = XXH3_64bits_digest(state);
    return 0;
}

int hash_file(const char *path, uint64_t len, uint64_t *hash, struct err *e)
{
    enum { CHUNK = 1 << 20 };
    int rc = -1;
    FILE *f = fopen(path, "rb");
    char *chunk = mem_new(CHUNK, 1, e);
    XXH3_state_t *state = XXH3_createState();
    if (!f)
        err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    else if (!state)
        err_set(e, ERR_FAILED, "out of memory");
    else if (chunk)
        rc = digest(f, path, len, chunk, CHUNK, state, hash, e);
    XXH3_freeState(state);
    mem_free(chunk);
    if (f) fclose(f);
    return rc;
}

int seal_file(const char *path, struct err *e)
{
    uint64_t hash;
    char text[SEAL_BYTES + 1];
    if (hash_file(path, UINT64_MAX, &hash, e)) return -1;
    snprintf(text, sizeof text, "%s%016" PRIx64 "\n", HEAD, hash);
    const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool bad = fd < 0 || write(fd, text, SEAL_BYTES) != SEAL_BYTES || fsync(fd);
    const int why = errno;
    bad |= fd >= 0 && close(fd);
    return bad ? err_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(why)) : 0;
}

int seal_check(const char *path, uint64_t *hash, struct err *e)
{
    char text[SEAL_BYTES + 1] = "";
    uint64_t is, was;
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f) return err_set(e, ERR_NOINPUT, "%s: %s", path, strerror(errno));
    const bool found = fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) &&
                       st.st_size > SEAL_BYTES && fseek(f, -SEAL_BYTES, SEEK_END) == 0 &&
                       fread(text, 1, SEAL_BYTES, f) == SEAL_BYTES;
    fclose(f);
    if (!found || strncmp(text, HEAD, strlen(HEAD)) != 0 || text[SEAL_BYTES - 1] != '\n' ||
        sscanf(text + strlen(HEAD), "%16" SCNx64, &was) != 1)
        return err_set(e, ERR_DATA,
                       "%s: no checksum at its end: it is not whole, or of another kind", path);
    if (hash_file(path, (uint64_t)st.st_size - SEAL_BYTES, &is, e)) return -1;
    if (is != was) return err_set(e, ERR_DATA, "%s: damaged: its checksum is another", path);
    if (hash) *hash = is;
    return 0;
}
