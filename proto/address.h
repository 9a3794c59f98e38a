/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Address: what connecting and listening share; for packet.c and listen.c alone. */
#include <sys/socket.h>
#include <sys/un.h>

/* 0, -ENOENT (empty), -ENAMETOOLONG. A leading '@' is the abstract namespace. */
int packet_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_bytes);
/* packet_connect() with more flags for socket(). */
int packet_connect_with(const char *path, int flags);
