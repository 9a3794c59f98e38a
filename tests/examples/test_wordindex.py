#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wordindex counts every word of every file as tr, sort and uniq do: while several index at once, when some are killed and
their share is taken up again, after files have changed."""
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

WORDINDEX = live.BUILD / 'docs' / 'examples' / 'wordindex' / 'wordindex'
HEADERS = pathlib.Path('/usr/include/linux')
INDEXERS, PASSES, KILLS = 4, 3, 4
HEAP_MIB, HEADERS_HEAP_MIB = 24, 64
FILES, WORDS = (40, 400) if live.sanitized() else (160, 3000)

rng = live.seeded()

# What the example promises to pass over is left out here by find: hidden names, folders called build, links.
COUNT = r'''
find "$@" -mindepth 1 \( -name '.*' -o -type d -name build \) -prune -o -type f -print0 |
while IFS= read -r -d '' file; do
    tr -cs 'A-Za-z0-9_' '\n' <"$file" | sort | uniq -c
done |
awk 'NF == 2 { count[$2] += $1; files[$2]++ } END { for (word in count) print count[word], files[word], word }'
'''


# ---- what is indexed -------------------------------------------------------------------------------------------------

def vocabulary():
    letters = 'etaoinshrdlucmfwypvbgkjqxzETAOIN0123456789_'
    words = {''.join(rng.choices(letters, k=rng.choice((1, 2, 3, 5, 8, 13, 40)))) for _ in range(WORDS)}
    return sorted(words | {'_', '0', 'x' * 300, 'the', 'The', '__init__'})


VOCABULARY = vocabulary()
SEPARATORS = (b' ', b'\n', b', ', b'\t', b'\r\n', b'->', b'\0', 'ä'.encode(), b'\xff', b'-')


def text():
    """Some words are in every file, most in few."""
    words = random.Random(rng.random()).choices(VOCABULARY, weights=[1 / (i + 1) for i in range(len(VOCABULARY))],
                                                k=rng.choice((0, 1, 10, 300, 3000)))
    return b''.join(word.encode() + rng.choice(SEPARATORS) for word in words) + rng.choice((b'', b'\n', b'last'))


class Corpus:
    """Files in a folder of their own, with what an indexer has to pass over among them."""

    def __enter__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix='mmgcd-words-'))
        for i in range(FILES):
            path = self.top / rng.choice(('', 'a', 'a/b', 'a/b/c d', 'ü')) / f'file {i}.txt'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text())
        self.files = sorted(path for path in self.top.rglob('*') if path.is_file())
        (self.top / 'build').mkdir()
        for passed_over in ('.hidden', 'build/object', 'a/.git'):
            (self.top / passed_over).parent.mkdir(parents=True, exist_ok=True)
            (self.top / passed_over).write_text('passed_over ' * 100)
        (self.top / 'link').symlink_to(self.files[0])
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def change(self):
        """Words go and come: some files get others, some lose all, some get more."""
        for path in rng.sample(self.files, len(self.files) // 4):
            path.write_bytes(rng.choice((b'', text(), text(), path.read_bytes() + text())))


def count(*folders):
    """{word: (how often, in how many files)} by ordinary tools."""
    lines = live.run('bash', '-c', COUNT, 'count', *folders, env={**os.environ, 'LC_ALL': 'C'})
    return as_counts(lines)


def as_counts(lines):
    rows = (line.split(' ') for line in lines.splitlines())
    return {word: (int(times), int(files)) for times, files, word in rows}


# ---- indexing --------------------------------------------------------------------------------------------------------

def start(daemon, heap, share, folders, passes=PASSES):
    heap_mib = HEADERS_HEAP_MIB if heap == 'headers' else HEAP_MIB
    return subprocess.Popen([WORDINDEX, 'index', '--socket', daemon.socket, '--heap', heap, '--heap-mib', str(heap_mib),
                             '--share', str(share), '--of', str(INDEXERS), '--passes', str(passes), *folders],
                            stdin=subprocess.DEVNULL, preexec_fn=live.die_with_parent)


def finish(indexers):
    for number, indexer in enumerate(indexers):
        status = indexer.wait(120)
        if status != 0:
            raise live.Failed(f'indexer {number} ended with status {status}')


@contextlib.contextmanager
def collecting(daemon, heap):
    """Meanwhile somebody collects all the time, so that it happens at every point of the work."""
    loop = 'while :; do "$0" --socket "$1" gc "$2" >/dev/null 2>&1; sleep 0.01; done'
    process = subprocess.Popen(['sh', '-c', loop, live.BUILD / 'client' / 'ctl' / 'mmgcctl', daemon.socket, heap],
                               preexec_fn=live.die_with_parent)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def index(daemon, heap, folders, passes=PASSES):
    with collecting(daemon, heap):
        finish([start(daemon, heap, share, folders, passes) for share in range(INDEXERS)])


def expect_same(daemon, heap, expected):
    found = as_counts(live.run(WORDINDEX, 'dump', '--socket', daemon.socket, '--heap', heap))
    if found != expected:
        wrong = sorted(word for word in found.keys() | expected.keys() if found.get(word) != expected.get(word))
        rows = '\n'.join(f'{word[:40]}: found {found.get(word)}, is {expected.get(word)}' for word in wrong[:10])
        raise live.Failed(f'{len(wrong)} of {len(expected)} words differ\n{rows}')
    daemon.mmgcctl('verify', heap)


def kill_and_take_up(daemon, heap, folders, after_s):
    """All indexers; one, drawn at random, is killed @after_s seconds after the start and started again."""
    indexers = [start(daemon, heap, share, folders) for share in range(INDEXERS)]
    victim = rng.randrange(INDEXERS)
    time.sleep(after_s)
    indexers[victim].kill()
    killed = indexers[victim].wait() != 0
    daemon.mmgcctl('verify', heap)
    indexers[victim] = start(daemon, heap, victim, folders)
    with collecting(daemon, heap):
        finish(indexers)
    return killed


# ---- cases -----------------------------------------------------------------------------------------------------------

def four_indexers_count_as_ordinary_tools_do():
    with Corpus() as corpus, live.Daemon() as daemon:
        index(daemon, 'words', [corpus.top])
        expected = count(corpus.top)
        if 'passed_over' in expected or len(expected) < len(VOCABULARY) / 4:
            raise live.Failed('the corpus is not what it should be')
        expect_same(daemon, 'words', expected)


def the_kernels_headers_are_counted_as_ordinary_tools_do():
    if not HEADERS.is_dir():
        raise live.Skip(f'there is no {HEADERS}')
    folder = HEADERS / 'netfilter' if live.sanitized() and (HEADERS / 'netfilter').is_dir() else HEADERS
    with live.Daemon() as daemon:
        index(daemon, 'headers', [folder])
        expect_same(daemon, 'headers', count(folder))
        print(daemon.mmgcctl('info', 'headers'), file=sys.stderr)


def a_killed_indexer_whose_share_is_taken_up_again_changes_nothing():
    killed = 0
    with Corpus() as corpus, live.Daemon() as daemon:
        began = time.monotonic()
        index(daemon, 'words', [corpus.top])
        takes_s = time.monotonic() - began
        expected = count(corpus.top)
        for _ in range(4 * KILLS):           # some have done their work before
            daemon.mmgcctl('destroy', 'words')
            killed += kill_and_take_up(daemon, 'words', [corpus.top], takes_s * rng.random() * 0.6)
            expect_same(daemon, 'words', expected)
            if killed == KILLS:
                return
    if killed == 0:
        raise live.Failed('none was killed while it worked')


def a_changed_file_leaves_nothing_of_what_it_was():
    with Corpus() as corpus, live.Daemon() as daemon:
        index(daemon, 'words', [corpus.top], passes=1)
        for _ in range(3):
            corpus.change()
            index(daemon, 'words', [corpus.top], passes=1)
            expect_same(daemon, 'words', count(corpus.top))


def a_killed_indexer_of_changed_files_leaves_nothing_of_what_they_were():
    with Corpus() as corpus, live.Daemon() as daemon:
        index(daemon, 'words', [corpus.top], passes=1)
        for _ in range(KILLS):
            corpus.change()
            kill_and_take_up(daemon, 'words', [corpus.top], rng.random() * 0.2)
            expect_same(daemon, 'words', count(corpus.top))


def a_query_says_what_ordinary_tools_count():
    with Corpus() as corpus, live.Daemon() as daemon:
        index(daemon, 'words', [corpus.top], passes=1)
        expected = count(corpus.top)
        words = rng.sample(sorted(expected), 10) + ['never_written']
        said = live.run(WORDINDEX, 'query', '--socket', daemon.socket, '--heap', 'words', *words)
        for word in words:
            times, files = expected.get(word, (0, 0))
            if f'{word}: {times} times in {files} files\n' not in said:
                raise live.Failed(f'{word} is {times} times in {files} files, and not as in\n{said}')


def the_demonstration_runs_to_its_end():
    with Corpus() as corpus:
        said = live.run(live.ROOT / 'docs' / 'examples' / 'wordindex' / 'run', live.BUILD, corpus.top)
        for word in ('indexed', 'live', 'collections', 'histogram', 'verify'):
            if word not in said:
                raise live.Failed(f'it does not say {word}:\n{said}')


if __name__ == '__main__':
    sys.exit(live.main([
        four_indexers_count_as_ordinary_tools_do,
        the_kernels_headers_are_counted_as_ordinary_tools_do,
        a_killed_indexer_whose_share_is_taken_up_again_changes_nothing,
        a_changed_file_leaves_nothing_of_what_it_was,
        a_killed_indexer_of_changed_files_leaves_nothing_of_what_they_were,
        a_query_says_what_ordinary_tools_count,
        the_demonstration_runs_to_its_end,
    ]))
