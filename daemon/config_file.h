/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Config file: sections [daemon], [heap], [heap NAME] of lines "key = value" over what @config holds. */
#include "daemon/config.h"

/* False: stderr names each mistake by file and line. */
bool config_file_read(struct config *config, const char *path);
