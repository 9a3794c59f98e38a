/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/lease.h"

/* A row is what one wants or has, a column what another has. */
enum shm_lease_conflict shm_lease_conflict(enum shm_lease_state mine, enum shm_lease_state other)
{
    enum { F = SHM_LEASE_FREE, T = SHM_LEASE_TRIED, X = SHM_LEASE_TAKEN };
    static const uint8_t conflicts[8][8] = {
        /* none, shared try, exclusive try, shared, exclusive, upgrade try, upgrading */
        [SHM_LEASE_SHARED_TRY] = { F, F, T, F, X, X, X },
        [SHM_LEASE_EXCLUSIVE_TRY] = { F, T, T, X, X, X, X },
        [SHM_LEASE_UPGRADE_TRY] = { F, F, F, F, F, T, X },
        [SHM_LEASE_UPGRADING] = { F, X, F, X, F, X, X }, /* exclusive beside us can only be a claim, which sees us and goes */
    };

    return (enum shm_lease_conflict)conflicts[mine & 7][other & 7];
}
