/* SPDX-License-Identifier: Apache-2.0 */
/* none.c - Serve, where there was no libmicrohttpd to build it with. */
#include "client/ctl/serve/serve.h"

enum mmgc_error serve_ask(struct ctl *ctl, json_t *document)
{
    return ctl_failed(ctl, MMGC_E_UNSUPPORTED, "this mmgcctl was built without libmicrohttpd; `mmgcctl top --json` needs none");
}
