/* Loaded into a program, it writes down which files and folders are flushed to the disk, and which get a name, as far as that has
 * succeeded: a line for each call, to the file that WITNESS names. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *what, const char *one, const char *other) {
    int seen = open(getenv("WITNESS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    dprintf(seen, "%s\t%s\t%s\n", what, one, other);
    close(seen);
}

/* The path from the root; its last part need not be there any more. */
static void whole(const char *path, char *found) {
    char folder[PATH_MAX], last[PATH_MAX], root[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    snprintf(last, sizeof last, "%s", path);
    if (!realpath(dirname(folder), root)) strcpy(root, "?");
    snprintf(found, 2 * PATH_MAX, "%s/%s", root, basename(last));
}

static void flushed(int file) {
    char link[64], path[PATH_MAX] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) > 0) say("flushed", path, "");
}

static void named(const char *from, const char *to) {
    char before[2 * PATH_MAX], after[2 * PATH_MAX];
    whole(from, before);
    whole(to, after);
    say("named", before, after);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) {
    int failed = REAL(fsync)(file);
    if (!failed) flushed(file);
    return failed;
}

int fdatasync(int file) {
    int failed = REAL(fdatasync)(file);
    if (!failed) flushed(file);
    return failed;
}

int link(const char *from, const char *to) {
    int failed = REAL(link)(from, to);
    if (!failed) named(from, to);
    return failed;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    int failed = REAL(linkat)(from_folder, from, to_folder, to, flags);
    if (!failed) named(from, to);
    return failed;
}

int rename(const char *from, const char *to) {
    int failed = REAL(rename)(from, to);
    if (!failed) named(from, to);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    int failed = REAL(mkdir)(path, mode);
    char made[2 * PATH_MAX];
    if (!failed) whole(path, made), say("made", made, "");
    return failed;
}
