/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Peer: who is at the other end of a connection, as the kernel says it, when it connected.
 *   Strangers  ids that our user namespace cannot name come as the overflow ids: such a uid could be anybody and is refused, such a group
 *              gives no rights. A process of another pid namespace comes as pid 0: it is known by its pidfd as well (soundness S20)
 *   Threads    loop, when it is learnt; constant afterwards                                                 */
#include <stdbool.h>
#include <sys/types.h>

struct peer {
    pid_t pid;                                /* 0: of another pid namespace */
    uid_t uid;
    gid_t gid;
    gid_t *groups;                            /* supplementary ones; NULL: none */
    unsigned group_count;
    bool administrator;                       /* may do for every heap what root may */
};
struct peer_strangers {                       /* what those appear as whom our user namespace does not know */
    uid_t uid;
    gid_t gid;
};

struct peer_strangers peer_strangers_read(void);
/* Its ids alone; @p is a stranger's if the kernel says nothing. */
void peer_learn(struct peer *p, int sock, const struct peer_strangers *strangers);
/* Its supplementary groups, and what they make of it: -ENOMEM, and there are none. peer_fini() frees them. */
int peer_learn_groups(struct peer *p, int sock, const struct peer_strangers *strangers, gid_t admin_group);
void peer_fini(struct peer *p);
bool peer_is_of(const struct peer *p, gid_t group, const struct peer_strangers *strangers);
/* Its process. -ENOPROTOOPT: this kernel has none (before 6.5); -EMFILE, -ENFILE: no file descriptor left; other -errno: it has ended. */
int peer_pidfd(int sock);
/* SIGKILL. 0, -errno; -ESRCH: it has ended. Any thread. */
int peer_kill(int pidfd);
