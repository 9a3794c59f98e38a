/* SPDX-License-Identifier: Apache-2.0 */
/* type.c - Type: the one place that says which layouts are types.
 *   Layouts come from clients, already copied into plain memory; nothing here asserts. */
#include "shm/type.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define REF_BYTES 4u

/* Reads one UTF-8 character of @text: its length in bytes, 0 if it is malformed. The terminating zero byte is not a
 * continuation byte, so reading stops there. */
static size_t utf8_read(const unsigned char *text, uint32_t *ret_point)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* less: an overlong form */
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    uint32_t point = length == 1 ? text[0] : text[0] & (0x7fu >> length);

    if (text[0] >= 0xf8 || (text[0] >= 0x80 && text[0] < 0xc0))
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3fu);
    }
    if (point < smallest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return length;
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

static const char *name_problem(const char *name)
{
    const unsigned char *text = (const unsigned char *)name;
    uint32_t point;

    if (name == NULL || name[0] == '\0')
        return "a type needs a name";
    if (strnlen(name, SHM_TYPE_NAME_MAX + 1) > SHM_TYPE_NAME_MAX)
        return "the type's name is longer than 63 bytes";
    for (size_t length; *text != '\0'; text += length) {
        length = utf8_read(text, &point);
        if (length == 0)
            return "the type's name is not UTF-8";
        if (is_control(point))
            return "the type's name has a control character";
    }
    return NULL;
}

static const char *size_problem(const struct shm_type_layout *layout)
{
    if (layout->fixed_bytes > SHM_TYPE_FIXED_MAX)
        return "the fixed part is larger than 16 MiB";
    if (layout->element_bytes > SHM_TYPE_ELEMENT_MAX)
        return "the element is larger than 1 MiB";
    if ((uint64_t)layout->ref_count + layout->element_ref_count > SHM_TYPE_REFS_MAX)
        return "the type has more than 256 references";
    if (layout->element_ref_count != 0 && layout->fixed_bytes % REF_BYTES != 0)
        return "elements with references follow a fixed part that is no multiple of 4";
    if (layout->element_ref_count != 0 && layout->element_bytes % REF_BYTES != 0)
        return "an element with references is no multiple of 4";
    return NULL;
}

static const char *refs_problem(const uint32_t *refs, uint32_t count, uint32_t part_bytes)
{
    if (count != 0 && refs == NULL)
        return "the offsets of the references are missing";
    for (uint32_t i = 0, end = 0; i < count; i++) {
        uint32_t offset = shm_ref_offset(refs[i]);
        enum shm_ref_kind kind = shm_ref_kind(refs[i]);
        if (kind >= SHM_REF_KINDS)
            return "there is no such kind of reference";
        if (offset % REF_BYTES != 0)
            return "a reference is not at a multiple of 4";
        if (offset + shm_ref_bytes(kind) > part_bytes)
            return "a reference lies outside its part";
        if (i > 0 && offset <= shm_ref_offset(refs[i - 1]))
            return "the references are not in ascending order";
        if (offset < end)
            return "a reference lies within a soft one or an ephemeron";
        end = offset + shm_ref_bytes(kind);
    }
    return NULL;
}

static uint32_t count_kind(const uint32_t *refs, uint32_t count, enum shm_ref_kind kind)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++)
        found += shm_ref_kind(refs[i]) == kind;
    return found;
}

static const char *queue_problem(const struct shm_type_layout *l)
{
    uint32_t queues = count_kind(l->refs, l->ref_count, SHM_REF_QUEUE), links = count_kind(l->refs, l->ref_count, SHM_REF_LINK);

    if (count_kind(l->element_refs, l->element_ref_count, SHM_REF_QUEUE) > 0 ||
        count_kind(l->element_refs, l->element_ref_count, SHM_REF_LINK) > 0)
        return "a queue or link lies in an element";
    return queues > 1 || queues != links ? "a type has one queue and one link, or neither" : NULL;
}

int shm_type_check(const struct shm_type_layout *layout, const char **ret_why)
{
    const char *why = name_problem(layout->name);

    if (why == NULL)
        why = size_problem(layout);
    if (why == NULL)
        why = refs_problem(layout->refs, layout->ref_count, layout->fixed_bytes);
    if (why == NULL)
        why = refs_problem(layout->element_refs, layout->element_ref_count, layout->element_bytes);
    if (why == NULL)
        why = queue_problem(layout);
    if (why == NULL)
        return 0;
    *ret_why = why;
    return -EINVAL;
}
