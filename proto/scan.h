/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Scan: one look at the bytes of a message before anything is allocated for it.
 *   Why      protobuf-c takes what proto3 tolerates: a field given twice (merged), two bodies (the last wins), a NUL inside a
 *            string (cut off there). None of it is ever sent by an honest peer, so none of it reaches protobuf-c.
 *   Threads  any; keeps nothing */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct wire_scan {
    uint32_t serial;                                 /* 0 until it was met */
    const ProtobufCFieldDescriptor *body;            /* which of the oneof; NULL: none that is known here */
    bool nul;                                        /* a string has a NUL inside */
};

/* Walks @bytes as an envelope of type @envelope (Request or Reply). False: malformed; *ret then holds what stood before. */
bool wire_scan(const void *bytes, size_t count, const ProtobufCMessageDescriptor *envelope, struct wire_scan *ret);
