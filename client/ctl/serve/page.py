#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Page: page.html as C, with the policy that lets its own style and script run and nothing else.

Usage: page.py page.html page.c
"""
import base64
import hashlib
import pathlib
import re
import sys


def hashes(text, element):
    for body in re.findall(rf'<{element}>(.*?)</{element}>', text, re.S):
        yield "'sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() + "'"


def policy(text):
    return '; '.join(("default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
                      "frame-ancestors 'none'", 'style-src ' + ' '.join(hashes(text, 'style')),
                      'script-src ' + ' '.join(hashes(text, 'script'))))


def main():
    text = pathlib.Path(sys.argv[1]).read_text()
    data = text.encode()
    rows = [','.join(map(str, data[i:i + 32])) for i in range(0, len(data), 32)]
    pathlib.Path(sys.argv[2]).write_text(
        '/* Made of page.html by page.py. */\n#include "client/ctl/serve/page.h"\n'
        f'const char serve_page[] = {{\n{",".join(row + chr(10) for row in rows)}}};\n'
        'const size_t serve_page_bytes = sizeof(serve_page);\n'
        f'const char serve_page_policy[] = "{policy(text)}";\n')


if __name__ == '__main__':
    main()
