/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/dump/hprof_write.h"

#include <stdlib.h>

#include "client/ctl/text.h"

void hprof_put(struct hprof_out *out, uint64_t number, uint32_t bytes)
{
    hprof_big(sink_room(out->to, bytes), number, bytes);
}

void hprof_put_id(struct hprof_out *out, uint64_t id)
{
    hprof_put(out, id, out->id_bytes);
}

void hprof_record(struct hprof_out *out, enum hprof_tag tag, uint32_t bytes)
{
    hprof_put(out, tag, 1);
    hprof_put(out, 0, 4);                     /* microseconds since the header's time */
    hprof_put(out, bytes, 4);
}

uint64_t hprof_name(struct hprof_out *out, const char *text)
{
    char *utf8 = text_to_utf8(text);

    hprof_record(out, HPROF_UTF8, out->id_bytes + (uint32_t)strlen(utf8));
    hprof_put_id(out, ++out->names);
    sink_text(out->to, utf8);
    free(utf8);
    return out->names;
}

static void end_segment(struct hprof_out *out)
{
    if (out->used == 0)
        return;
    hprof_record(out, HPROF_SEGMENT, (uint32_t)out->used);
    sink_put(out->to, out->segment, out->used);
    out->used = 0;
}

void hprof_sub(struct hprof_out *out, enum hprof_sub tag, uint64_t bytes)
{
    if (out->used + bytes > HPROF_SEGMENT_BYTES)
        end_segment(out);
    if (bytes > HPROF_SEGMENT_BYTES) {
        hprof_record(out, HPROF_SEGMENT, (uint32_t)bytes);
        out->direct = bytes;
    }
    hprof_add(out, tag, 1);
}

bool hprof_out_init(struct hprof_out *out, struct sink *to, uint32_t id_bytes, uint64_t taken_ms)
{
    static const char magic[] = "JAVA PROFILE 1.0.2";

    *out = (struct hprof_out){ .to = to, .id_bytes = id_bytes, .segment = malloc(HPROF_SEGMENT_BYTES) };
    if (out->segment == NULL)
        return false;
    sink_put(to, magic, sizeof(magic));
    hprof_put(out, id_bytes, 4);
    hprof_put(out, taken_ms, 8);
    return true;
}

void hprof_out_fini(struct hprof_out *out)
{
    end_segment(out);
    hprof_record(out, HPROF_END, 0);
    free(out->segment);
}
