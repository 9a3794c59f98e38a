/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Page: page.html, as page.py has put it into the program. */
#include <stddef.h>

extern const char serve_page[];
extern const size_t serve_page_bytes;
extern const char serve_page_policy[];        /* its Content-Security-Policy: by the hashes of its style and its script */
