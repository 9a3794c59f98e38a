/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reporter: another process, that writes a report of the store whenever it is told to. */

/* Reads a byte from @fd for each report, and answers with one when it is there; returns at the end of the file.
 * The store must be there before the first. */
void reporter_run(int fd);
