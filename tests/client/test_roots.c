/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "client/roots.h"

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

/* What the daemon finds: was @address published? */
static bool published(uint64_t address)
{
    uint32_t granule = (uint32_t)((address - (uint64_t)t->base) >> 3);
    uint32_t count = at_load_relaxed(&mutator()->root_count);

    for (uint32_t i = 0; count != SHM_ROOTS_OVERFLOW && i < count; i++)
        if (mutator()->roots[i] == granule)
            return true;
    return false;
}

#if defined(__x86_64__)
/* roots_publish() called with the complement of @complement in one callee-saved register, and in no other place. */
#define PUBLISH_WITH(reg, keep) \
    __attribute__((noinline)) static void publish_with_##reg(uint64_t complement) \
    { \
        int (*call)(struct thread *) = roots_publish; \
        struct thread *th = thread_of(t); \
        __asm__ volatile("movq %%rsp, %%" #keep "\n\tsubq $256, %%rsp\n\tandq $-16, %%rsp\n\t" \
                         "pushq %%" #reg "\n\tpushq %%" #reg "\n\t" \
                         "movq %%rsi, %%" #reg "\n\tnotq %%" #reg "\n\tcallq *%%rax\n\t" \
                         "popq %%" #reg "\n\tmovq %%" #keep ", %%rsp\n\t" \
                         : "+a"(call), "+D"(th), "+S"(complement) \
                         : \
                         : #keep, "rdx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc"); \
    }
PUBLISH_WITH(rbx, r12)
PUBLISH_WITH(rbp, rbx)
PUBLISH_WITH(r12, rbx)
PUBLISH_WITH(r13, rbx)
PUBLISH_WITH(r14, rbx)
PUBLISH_WITH(r15, rbx)

static void (*const publish_with[])(uint64_t) = { publish_with_rbx, publish_with_rbp,
                                                  publish_with_r12, publish_with_r13,
                                                  publish_with_r14, publish_with_r15 };

START_TEST(every_callee_saved_register_is_scanned)
{
    volatile uint64_t complement = ~((uint64_t)t->base + 0x123450 + 8 * (uint64_t)_i);

    publish_with[_i](complement);
    ck_assert(published(~complement));
}
END_TEST
#endif

__attribute__((noinline)) static void publish_deep(int depth, volatile uint64_t complement)
{
    volatile uint64_t pad[32] = { 0 };

    if (depth > 0)
        publish_deep(depth - 1, complement + pad[depth % 32]);
    else
        ck_assert_ok(roots_publish(thread_of(t)));
    mmgc_keep((const void *)(uintptr_t)pad[1]);
}

START_TEST(the_stack_is_scanned_with_interior_and_end_pointers)
{
    volatile uint64_t words[3];
    uint64_t base = (uint64_t)t->base;

    words[0] = base + 0x5000;
    words[1] = base + 0x6005;           /* odd: rounded down */
    words[2] = base + FAKE_ARENA_BYTES; /* the very end: the last granule */
    publish_deep(40, 0);
    ck_assert(published(base + 0x5000));
    ck_assert(published(base + 0x6000));
    ck_assert(published(base + FAKE_ARENA_BYTES - 8));
    ck_assert(!published(base + 0x7000));
    ck_assert_uint_eq(words[0], base + 0x5000);
}
END_TEST

START_TEST(words_beside_the_arena_are_no_roots)
{
    volatile uint64_t words[4];
    uint64_t base = (uint64_t)t->base;

    words[0] = base - 1;
    words[1] = base - 8;
    words[2] = base + FAKE_ARENA_BYTES + 1;
    words[3] = base + FAKE_ARENA_BYTES + 8;
    ck_assert_ok(roots_publish(thread_of(t)));
    uint32_t count = at_load_relaxed(&mutator()->root_count);
    for (uint32_t i = 0; i < count; i++)
        ck_assert_uint_le(mutator()->roots[i], FAKE_ARENA_BYTES / 8 - 1);
    ck_assert_uint_ne(words[0], words[1]);
}
END_TEST

/* ---- more than one stack ----------------------------------------------------------------------------------------- */

#define FIBRE_BYTES (256u << 10)
static ucontext_t here, fibre;
static int fibre_result;

static void on_fibre(void)
{
    volatile uint64_t word = (uint64_t)t->base + 0x9000;

    fibre_result = roots_publish(thread_of(t));
    word++;
    (void)swapcontext(&fibre, &here);
}

static char *fibre_run(void)
{
    char *stack = mmap(NULL, FIBRE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_int_eq(getcontext(&fibre), 0);
    fibre.uc_stack.ss_sp = stack;
    fibre.uc_stack.ss_size = FIBRE_BYTES;
    fibre.uc_link = &here;
    makecontext(&fibre, on_fibre, 0);
    return stack;
}

START_TEST(an_unregistered_stack_is_an_error_and_no_scan)
{
    at_store_relaxed(&mutator()->root_count, 77);
    (void)fibre_run();
    ck_assert_int_eq(swapcontext(&here, &fibre), 0);
    ck_assert_int_eq(fibre_result, MMGC_E_STACK);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->root_count), 77);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->state), SHM_IN);
}
END_TEST

START_TEST(on_a_registered_stack_both_are_scanned)
{
    volatile uint64_t word = (uint64_t)t->base + 0xa000;
    char *stack = fibre_run();

    ck_assert_ok(mmgc_stack_add(t, stack, FIBRE_BYTES));
    ck_assert_int_eq(swapcontext(&here, &fibre), 0);
    ck_assert_ok(fibre_result);
    ck_assert(published((uint64_t)t->base + 0x9000)); /* its own */
    ck_assert(published((uint64_t)t->base + 0xa000)); /* the thread's, on which nothing runs now */
    ck_assert_ok(roots_publish(thread_of(t)));
    ck_assert(published((uint64_t)t->base + 0xa000));
    ck_assert(published((uint64_t)t->base + 0x9001) || published((uint64_t)t->base + 0x9000));
    ck_assert_ok(mmgc_stack_remove(t, stack));
    ck_assert_int_eq(mmgc_stack_remove(t, stack), MMGC_E_INVALID);
    ck_assert_int_eq(swapcontext(&here, &fibre), 0);
    word++;
}
END_TEST

static void *on_thread(void *arg)
{
    struct mmgc_thread *mine;
    volatile uint64_t word = (uint64_t)t->base + 0xb000;
    bool found = false;

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK ||
        roots_publish(thread_of(mine)) != MMGC_OK)
        return NULL;
    struct shm_mutator *m = thread_of(mine)->m;
    for (uint32_t i = 0; i < at_load_relaxed(&m->root_count); i++)
        found = found || m->roots[i] == 0xb000 / 8;
    word++;
    return found ? arg : NULL;
}

START_TEST(a_created_threads_stack_is_known)
{
    pthread_t thread;
    void *result;

    ck_assert_int_eq(pthread_create(&thread, NULL, on_thread, fake), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, fake);
}
END_TEST

START_TEST(too_many_words_are_an_overflow)
{
    size_t bytes = 16u << 20;
    uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = (uint64_t)t->base + 8 * i;
    ck_assert_ok(mmgc_stack_add(t, words, bytes));
    ck_assert_ok(roots_publish(thread_of(t)));
    ck_assert_uint_eq(at_load_relaxed(&mutator()->root_count), SHM_ROOTS_OVERFLOW);
    ck_assert_ok(mmgc_stack_remove(t, words));
    ck_assert_ok(roots_publish(thread_of(t)));
    ck_assert_uint_ne(at_load_relaxed(&mutator()->root_count), SHM_ROOTS_OVERFLOW);
}
END_TEST

static Suite *roots_suite(void)
{
    Suite *suite = suite_create("roots");
    TCase *roots = tcase_create("roots");

    tcase_add_checked_fixture(roots, setup_in, teardown);
#if defined(__x86_64__)
    tcase_add_loop_test(roots, every_callee_saved_register_is_scanned, 0, MM_ARRAY_LEN(publish_with));
#endif
    tcase_add_test(roots, the_stack_is_scanned_with_interior_and_end_pointers);
    tcase_add_test(roots, words_beside_the_arena_are_no_roots);
    tcase_add_test(roots, an_unregistered_stack_is_an_error_and_no_scan);
    tcase_add_test(roots, on_a_registered_stack_both_are_scanned);
    tcase_add_test(roots, a_created_threads_stack_is_known);
    tcase_add_test(roots, too_many_words_are_an_overflow);
    suite_add_tcase(suite, roots);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, roots_suite);
}
