/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write: HPROF's records, big-endian. One outside the heap dump is written at once; those inside are gathered into segments of up to a MiB, and one that is
 * larger has a segment of its own, whose length is known before.
 *   Names    of a text are counted from 1; objects' identifiers are another count   */
#include "client/ctl/dump/sink.h"

#define HPROF_SEGMENT_BYTES SINK_BYTES
#define HPROF_RECORD_MAX UINT32_C(0xffff0000) /* a segment's length has 32 bits */

enum hprof_tag {                              /* records */
    HPROF_UTF8 = 0x01, HPROF_LOAD_CLASS = 0x02, HPROF_FRAME = 0x04, HPROF_TRACE = 0x05, HPROF_START_THREAD = 0x0a,
    HPROF_SEGMENT = 0x1c, HPROF_END = 0x2c,
};
enum hprof_sub {                              /* records in a segment */
    HPROF_ROOT_JNI_GLOBAL = 0x01, HPROF_ROOT_JNI_LOCAL = 0x02, HPROF_ROOT_JAVA_FRAME = 0x03, HPROF_ROOT_STICKY = 0x05, HPROF_ROOT_THREAD = 0x08,
    HPROF_CLASS = 0x20, HPROF_INSTANCE_DUMP = 0x21, HPROF_OBJECT_ARRAY = 0x22, HPROF_PRIMITIVE_ARRAY = 0x23,
};

struct hprof_out {
    struct sink *to;
    uint32_t id_bytes;                        /* 4 or 8 */
    uint32_t names;                           /* written so far */
    unsigned char *segment;                   /* [HPROF_SEGMENT_BYTES] */
    size_t used;
    uint64_t direct;                          /* bytes of a record that are still to come, past the segment */
};

bool hprof_out_init(struct hprof_out *out, struct sink *to, uint32_t id_bytes, uint64_t taken_ms);     /* writes the header; false: no memory */
void hprof_out_fini(struct hprof_out *out);   /* writes the segment and the end */
uint64_t hprof_name(struct hprof_out *out, const char *text);  /* a UTF8 record */
/* A record's head; its @bytes follow. */
void hprof_record(struct hprof_out *out, enum hprof_tag tag, uint32_t bytes);
/* The same in a segment; @bytes with the tag, HPROF_RECORD_MAX at most. */
void hprof_sub(struct hprof_out *out, enum hprof_sub tag, uint64_t bytes);
/* Of a record outside: */
void hprof_put(struct hprof_out *out, uint64_t number, uint32_t bytes);
void hprof_put_id(struct hprof_out *out, uint64_t id);

/* Of one in a segment: room for its next bytes, SINK_BYTES at most, to be filled at once. */
static inline unsigned char *hprof_room(struct hprof_out *out, size_t bytes)
{
    if (out->direct > 0) {
        out->direct -= bytes;
        return sink_room(out->to, bytes);
    }
    out->used += bytes;
    return out->segment + out->used - bytes;
}
static inline unsigned char *hprof_big(unsigned char *at, uint64_t number, uint32_t bytes)
{
    uint64_t big = __builtin_bswap64(number << (64 - 8 * bytes));

    memcpy(at, &big, bytes);
    return at + bytes;
}
static inline void hprof_add(struct hprof_out *out, uint64_t number, uint32_t bytes)
{
    hprof_big(hprof_room(out, bytes), number, bytes);
}
static inline void hprof_add_id(struct hprof_out *out, uint64_t id)
{
    hprof_add(out, id, out->id_bytes);
}
