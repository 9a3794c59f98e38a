/* SPDX-License-Identifier: Apache-2.0 */
/* quota.c - Quota: accounts, and what is charged to them.
 *   Q1  an account's have[k] is the sum of of[k] over the charges that name it; files is that of all accounts and of what was open at the
 *       start. Both change in move() alone
 *   Q2  an account with debtors, or with a bucket that is not full, is not freed
 *   Q3  file descriptors: a user may have as many as would be left for others. Whoever comes after it has the same right, so one alone
 *       gets half, two get a third each, and none can leave the others without. Root and the daemon's own user may have all but the reserve */
#include "daemon/quota.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "shm/base.h"

#define FILES_KEPT_MAX 64u
#define FILES_LOOKED_AT 1024    /* at the start no higher one is open */
#define REQUEST_DEPTH_SHARE 10u /* of a second: how much may come at once */
#define COMPLAINTS ((struct bucket_rate){ .per_second = 1, .depth = 3 })

/* What people call it, by kind. */
static const char *const nouns[QUOTA_KINDS] = {
    [QUOTA_HEAPS] = "heaps",
    [QUOTA_BYTES] = "in heaps",
    [QUOTA_SESSIONS] = "connections",
    [QUOTA_THREADS] = "threads",
    [QUOTA_HANDLES] = "places for handles",
    [QUOTA_LEASES] = "leases",
    [QUOTA_TYPES] = "types",
    [QUOTA_FILES] = "of the daemon's file descriptors",
};

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static void configure(struct account *a)
{
    const struct user_section *section;

    config_user(a->quota->config, a->uid, &a->limits, &section);
    snprintf(a->section, sizeof(a->section), "user%s%s", section == NULL ? "" : " ",
             section == NULL ? "" : section->name);
    if (section == NULL)
        snprintf(a->who, sizeof(a->who), "user %u", (unsigned)a->uid);
    else
        snprintf(a->who, sizeof(a->who), "user %s (%u)", section->name, (unsigned)a->uid);
}

void quota_configure(struct quota *q)
{
    for (size_t i = 0; i < q->count; i++)
        configure(q->accounts[i]);
}

size_t quota_from(const struct quota *q, uint64_t uid)
{
    size_t low = 0, high = q->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (q->accounts[middle]->uid < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Q2. Called before one is added: so there are no more than came in about a second, and those that have something. */
static void forget_idle(struct quota *q, uint64_t now_ns)
{
    size_t kept = 0;

    for (size_t i = 0; i < q->count; i++) {
        struct account *a = q->accounts[i];
        if (a->debtors == 0 && bucket_is_full(&a->requests, now_ns) &&
            bucket_is_full(&a->connections, now_ns))
            free(a);
        else
            q->accounts[kept++] = a;
    }
    q->count = kept;
}

static struct account *account_new(struct quota *q, uid_t uid)
{
    struct account *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return NULL;
    a->uid = uid;
    a->quota = q;
    a->trusted = uid == 0 || uid == geteuid();
    TAILQ_INIT(&a->held);
    configure(a);
    return a;
}

static bool grow(struct quota *q)
{
    size_t capacity = MM_MAX(q->capacity * 2, (size_t)16);
    struct account **more =
        q->count < q->capacity ? q->accounts : reallocarray(q->accounts, capacity, sizeof(more[0]));

    if (more == NULL)
        return false;
    q->capacity = q->count < q->capacity ? q->capacity : capacity;
    q->accounts = more;
    return true;
}

struct account *quota_account(struct quota *q, uid_t uid, uint64_t now_ns)
{
    size_t at = quota_from(q, uid);

    if (at < q->count && q->accounts[at]->uid == uid)
        return q->accounts[at];
    forget_idle(q, now_ns);
    struct account *a = grow(q) ? account_new(q, uid) : NULL;
    if (a == NULL)
        return NULL;
    at = quota_from(q, uid);
    memmove(q->accounts + at + 1, q->accounts + at, (q->count - at) * sizeof(q->accounts[0]));
    q->accounts[at] = a;
    q->count++;
    return a;
}

struct bucket_rate account_request_rate(const struct account *a)
{
    uint64_t rate = a->limits.requests_per_second;

    return (struct bucket_rate){ .per_second = rate,
                                 .depth = MM_MAX(rate / REQUEST_DEPTH_SHARE, UINT64_C(1)) };
}

struct bucket_rate account_connection_rate(const struct account *a)
{
    uint64_t rate = a->limits.connections_per_second;

    return (struct bucket_rate){ .per_second = rate, .depth = rate };
}

bool account_may_complain(struct account *a, uint64_t now_ns)
{
    bool may = bucket_tokens(&a->complaints, &COMPLAINTS, now_ns) > 0;

    if (may)
        bucket_take(&a->complaints, &COMPLAINTS, 1, now_ns);
    return may;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

void quota_init(struct quota *q, const struct config *config)
{
    struct rlimit files = { .rlim_cur = FILES_LOOKED_AT };

    *q = (struct quota){ .config = config };
    (void)getrlimit(RLIMIT_NOFILE, &files);
    q->files_max = files.rlim_cur;
    for (int fd = 0; fd < FILES_LOOKED_AT; fd++)
        q->files += fcntl(fd, F_GETFD) >= 0;
}

void quota_fini(struct quota *q)
{
    for (size_t i = 0; i < q->count; i++) {
        MM_ASSERT(q->accounts[i]->debtors == 0);
        free(q->accounts[i]);
    }
    free(q->accounts);
    *q = (struct quota){ 0 };
}

uint64_t quota_files_kept(const struct quota *q, bool administrator)
{
    uint64_t own = MM_MIN(q->files_max / 8, (uint64_t)FILES_KEPT_MAX);

    return administrator ? own : 2 * own;
}

/* ---- charges ----------------------------------------------------------------------------------------------------- */

static void move(struct charges *c, enum quota_kind kind, uint64_t count, bool take) /* Q1 */
{
    struct account *a = c->account;

    MM_ASSERT(take || c->of[kind] >= count);
    c->of[kind] += take ? count : -count;
    a->have[kind] += take ? count : -count;
    if (kind == QUOTA_FILES)
        a->quota->files += take ? count : -count;
}

void charges_init(struct charges *c, struct account *account)
{
    *c = (struct charges){ .account = account };
    account->debtors++;
}

bool charges_take(struct charges *c, enum quota_kind kind, uint64_t count)
{
    uint64_t have = c->account->have[kind], most = c->account->limits.most[kind];

    if (have > most || count > most - have)
        return false;
    move(c, kind, count, true);
    return true;
}

bool charges_take_files(struct charges *c, uint64_t count, bool administrator) /* Q3 */
{
    struct account *a = c->account;
    const struct quota *q = a->quota;
    uint64_t used = q->files + count + quota_files_kept(q, administrator);
    uint64_t left = used > q->files_max ? 0 : q->files_max - used;

    if (used > q->files_max || (!administrator && !a->trusted && a->have[QUOTA_FILES] + count > left))
        return false;
    move(c, QUOTA_FILES, count, true);
    return true;
}

void charges_give_back(struct charges *c, enum quota_kind kind, uint64_t count)
{
    move(c, kind, count, false);
}

void charges_fini(struct charges *c)
{
    if (c->account == NULL)
        return;
    for (size_t i = 0; i < QUOTA_KINDS; i++)
        move(c, (enum quota_kind)i, c->of[i], false);
    MM_ASSERT(c->account->debtors > 0);
    c->account->debtors--;
    c->account = NULL;
}

/* ---- sentences --------------------------------------------------------------------------------------------------- */

static const char *key_of(enum quota_kind kind)
{
    for (size_t i = 0; i < user_option_table.count; i++)
        if (user_option_table.rows[i].offset ==
            offsetof(struct user_limits, most) + kind * sizeof(uint64_t))
            return user_option_table.rows[i].key;
    return "";
}

static void number(enum quota_kind kind, uint64_t value, char ret_text[OPTION_TEXT_MAX])
{
    enum config_type type = kind == QUOTA_BYTES ? CONFIG_TYPE_most_bytes : CONFIG_TYPE_most;

    config_value_print(type, NULL, &value, sizeof(value), ret_text, OPTION_TEXT_MAX);
}

static void explain(const struct account *a, enum quota_kind kind, uint64_t count,
                    char ret_why[QUOTA_WHY_MAX])
{
    char have[OPTION_TEXT_MAX], more[OPTION_TEXT_MAX], most[OPTION_TEXT_MAX];

    number(kind, a->have[kind], have);
    if (kind == QUOTA_FILES) {
        snprintf(ret_why, QUOTA_WHY_MAX,
                 "%s has %s %s, as many as are left for others or kept for administrators (%" PRIu64
                 " of %" PRIu64 " are in use)",
                 a->who, have, nouns[kind], a->quota->files, a->quota->files_max);
        return;
    }
    number(kind, count, more);
    number(kind, a->limits.most[kind], most);
    if (a->have[kind] > a->limits.most[kind])
        snprintf(ret_why, QUOTA_WHY_MAX, "%s has %s %s, more than the %s that %s of [%s] allows",
                 a->who, have, nouns[kind], most, key_of(kind), a->section);
    else if (a->have[kind] == a->limits.most[kind])
        snprintf(ret_why, QUOTA_WHY_MAX, "%s has %s %s, as many as %s of [%s] allows", a->who, have,
                 nouns[kind], key_of(kind), a->section);
    else
        snprintf(ret_why, QUOTA_WHY_MAX, "%s has %s %s, %s more are above the %s that %s of [%s] allows",
                 a->who, have, nouns[kind], more, most, key_of(kind), a->section);
}

const char *account_explain(struct account *a, enum quota_kind kind, uint64_t count,
                            char ret_why[QUOTA_WHY_MAX])
{
    explain(a, kind, count, ret_why);
    a->refused++;
    a->quota->refused++;
    if (account_may_complain(a, mm_now_ns()))
        log_warning("%s", ret_why);
    return ret_why;
}
