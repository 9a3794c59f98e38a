/* SPDX-License-Identifier: Apache-2.0 */
/* guardian: objects that stand for files, which are removed when the objects are of no use any more, whoever dies.
 *
 *     guardian janitor FILES                 the heir: removes what dead workers left; ends when it has removed so many
 *     guardian work DIRECTORY FILES          makes so many files, forgets every second one and removes it; then waits for the end of its input
 *
 * Each object is guarded by its worker. What that forgets it is given back, and removes the file; when it is killed, or ends, the janitor is
 * given back the others. The heap is found by MMGC_SOCKET. */
#include <fcntl.h>
#include <mmgc/guardian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JANITOR "janitor"
#define SECOND UINT64_C(1000000000)

struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type bytes, refs;
};

static void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "guardian: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static void *made(struct access *a, void *object)
{
    if (object == NULL)
        must("making an object", mmgc_thread_error(a->t));
    return object;
}

/* Exact: no stale word of the stack keeps a file. */
static void begin(struct access *a)
{
    must("connect", mmgc_connect(NULL, "guardian", &a->client));
    must("open", mmgc_heap_open(a->client, "files", &(struct mmgc_heap_options){ .create = true, .max_bytes = UINT64_C(16) << 20 }, &a->heap));
    must("type", mmgc_type_bytes(a->heap, &a->bytes));
    must("type", mmgc_type_refs(a->heap, &a->refs));
    must("attach", mmgc_attach(a->heap, &(struct mmgc_thread_options){ .exact = true }, &a->t));
    must("enter", mmgc_enter(a->t));
}

static void end(struct access *a)
{
    mmgc_detach(a->t);
    mmgc_heap_close(a->heap);
    mmgc_disconnect(a->client);
}

/* The object is the file's path: all that whoever is given it has to know. [safepoint] */
static char *file_new(struct access *a, const char *path)
{
    char *file = strcpy(made(a, mmgc_new_array(a->t, a->bytes, (uint32_t)strlen(path) + 1)), path);
    mmgc_guard guard;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    must("guard", mmgc_guard_new(a->t, file, 0, &guard));
    return file;
}

/* Removes the files of all that is ready. */
static unsigned clean_up(struct access *a)
{
    unsigned count = 0;

    for (char *file; (file = mmgc_guard_take(a->t, NULL)) != NULL; count++)
        if (unlink(file) != 0)
            perror(file);
    must("take", mmgc_thread_error(a->t));
    return count;
}

static void be_janitor(struct access *a, unsigned files)
{
    must("guardian", mmgc_guardian_be(a->heap, JANITOR));
    for (unsigned removed = 0; removed < files;) {
        int r = mmgc_guard_wait(a->t, SECOND / 10);
        if (r != MMGC_OK && r != MMGC_E_TIMEOUT)
            must("wait", r);
        unsigned count = clean_up(a);
        if (count > 0)
            printf("removed %u files of the dead\n", count);
        removed += count;
        (void)fflush(stdout);
        if (r == MMGC_E_TIMEOUT)
            must("collect", mmgc_gc(a->t));  /* where many allocate, collections come by themselves */
    }
}

static void work(struct access *a, const char *directory, unsigned files)
{
    mmgc_local all = mmgc_local_new(a->t, made(a, mmgc_new_array(a->t, a->refs, files)));
    char path[4096];

    must("heir", mmgc_guards_leave_to(a->heap, JANITOR));
    for (unsigned i = 0; i < files; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d-%u", directory, (int)getpid(), i);
        char *file = file_new(a, path);
        mmgc_ref *refs = mmgc_local_get(a->t, all);
        if (i % 2 == 0)
            mmgc_store(a->t, refs, &refs[i], file);
    }
    must("collect", mmgc_gc(a->t));
    printf("made %u files, removed %u\n", files, clean_up(a));
    (void)fflush(stdout);
    mmgc_leave(a->t);
    while (getchar() != EOF)
        continue;
    must("enter", mmgc_enter(a->t));
}

int main(int argc, char **argv)
{
    struct access a;

    if (argc == 3 && strcmp(argv[1], "janitor") == 0) {
        begin(&a);
        be_janitor(&a, (unsigned)strtoul(argv[2], NULL, 10));
    } else if (argc == 4 && strcmp(argv[1], "work") == 0) {
        begin(&a);
        work(&a, argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    } else {
        fprintf(stderr, "usage: guardian janitor FILES | work DIRECTORY FILES\n");
        return 2;
    }
    end(&a);
    return 0;
}
