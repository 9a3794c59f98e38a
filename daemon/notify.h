/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notify: what systemd wants to hear and what it hands us; nothing at all where there is no libsystemd.       */

/* The one listening SOCK_SEQPACKET socket that systemd passed; -ENOENT: none; -EINVAL: it is something else. */
int notify_listen_fd(void);
void notify_ready(void);
void notify_stopping(void);
__attribute__((format(printf, 1, 2))) void notify_status(const char *format, ...);
