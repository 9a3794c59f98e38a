/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/peer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/config_value.h"

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PEERGROUPS /* Linux 4.13 */
#define SO_PEERGROUPS 59
#endif

#define FEW_GROUPS 32

static unsigned read_overflow_id(const char *path)
{
    unsigned id = 65534;
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        if (fscanf(file, "%u", &id) != 1)
            id = 65534;
        fclose(file);
    }
    return id;
}

struct peer_strangers peer_strangers_read(void)
{
    return (struct peer_strangers){
        .uid = read_overflow_id("/proc/sys/kernel/overflowuid"),
        .gid = read_overflow_id("/proc/sys/kernel/overflowgid"),
    };
}

void peer_learn(struct peer *p, int sock, const struct peer_strangers *strangers)
{
    struct ucred cred = { .uid = strangers->uid, .gid = strangers->gid };
    socklen_t size = sizeof(cred);

    (void)getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size);
    *p = (struct peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
}

/* All of them, of whatever number; -ENOPROTOOPT on a kernel that does not say. */
static int read_groups(struct peer *p, int sock)
{
    socklen_t size = FEW_GROUPS * sizeof(gid_t);

    for (int tries = 0; tries < 2; tries++) {
        gid_t *groups = malloc(size);
        if (groups == NULL)
            return -ENOMEM;
        if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
            p->groups = groups;
            p->group_count = size / sizeof(gid_t);
            return 0;
        }
        free(groups);
        if (errno != ERANGE) /* else it has said how much room they take, and they do not change */
            return -errno;
    }
    return -ERANGE;
}

bool peer_is_of(const struct peer *p, gid_t group, const struct peer_strangers *strangers)
{
    if (group == strangers->gid || group == CONFIG_NO_GROUP)
        return false;
    for (unsigned i = 0; i < p->group_count; i++)
        if (p->groups[i] == group)
            return true;
    return p->gid == group;
}

int peer_learn_groups(struct peer *p, int sock, const struct peer_strangers *strangers, gid_t admin_group)
{
    int r = read_groups(p, sock);

    p->administrator = p->uid == 0 || p->uid == geteuid() || peer_is_of(p, admin_group, strangers);
    return r == -ENOMEM ? r : 0;
}

void peer_fini(struct peer *p)
{
    free(p->groups);
    p->groups = NULL;
    p->group_count = 0;
}

int peer_pidfd(int sock)
{
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    return getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0 ? -errno : pidfd;
}

int peer_kill(int pidfd)
{
    return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) < 0 ? -errno : 0;
}
