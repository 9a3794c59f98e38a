/* SPDX-License-Identifier: Apache-2.0 */
/* What an allocation may cost in a section that was reserved in a hold: instruction by instruction, of each one alone. */
#include <mmgc/hold.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"
#include "tests/support/stepper.h"

#define OBJECTS 2500u
#define RESERVED_BYTES (UINT64_C(4) << 20)
/* docs/leases-and-holds.md: so many at most, and one more for each 8 bytes of it; most take a dozen. */
#define MOST 1000u

struct section {
    const char *socket;
    struct mmgc_thread *t;
    mmgc_type bytes;
    uint32_t lengths[OBJECTS];
    _Atomic uint32_t made;
    bool failed;
};

static struct section section; /* at the same address in the child */

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, mmgc_error_detail());
    _exit(1);
}

static void prepare(void *context)
{
    struct section *s = context;
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20, .plan = "immix" };
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    mmgc_hold hold;

    if (mmgc_connect(s->socket, "bound", &client) != MMGC_OK || mmgc_heap_open(client, "bound", &options, &heap) != MMGC_OK ||
        mmgc_type_bytes(heap, &s->bytes) != MMGC_OK || mmgc_attach(heap, NULL, &s->t) != MMGC_OK || mmgc_enter(s->t) != MMGC_OK)
        die("opening");
    if (mmgc_hold_begin(s->t, NULL, &hold) != MMGC_OK || mmgc_reserve(s->t, RESERVED_BYTES) != MMGC_OK)
        die("reserving");
}

static void run(void *context)
{
    struct section *s = context;

    for (uint32_t i = 0; i < OBJECTS && !s->failed; i++) {
        s->failed = mmgc_new_array(s->t, s->bytes, s->lengths[i]) == NULL;
        at_store_relaxed(&s->made, i + 1);
    }
}

static uint32_t made_so_far(const struct stepper *s)
{
    uint32_t made = 0;

    ck_assert(stepper_read(s, (uint64_t)(uintptr_t)&section.made, &made, sizeof(made)));
    return made;
}

START_TEST(no_allocation_takes_more_than_its_bound)
{
    struct daemon *daemon = daemon_start(NULL);
    struct stepper s;
    uint64_t random = 88172645463325252u, most = 0, total = 0;

    section.socket = daemon_socket(daemon);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        section.lengths[i] = (uint32_t)(random >> 33) % (i % 50 == 0 ? 16000u : 300u);
    }
    stepper_start(&s, prepare, run, &section);
    uint64_t steps = 0;
    for (uint32_t made = 0; made < OBJECTS;) {
        steps += stepper_step(&s, 1);
        uint32_t now = made_so_far(&s);
        if (now == made)
            continue;
        uint64_t allowed = MOST + section.lengths[made] / 8;
        if (steps > allowed)
            ck_abort_msg("object %u of %u bytes took %llu instructions", made, section.lengths[made], (unsigned long long)steps);
        most = MM_MAX(most, steps - section.lengths[made] / 8 * (steps > section.lengths[made] / 8));
        total += steps;
        steps = 0;
        made = now;
    }
    bool failed;
    ck_assert(stepper_read(&s, (uint64_t)(uintptr_t)&section.failed, &failed, sizeof(failed)) && !failed);
    stepper_kill(&s);
    fprintf(stderr, "at most %llu, %.1f as a rule\n", (unsigned long long)most, (double)total / OBJECTS);
    daemon_stop(daemon);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("hold_bound");
    TCase *tc = tcase_create("bound");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, no_allocation_takes_more_than_its_bound);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
    puts("1..0 # SKIP these are not the instructions that users run");
    return 0;
#endif
    if (!stepper_permitted()) {
        puts("1..0 # SKIP this system does not let a process trace its child");
        return 0;
    }
    return runner_main(argc, argv, make);
}
