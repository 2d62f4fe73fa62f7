#include "train/run.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/owner.h"
#include "train/record.h"
#include "train/states.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char CONFIGURATION[] = "config.resolved.yaml";

int run_path(const struct run *r, const char *file, char *path, size_t size, struct err *e)
{
    return io_path(path, size, e, "%s/%s", r->dir, file);
}

static char *resolved(const struct cli *cli, const void *conf, size_t *len, struct err *e)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    int bad = !f || cfg_write(cli->fields, conf, f) != 0;
    if (f && fclose(f)) bad = 1;
    if (!bad) return text;
    free(text);
    err_set(e, ERR_FAILED, "out of memory while writing the resolved configuration");
    return NULL;
}

/* The configuration a run was started with, with the defaults of keys that have come since: a new
 * key's default is what was done before there was the key. NULL where this program cannot read it,
 * as with a key that is no more: then it has to be compared as it is, and what is odd in it is
 * among the differences. */
static char *as_of_today(const struct cli *cli, const char *was, size_t len)
{
    void *conf = mem_new(1, cli->conf_size, NULL);
    struct cfg *cfg = conf ? cfg_parse(cli->fields, conf, "", was, len, NULL, 0, NULL) : NULL;
    char *text = cfg ? resolved(cli, conf, &len, NULL) : NULL;
    cfg_free(cfg);
    mem_free(conf);
    return text;
}

/* Compares r->text with what the run was started with. */
static int check_resumed(struct run *r, const struct cli *cli, const char *const *may_change,
                         struct err *e)
{
    char path[1200], *was;
    size_t len;
    if (run_path(r, CONFIGURATION, path, sizeof path, e)) return -1;
    if (!(was = io_read_text(path, 1 << 20, &len, e)))
        return err_hint(e,
                        "with the configuration and --set of the start, '%s %s --check --quiet "
                        ">%s' makes it anew",
                        cli->command, cli->config_path ? cli->config_path : "CONFIG.yaml", path);
    char *now = as_of_today(cli, was, len);
    const int bad = changes_check(now ? now : was, r->text, may_change, r->changes, e);
    free(now);
    mem_free(was);
    if (bad && e && e->code == ERR_DATA) return err_wrap(e, "%s", path);
    return bad ? err_wrap(e, "%s", r->dir) : 0;
}

static void print_changes(const struct run *r, const struct cli *cli)
{
    if (*r->changes)
        fprintf(stderr, "%s: going on with a changed configuration: %s\n", cli->command,
                r->changes);
}

/* Two trainings in one directory would overwrite each other. The lock goes with the process.
 * `make`: the file of it, where there is none. */
static int lock_directory(struct run *r, const struct cli *cli, bool make, struct err *e)
{
    char path[1200];
    if (run_path(r, ".lock", path, sizeof path, e)) return -1;
    r->lock = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0666);
    if (r->lock < 0 && !make && errno == ENOENT) return 0;
    if (r->lock < 0) {
        err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        return err_hint(e, "make %s writable, or choose another 'run'", r->dir);
    }
    if (flock(r->lock, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK) { /* a file system without locks */
        fprintf(stderr,
                "%s: warning: %s cannot be locked: %s; see that no second training runs in it\n",
                cli->command, path, strerror(errno));
        return 0;
    }
    err_set(e, ERR_CONFIG, "%s: another training is running in it", r->dir);
    return err_hint(e, "wait for it, stop it, or choose another 'run'");
}

/* What a killed process was writing. */
static void sweep(const struct run *r)
{
    DIR *d = opendir(r->dir);
    const struct dirent *f;
    while (d && (f = readdir(d))) {
        const size_t len = strlen(f->d_name);
        if (len > 4 && !strcmp(f->d_name + len - 4, ".tmp")) unlinkat(dirfd(d), f->d_name, 0);
    }
    if (d) closedir(d);
}

static int check_state(const struct run *r, bool resume, bool *begun, struct err *e)
{
    *begun = states_any(r->dir);
    if (*begun && !resume) {
        err_set(e, ERR_CONFIG, "%s already holds a training", r->dir);
        return err_hint(e, "add --resume to go on with it, or choose another 'run'");
    }
    if (*begun || !resume) return 0;
    err_set(e, ERR_NOINPUT, "%s holds no checkpoint to resume from", r->dir);
    return err_hint(e, "leave out --resume to start");
}

static int write_configuration(const struct run *r, struct err *e)
{
    char path[1200];
    return run_path(r, CONFIGURATION, path, sizeof path, e) ||
                   io_write_text(path, r->text, r->len, e)
               ? -1
               : 0;
}

int run_begin(struct run *r, const char *dir, const struct cli *cli, const void *conf,
              uint64_t seed, const char *const *may_change, struct err *e)
{
    *r = (struct run){.lock = -1};
    bool begun;
    /* A directory is not made to resume in; of one that is taken, that is told first. */
    if (io_path(r->dir, sizeof r->dir, e, "%s", dir) ||
        (cli->resume && check_state(r, true, &begun, e)) || owner_check(dir, OWNER_TRAINING, e) ||
        io_mkdirs(dir, e) || lock_directory(r, cli, true, e) ||
        check_state(r, cli->resume, &begun, e) || !(r->text = resolved(cli, conf, &r->len, e)) ||
        (begun && check_resumed(r, cli, may_change, e)))
        return -1;
    sweep(r);
    return (!begun && (write_configuration(r, e) || record_start(r, cli, seed, e))) ||
                   /* Lines of an earlier start that never reached a checkpoint are of no training.
                    */
                   metrics_open(&r->metrics, r->dir, begun, e)
               ? -1
               : 0;
}

int run_go_on(const struct run *r, const struct cli *cli, struct err *e)
{
    print_changes(r, cli);
    return write_configuration(r, e);
}

int run_check_resumed(const char *dir, const struct cli *cli, const void *conf,
                      const char *const *may_change, struct err *e)
{
    struct run r = {.lock = -1};
    bool begun;
    const int bad =
        io_path(r.dir, sizeof r.dir, e, "%s", dir) || check_state(&r, true, &begun, e) ||
        lock_directory(&r, cli, false, e) || !(r.text = resolved(cli, conf, &r.len, e)) ||
        check_resumed(&r, cli, may_change, e) ||
        (access(dir, W_OK | X_OK) && err_set(e, ERR_IO, "%s: no file can be written there", dir));
    if (!bad) print_changes(&r, cli);
    run_end(&r);
    return bad ? -1 : 0;
}

void run_end(struct run *r)
{
    metrics_close(&r->metrics);
    free(r->text);
    if (r->lock >= 0) close(r->lock);
    *r = (struct run){.lock = -1};
}
