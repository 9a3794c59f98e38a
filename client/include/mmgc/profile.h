/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_PROFILE_H
#define MMGC_PROFILE_H
/* mmgc/profile: who allocates, by call stack, and what of it still lives.
 *
 *   Profile   of this process, over all its threads and heaps, from mmgc_profile_start() to mmgc_profile_stop(). One byte in
 *             `interval_bytes` is picked by chance, the object it falls into is sampled, and stands for as many as its size made it
 *             unlikely to be picked: sums are right on average, however small the objects (docs/profiling.md says how far off)
 *   Where     The calls of mmgc_new() and its kin, with who called them. What a hold stows is no allocation: it was one when it was made
 *   Lives     Each sampled object has a weak reference (mmgc/handle.h; `mmgcctl handles` shows them, called "profile"). What collections have
 *             not cleared counts as in use: mmgc_gc() before writing if it is to be exact. What was made with a hold open counts as
 *             allocated only. What lived when its heap was closed here stays in use: heaps outlive their clients
 *   Cost      None while no profile is taken; about a per cent of allocating alone with the default interval (docs/profiling.md)
 *   File      What pprof reads (profile.proto): alloc_objects, alloc_space, inuse_objects, inuse_space. Addresses have no names yet: `go tool
 *             pprof FILE` finds them in the programs, `mmgcctl profile FILE` adds them and shows the most
 *   Environment  MMGC_PROFILE=FILE[,interval=BYTES] starts a profile at the first mmgc_connect(), and writes it when the last client
 *             disconnects and at exit. %p in FILE is the process's number
 *   Fork      A child's profile is empty, and none is taken. With MMGC_PROFILE its first mmgc_connect() starts one, for FILE.PID
 *   Threads   any. Calls return MMGC_OK or an MMGC_E_ code                                                     mmgc(3) */
#include <stddef.h>
#include <stdint.h>

#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mmgc_profile_options {                /* zero-initialise */
    uint64_t interval_bytes;                 /* between samples, on average; 0: 512 KiB. 1: every object is one */
    uint64_t seed;                           /* of chance, so that a run of one thread can be repeated; 0: any */
};
/* Starts one, and forgets what the last one has. @options may be NULL. Threads that are attached already are heard of from when they
 * next need memory zeroed: after some KiB. MMGC_E_INVALID: one is being taken; MMGC_E_SYSTEM. */
MMGC_API int mmgc_profile_start(const struct mmgc_profile_options *options);
/* Ends it; what it has can be written until the next one is started. MMGC_E_INVALID: none is being taken. */
MMGC_API int mmgc_profile_stop(void);
/* Writes what there is so far to a file, made or overwritten, or to an open one. A profile that is being taken goes on. MMGC_E_INVALID: there never was
 * one; MMGC_E_SYSTEM. */
MMGC_API int mmgc_profile_write(const char *path);
MMGC_API int mmgc_profile_write_fd(int fd);

#ifdef __cplusplus
}
#endif
#endif
