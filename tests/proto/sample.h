/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sample: messages with every field set, made from what the schema says of itself: a new field or kind is tested unasked.
 *   Owner    the caller; sample_*_new() is dropped with wire_*_free() */
#include "proto/wire.h"

/* A message of kind @body_case: numbers differ from 0 and from each other, strings are valid, repeated fields have three. */
wire_request *sample_request_new(unsigned body_case);
wire_reply *sample_reply_new(unsigned body_case);

/* The field numbers of an envelope's kinds, in order: @i from 0; 0 after the last. */
unsigned sample_request_kind(size_t i);
unsigned sample_reply_kind(size_t i);

/* @message in its bytes, malloc'd. */
uint8_t *sample_pack(const ProtobufCMessage *message, size_t *ret_count);

/* Replaces the string at @slot of a sample. */
void sample_set_string(char **slot, const char *value);
/* A string of @bytes letters, malloc'd. */
char *sample_letters(size_t bytes);

/* A pseudorandom number; *@state is the seed, and moves on. */
uint64_t sample_random(uint64_t *state);
/* Changes @bytes (of @capacity) in one to eight places: flips, cuts, doubles, numbers that hurt. Returns how many are left. */
size_t sample_mutate(uint8_t *bytes, size_t count, size_t capacity, uint64_t *state);
