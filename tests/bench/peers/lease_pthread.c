/* SPDX-License-Identifier: Apache-2.0 */
/* The same with what the C library has for processes: a robust mutex, and a lock of readers and writers, which no death gives back. */
#include <pthread.h>
#include <sys/mman.h>

#include "bench.h"

struct shared {
    pthread_mutex_t mutex;
    pthread_rwlock_t lock;
};

int main(int argc, char **argv)
{
    int count = argc == 2 ? atoi(argv[1]) : 0;
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t mutex;
    pthread_rwlockattr_t lock;
    if (count < 1 || s == MAP_FAILED)
        return 2;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_rwlockattr_init(&lock);
    pthread_rwlockattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
    if (pthread_mutex_init(&s->mutex, &mutex) != 0 || pthread_rwlock_init(&s->lock, &lock) != 0)
        return 2;
    bench_ready();
    uint64_t begin_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        pthread_mutex_lock(&s->mutex);
        pthread_mutex_unlock(&s->mutex);
    }
    uint64_t middle_ns = bench_now_ns();
    for (int i = 0; i < count; i++) {
        pthread_rwlock_rdlock(&s->lock);
        pthread_rwlock_unlock(&s->lock);
    }
    uint64_t end_ns = bench_now_ns();
    bench_result("exclusive_ns", (double)(middle_ns - begin_ns) / count);
    bench_result("shared_ns", (double)(end_ns - middle_ns) / count);
    bench_ended(end_ns);
    return 0;
}
