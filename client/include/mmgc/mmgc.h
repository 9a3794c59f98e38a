/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_H
#define MMGC_H
/* mmgc: object graphs that several processes share, allocated with a pointer bump and never freed by hand.
 *
 *   A client connects to mmgcd, opens a heap by name, attaches each thread that will touch it, and brackets its work on
 *   the heap with mmgc_enter() and mmgc_leave(). Inside, objects are plain C structs at plain addresses; references inside
 *   objects are of type mmgc_ref and are read and written with mmgc_get() and mmgc_set().
 *
 *   Roots     An object lives while it can be reached from: a named root, a handle, a local root, or, for threads attached
 *             with ambiguous roots (the default), a pointer in the registers or on the registered stacks of a thread that is
 *             inside. Pointers in malloc memory, globals and thread-local variables are NOT seen: use a handle.
 *             An mmgc_ref in a local variable is no root: keep the pointer.
 *   Safepoint A call marked [safepoint] may let a collection happen. Threads with ambiguous roots may keep their pointers
 *             across it; threads with exact roots must read them again from their local roots.
 *   Addresses Plans may move objects at safepoints. What a thread with ambiguous roots has pointers to stays where it is while it
 *             has them; otherwise addresses, and mmgc_refs by number, are good until the next safepoint: two that are equal are
 *             one object, but hash by mmgc_identity_hash(), or follow the moves (<mmgc/notice.h>). Objects above MMGC_SMALL_MAX and those
 *             of mmgc_new_in() do not move.
 *   Errors    Calls return MMGC_OK (0) or an MMGC_E_ code of <mmgc/error.h>; mmgc_strerror() says it in words and
 *             mmgc_error_detail() names the case at hand. Nothing aborts, nothing logs, nothing already allocated is lost.
 *   Threads   A struct mmgc_thread belongs to the thread that attached it. Clients and heaps may be used from any thread.
 *   Fork      Segments are not inherited: in the child every call answers MMGC_E_FORKED until it connects anew.
 *   Units     bytes, unless a name says otherwise.                                                               mmgc(3) */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mmgc/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MMGC_API __attribute__((visibility("default"), nothrow))     /* nor may a callback throw */
#define MMGC_LIKELY_(x) __builtin_expect(!!(x), 1)
#define MMGC_UNLIKELY_(x) __builtin_expect(!!(x), 0)

struct mmgc_client;                          /* one process's access to one daemon */
struct mmgc_heap;                            /* one opened heap */

typedef struct mmgc_ref {                    /* a reference as it stands inside objects; {0} is null */
    uint32_t granule;
} mmgc_ref;

typedef struct mmgc_handle {                 /* a root that any thread of this process may hold, anywhere; {0} is none */
    uint32_t slot, serial;
} mmgc_handle;

struct mmgc_type_info {                      /* read by the inline calls; owned by the heap, constant */
    uint64_t header;                         /* what a new object's header word is */
    uint32_t bytes;                          /* of a new object without elements, header included */
    uint32_t element_bytes;
    uint32_t fixed_bytes;
    uint32_t id;
};
typedef const struct mmgc_type_info *mmgc_type;      /* valid until its heap is closed */

struct mmgc_thread {                         /* the part that the inline calls touch; the rest is the library's */
    char *cursor, *limit, *end;
    const uint32_t *epoch;
    char *base;
    void *library;
    uint64_t log_lines;
};

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The sentence of a code: what happened and what to do. Never NULL, static. */
MMGC_API const char *mmgc_strerror(int code);
/* What the last failing call of the calling thread failed on ("type 'node' has another layout: ..."); "" if nothing to add.
 * Valid until this thread's next call. */
MMGC_API const char *mmgc_error_detail(void);
/* The code of @t's last failure of a call that returns a pointer: mmgc_new() and its kin. */
MMGC_API int mmgc_thread_error(const struct mmgc_thread *t);

/* ---- client ------------------------------------------------------------------------------------------------------ */

/* Connects to the daemon at @socket_path (NULL: $MMGC_SOCKET, else /run/mmgcd/mmgcd.sock). @name (may be NULL: the program's
 * name) is shown to administrators. MMGC_E_NO_DAEMON, MMGC_E_VERSION, MMGC_E_LIMIT, MMGC_E_SYSTEM. */
MMGC_API int mmgc_connect(const char *socket_path, const char *name, struct mmgc_client **ret_client);
/* Closes it. Its heaps must be closed before. NULL is fine. */
MMGC_API void mmgc_disconnect(struct mmgc_client *client);
/* A round trip to the daemon: MMGC_OK, or why there is none. */
MMGC_API int mmgc_ping(struct mmgc_client *client);

/* ---- heap -------------------------------------------------------------------------------------------------------- */

struct mmgc_heap_options {                   /* zero-initialise: every default is 0 */
    bool create;                             /* make the heap if there is none of this name */
    bool exclusive;                          /* with create: MMGC_E_HEAP_EXISTS if there is one */
    bool read_only;                          /* map the arena read-only: reading works, allocating and storing do not */
    uint64_t max_bytes;                      /* for creation: what the heap may ever hold; 0: the daemon's default */
    uint64_t limit_bytes;                    /* for creation: what it may hold now; 0: max_bytes */
    const char *plan;                        /* for creation: the collector; NULL: the daemon's default */
    const char *options;                     /* for creation: "stress_factor=1M, sanity=on": KEY=VALUE by blanks or commas, keys of mmgcd(8)'s
                                              * section heap; at most 511 bytes; NULL: as the daemon has them. What the fields above say
                                              * wins. MMGC_E_INVALID, and mmgc_error_detail() names the key and what it can be */
    bool report_leaks;                       /* mmgc_heap_close() prints on stderr what handles and leases there still are; so it does with
                                              * MMGC_LEAKS=1 in the environment */
};

/* Opens the heap @name (1 to 255 bytes). @options may be NULL: an existing heap, read and write. */
MMGC_API int mmgc_heap_open(struct mmgc_client *client, const char *name, const struct mmgc_heap_options *options,
                            struct mmgc_heap **ret_heap);
/* Detaches what threads it still has, gives back its handles and closes it: pointers into it are gone. No thread may be inside.
 * The heap itself lives on in the daemon with its named roots. NULL is fine. */
MMGC_API void mmgc_heap_close(struct mmgc_heap *heap);
/* Ends a heap. MMGC_E_HEAP_BUSY if anyone has it open, unless @force: then they get MMGC_E_HEAP_GONE. */
MMGC_API int mmgc_heap_destroy(struct mmgc_client *client, const char *name, bool force);

struct mmgc_heap_info {
    uint64_t max_bytes, limit_bytes;
    uint64_t granted_bytes;                  /* handed to clients since the heap was made: about what was allocated */
    uint64_t live_bytes, live_objects;       /* found by the last collection; after a young one, no less than what lives */
    uint64_t collections, abandoned_stops;
    uint64_t last_pause_ns, total_pause_ns;
    char plan[24];
    uint64_t closed_bytes;                   /* plan pageprotect: freed, and closed until the next collection */
    uint64_t left_open_bytes;                /* of those, not closed in this process: that would take too many mappings */
};
/* Reads the heap's published counters: no system call. Racy by nature, each field valid. */
MMGC_API int mmgc_heap_info(const struct mmgc_heap *heap, struct mmgc_heap_info *ret_info);

/* ---- types ------------------------------------------------------------------------------------------------------- */

struct mmgc_type_layout {                    /* borrowed for the call */
    const char *name;                        /* 1 to 63 bytes, unique in the heap: same name and layout give every client the same type */
    uint32_t fixed_bytes;                    /* of the struct, or of the part before the elements */
    uint32_t element_bytes;                  /* 0: not an array; at most 1 MiB */
    const uint32_t *refs;                    /* byte offsets of the mmgc_refs in the fixed part, ascending */
    uint32_t ref_count;
    const uint32_t *element_refs;            /* the same within one element */
    uint32_t element_ref_count;
};
/* Registers or finds a type. MMGC_E_TYPE_CLASH, MMGC_E_TYPE_LAYOUT, MMGC_E_TYPE_LIMIT. Blocks for one round trip the first time. */
MMGC_API int mmgc_type_define(struct mmgc_heap *heap, const struct mmgc_type_layout *layout, mmgc_type *ret_type);
/* The ready-made arrays: of references, of bytes. */
MMGC_API int mmgc_type_refs(struct mmgc_heap *heap, mmgc_type *ret_type);
MMGC_API int mmgc_type_bytes(struct mmgc_heap *heap, mmgc_type *ret_type);
/* MMGC_DEFINE_TYPE(heap, node, &node_type, left, right): struct node, with these mmgc_ref fields in the order they stand in it.
 * MMGC_DEFINE_LEAF(heap, pixel, &pixel_type): struct pixel, without references. */
MMGC_API int mmgc_type_struct(struct mmgc_heap *heap, const char *name, size_t bytes, mmgc_type *ret_type, unsigned refs, ...);
#define MMGC_DEFINE_LEAF(heap, type_name, ret_type) \
    mmgc_type_struct((heap), #type_name, sizeof(struct type_name), (ret_type), 0u)
#define MMGC_DEFINE_TYPE(heap, type_name, ret_type, ...)                                                          \
    mmgc_type_struct((heap), #type_name, sizeof(struct type_name), (ret_type), MMGC_COUNT_(__VA_ARGS__),          \
                     MMGC_EACH_(type_name, __VA_ARGS__))
/* The name of an object's type; static while the heap is open. "" if it has none. The thread is inside. */
MMGC_API const char *mmgc_type_name(const struct mmgc_thread *t, const void *object);

/* ---- threads ----------------------------------------------------------------------------------------------------- */

struct mmgc_thread_options {                 /* zero-initialise */
    bool exact;                              /* roots are local roots, handles and names only: pointers die at each safepoint */
    const char *name;                        /* for people; NULL: the thread's name */
    void *stack_low;                         /* the stack it runs on, if it is not the one the system gave the thread */
    size_t stack_bytes;
};
/* Attaches the calling thread; it is outside. One thread attaches at most once to a heap. Ends by mmgc_detach() or with the thread. */
MMGC_API int mmgc_attach(struct mmgc_heap *heap, const struct mmgc_thread_options *options, struct mmgc_thread **ret_thread);
/* Detaches; leaves first if it is inside. NULL is fine. */
MMGC_API void mmgc_detach(struct mmgc_thread *t);
/* Registers one more stack (fibres, alternate signal stacks) that @t may run on or keep pointers in; scanned whole while it is
 * not the one in use. Parking on a stack that is not registered is MMGC_E_STACK. */
MMGC_API int mmgc_stack_add(struct mmgc_thread *t, void *stack_low, size_t stack_bytes);
MMGC_API int mmgc_stack_remove(struct mmgc_thread *t, void *stack_low);

/* ---- inside and outside ------------------------------------------------------------------------------------------ */

/* Goes inside. Waits while a collection runs. Not nestable: MMGC_E_IS_IN. MMGC_E_HEAP_GONE, MMGC_E_DISCONNECTED. */
MMGC_API int mmgc_enter(struct mmgc_thread *t);
/* Goes outside: collections no longer wait for this thread, and its raw pointers are dead. Local roots and handles stay. */
MMGC_API void mmgc_leave(struct mmgc_thread *t);
MMGC_API int mmgc_poll_slow_(struct mmgc_thread *t);
/* [safepoint] Lets a waiting collection happen; a load and a branch otherwise. Call it in loops that do not allocate.
 * MMGC_E_STACK: the thread is still inside. MMGC_E_DISCONNECTED, MMGC_E_HEAP_GONE and the like, from any safepoint: nobody knows of
 * its roots any more, so it is outside from then on and its pointers are dead. */
static inline int mmgc_poll(struct mmgc_thread *t)
{
    if (MMGC_LIKELY_((__atomic_load_n(t->epoch, __ATOMIC_RELAXED) & 1u) == 0))
        return MMGC_OK;
    return mmgc_poll_slow_(t);
}

/* Makes the compiler keep the pointer itself, not a compressed form of it, so that the collector sees it. No instruction. */
static inline void *mmgc_launder_(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}
/* The same of a pointer that is not NULL: nobody has to ask. */
static inline void *mmgc_launder_object_(void *p)
{
    p = mmgc_launder_(p);
    if (p == NULL)
        __builtin_unreachable();
    return p;
}
/* Keeps @p alive up to here even if the code no longer uses it. No instruction. */
static inline void mmgc_keep(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- allocating -------------------------------------------------------------------------------------------------- */

#define MMGC_SMALL_MAX 16384u                /* objects up to this size, header included, come from the bump */

MMGC_API void *mmgc_new_slow_(struct mmgc_thread *t, mmgc_type type, uint32_t length);
/* [safepoint] A new object of @type, all zero; NULL and mmgc_thread_error() when the heap is full even after a collection.
 * For an array type: without elements. */
static inline void *mmgc_new(struct mmgc_thread *t, mmgc_type type)
{
    char *p = t->cursor;
    if (MMGC_UNLIKELY_(type->bytes > (size_t)(t->limit - p)))
        return mmgc_new_slow_(t, type, 0);
    t->cursor = p + type->bytes;
    /* One 8-byte store fixes the size before anything else is stored to the object (it was zeroed before). */
    __atomic_store_n((uint64_t *)(void *)p, type->header, __ATOMIC_RELAXED);
    return mmgc_launder_object_(p + sizeof(uint64_t));
}
/* Bytes that an object of @type with @length elements takes, header included. */
static inline uint64_t mmgc_size(mmgc_type type, uint32_t length)
{
    uint64_t payload = type->fixed_bytes + (uint64_t)type->element_bytes * length;
    return 8u + (((payload ? payload : 1u) + 7u) & ~UINT64_C(7));
}
/* [safepoint] The same with @length elements. */
static inline void *mmgc_new_array(struct mmgc_thread *t, mmgc_type type, uint32_t length)
{
    char *p = t->cursor;
    uint64_t bytes = mmgc_size(type, length);
    if (MMGC_UNLIKELY_(bytes > (uint64_t)(t->limit - p)))
        return mmgc_new_slow_(t, type, length);
    t->cursor = p + bytes;
    __atomic_store_n((uint64_t *)(void *)p, type->header | (uint64_t)length << 32, __ATOMIC_RELAXED);
    return mmgc_launder_object_(p + sizeof(uint64_t));
}
enum mmgc_space {
    MMGC_SPACE_DEFAULT,                      /* where the plan has its objects, as mmgc_new() */
    MMGC_SPACE_NONMOVING,                    /* keeps its address for life, under every plan; freed like any other */
    MMGC_SPACE_IMMORTAL,                     /* never freed, nor moved; nor is what it refers to ever freed */
    MMGC_SPACE_LARGE                         /* in pages of its own: not moved, and alone in them */
};
/* [safepoint] The same with @length elements (0: none) in @space. Slower than mmgc_new(): for objects whose address or life
 * matters. No reservation covers it. Also MMGC_E_TOO_LARGE: an immortal object above MMGC_SMALL_MAX. */
MMGC_API void *mmgc_new_in(struct mmgc_thread *t, mmgc_type type, uint32_t length, enum mmgc_space space);
/* The number of elements of an object whose type has elements; of other objects it says nothing. */
static inline uint32_t mmgc_length(const void *object)
{
    return (uint32_t)(__atomic_load_n((const uint64_t *)object - 1, __ATOMIC_RELAXED) >> 32);
}
/* A number of @object that stays the same as long as it lives, wherever it is moved, and in every process: never 0, else any, and not
 * of this object alone: what hash tables are keyed by. The first who asks settles it. The thread is inside.
 * 0 and mmgc_thread_error(): MMGC_E_READ_ONLY: this session may not write and nobody has asked before; MMGC_E_INVALID, MMGC_E_NO_OBJECT. */
MMGC_API uint32_t mmgc_identity_hash(struct mmgc_thread *t, const void *object);
/* [safepoint] Makes the next allocations of at most @bytes together (by mmgc_size(), each at most MMGC_SMALL_MAX) unable to fail,
 * block or collect; each then takes constant time. Replaces an earlier reservation; 0 gives it back. At most 4 MiB.
 * MMGC_E_NOMEM, MMGC_E_RESERVE. */
MMGC_API int mmgc_reserve(struct mmgc_thread *t, uint64_t bytes);

/* ---- references -------------------------------------------------------------------------------------------------- */

static inline mmgc_ref mmgc_ref_of(const struct mmgc_thread *t, const void *object)
{
    mmgc_ref ref = {object ? (uint32_t)((uint64_t)((const char *)object - t->base) >> 3) : 0u};
    return ref;
}
static inline void *mmgc_deref(const struct mmgc_thread *t, mmgc_ref ref)
{
    return ref.granule ? mmgc_launder_(t->base + ((uint64_t)ref.granule << 3)) : NULL;
}
/* The object that @slot refers to, or NULL. Sees all that was stored to it before its reference was (acquire). */
static inline void *mmgc_load(const struct mmgc_thread *t, const mmgc_ref *slot)
{
    mmgc_ref ref = {__atomic_load_n(&slot->granule, __ATOMIC_ACQUIRE)};
    return mmgc_deref(t, ref);
}
MMGC_API void mmgc_store_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value);
MMGC_API bool mmgc_compare_and_swap_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *expected, const void *desired);
MMGC_API void *mmgc_exchange_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value);
/* The write barrier: whether the plan may have to hear of a store to @slot before it is done. Where nothing is logged this looks at a
 * table of zeroes, so that it costs no branch to know. */
static inline bool mmgc_must_log_(const struct mmgc_thread *t, const void *slot)
{
    return __atomic_load_n((const uint8_t *)(uintptr_t)(t->log_lines + ((uintptr_t)slot >> 8)), __ATOMIC_RELAXED) != 0;
}
/* Stores a reference to @value (or null) into @slot, a field of @object (release). @value is of the same heap; @object is the object
 * itself, as mmgc_new() or mmgc_load() gave it, no place inside it: here and in the calls below. With a hold open (hold.h) a store that
 * lets out what is in it stows that first, or is not done, and mmgc_thread_error() says why: MMGC_E_HELD, or no memory. */
static inline void mmgc_store(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
    if (MMGC_UNLIKELY_(mmgc_must_log_(t, slot))) {
        mmgc_store_slow_(t, object, slot, value); /* the store, too: so that nothing has to live across the call */
        return;
    }
    __atomic_store_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_RELEASE);
}
/* The first store to @slot, a field of an object that this thread has made since its last safepoint: no plan has to hear of it, so there is
 * no write barrier, as in a constructor. That it is such an object is the caller's promise: between mmgc_new() and this lies no call
 * marked [safepoint], no second mmgc_new() either. If it is broken, a collection may lose @value. Relaxed: others find the object by
 * a later mmgc_store(). */
static inline void mmgc_init_store(struct mmgc_thread *t, mmgc_ref *slot, const void *value)
{
    __atomic_store_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_RELAXED);
}
/* Replaces @expected by @desired in @slot of @object if it still is @expected. False: it was not. Sequentially consistent. */
static inline bool mmgc_compare_and_swap(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *expected, const void *desired)
{
    uint32_t old;
    if (MMGC_UNLIKELY_(mmgc_must_log_(t, slot)))
        return mmgc_compare_and_swap_slow_(t, object, slot, expected, desired);
    old = mmgc_ref_of(t, expected).granule;
    return __atomic_compare_exchange_n(&slot->granule, &old, mmgc_ref_of(t, desired).granule, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
/* Stores @value and returns what stood there. Sequentially consistent. */
static inline void *mmgc_exchange(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
    mmgc_ref old;
    if (MMGC_UNLIKELY_(mmgc_must_log_(t, slot)))
        return mmgc_exchange_slow_(t, object, slot, value);
    old.granule = __atomic_exchange_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_SEQ_CST);
    return mmgc_deref(t, old);
}
/* Copies @count references from @from to @to, which are fields of @object, as memmove() would (they may overlap) and each as
 * mmgc_load() and mmgc_store() would, but with one write barrier for all. No safepoint: copy long rows piece by piece. */
MMGC_API void mmgc_copy_refs(struct mmgc_thread *t, void *object, mmgc_ref *to, const mmgc_ref *from, size_t count);
/* Stores a reference to @value (or null) into each of @count fields of @object from @slots on. The same goes for it. */
MMGC_API void mmgc_fill_refs(struct mmgc_thread *t, void *object, mmgc_ref *slots, const void *value, size_t count);
/* mmgc_get(t, node, left); mmgc_set(t, node, left, child); mmgc_init(t, new_node, left, child); mmgc_cas(t, node, left, old, child) */
#define mmgc_get(t, object, field) mmgc_load((t), &(object)->field)
#define mmgc_set(t, object, field, value) mmgc_store((t), (object), &(object)->field, (value))
#define mmgc_init(t, object, field, value) mmgc_init_store((t), &(object)->field, (value))
#define mmgc_cas(t, object, field, expected, desired) mmgc_compare_and_swap((t), (object), &(object)->field, (expected), (desired))

/* ---- roots ------------------------------------------------------------------------------------------------------- */

/* Handles, for any thread of the process: <mmgc/handle.h>, which is included below. */

/* Local roots, for exact threads (ambiguous ones may use them, too): a stack of slots. The thread is inside.
 * A scope gives back at its close all locals made since it was opened. At most 65535: a local then is {0} and mmgc_thread_error()
 * is MMGC_E_LIMIT. */
typedef struct mmgc_local {
    uint32_t slot;
} mmgc_local;
typedef struct mmgc_scope {
    uint32_t top;
} mmgc_scope;
MMGC_API mmgc_scope mmgc_scope_open(struct mmgc_thread *t);
MMGC_API void mmgc_scope_close(struct mmgc_thread *t, mmgc_scope scope);
MMGC_API mmgc_local mmgc_local_new(struct mmgc_thread *t, const void *object);
MMGC_API void *mmgc_local_get(struct mmgc_thread *t, mmgc_local local);
MMGC_API void mmgc_local_set(struct mmgc_thread *t, mmgc_local local, const void *object);

/* Named roots: shared by all clients, kept by the daemon. 1 to 255 bytes. The thread is inside. One round trip (microseconds). */
MMGC_API int mmgc_name_set(struct mmgc_thread *t, const char *name, const void *object);     /* NULL removes it; MMGC_E_NO_NAME: there was none */
MMGC_API void *mmgc_name_get(struct mmgc_thread *t, const char *name);                       /* NULL: MMGC_E_NO_NAME */
/* Sets @name if nothing has it, and gives what has it then: @object or the one that was there first. */
MMGC_API int mmgc_name_claim(struct mmgc_thread *t, const char *name, const void *object, void **ret_object);

/* ---- collecting -------------------------------------------------------------------------------------------------- */

/* [safepoint] Asks for a full collection and waits for its end; from inside or outside. MMGC_E_STALLED: some client did not stop;
 * MMGC_E_UNSUPPORTED: the plan never collects. */
MMGC_API int mmgc_gc(struct mmgc_thread *t);

struct mmgc_stow_result {
    uint64_t collection;                     /* its number: that of its relocation notices (mmgc/notice.h) */
    uint64_t objects, bytes;                 /* what was found from the root over strong references, headers included */
    uint64_t moved_objects, moved_bytes;     /* of them, what lies side by side now */
    bool complete;                           /* all of it. Else some is pinned (an ambiguous root, a lease), of a kind that never moves (large,
                                                non-moving, immortal), or found no free memory: that stays, and was walked through */
};
/* [safepoint] The same, and what @root reaches over strong references lies packed afterwards: depth first, first field first, as who walks it
 * comes by. It moves before anything else does. The thread is inside. Where roots are ambiguous its own pointer pins the root itself: to have
 * that move, too, attach exactly and keep it in a local root or a handle. @ret_result may be NULL; it is as it was on failure. As mmgc_gc(),
 * and MMGC_E_NO_OBJECT; MMGC_E_LIMIT: 64 of a heap at once; MMGC_E_UNSUPPORTED: the plan moves nothing, or slides (marksweep, pageprotect,
 * nogc, markcompact, compressor), or the heap's ignore_system_gc is on. */
MMGC_API int mmgc_stow(struct mmgc_thread *t, const void *root, struct mmgc_stow_result *ret_result);

/* ---- macros' machinery: how many arguments, and offsetof for each --------------------------------------------------- */

#define MMGC_COUNT_(...) MMGC_COUNT_N_(__VA_ARGS__, 16u, 15u, 14u, 13u, 12u, 11u, 10u, 9u, 8u, 7u, 6u, 5u, 4u, 3u, 2u, 1u, 0u)
#define MMGC_COUNT_N_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, n, ...) n
#define MMGC_EACH_(s, ...) MMGC_EACH_CALL_(MMGC_EACH_PICK_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), s, __VA_ARGS__)
#define MMGC_EACH_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, n, ...) MMGC_EACH_##n##_
#define MMGC_EACH_CALL_(m, ...) m(__VA_ARGS__)
#define MMGC_OFF_(s, f) offsetof(struct s, f)
#define MMGC_EACH_1_(s, f) MMGC_OFF_(s, f)
#define MMGC_EACH_2_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_1_(s, __VA_ARGS__)
#define MMGC_EACH_3_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_2_(s, __VA_ARGS__)
#define MMGC_EACH_4_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_3_(s, __VA_ARGS__)
#define MMGC_EACH_5_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_4_(s, __VA_ARGS__)
#define MMGC_EACH_6_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_5_(s, __VA_ARGS__)
#define MMGC_EACH_7_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_6_(s, __VA_ARGS__)
#define MMGC_EACH_8_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_7_(s, __VA_ARGS__)
#define MMGC_EACH_9_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_8_(s, __VA_ARGS__)
#define MMGC_EACH_10_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_9_(s, __VA_ARGS__)
#define MMGC_EACH_11_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_10_(s, __VA_ARGS__)
#define MMGC_EACH_12_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_11_(s, __VA_ARGS__)
#define MMGC_EACH_13_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_12_(s, __VA_ARGS__)
#define MMGC_EACH_14_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_13_(s, __VA_ARGS__)
#define MMGC_EACH_15_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_14_(s, __VA_ARGS__)
#define MMGC_EACH_16_(s, f, ...) MMGC_OFF_(s, f), MMGC_EACH_15_(s, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#include <mmgc/handle.h>
#endif
