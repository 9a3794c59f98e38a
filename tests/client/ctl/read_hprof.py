#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a dump in HPROF's binary format (JAVA PROFILE 1.0.2), strictly: written from the format's description alone.

Everything must be defined before it is used, every length must be met to the byte, every reference lead to an object. As a program it
prints what it found as JSON; as a module, read() gives it.
"""
import json
import struct
import sys

VALUE_BYTES = {4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}        # and 2: an object's identifier
ROOTS = {0xff: 'unknown', 1: 'jni global', 2: 'jni local', 3: 'java frame', 4: 'native stack', 5: 'sticky class', 6: 'thread block',
         7: 'monitor', 8: 'thread'}


class Wrong(Exception):
    pass


class Bytes:
    """Big-endian numbers from a part of the file."""

    def __init__(self, data, at, end):
        self.data, self.at, self.end = data, at, end

    def take(self, count):
        if self.at + count > self.end:
            raise Wrong(f'a record ends at {self.end}, within a value at {self.at}')
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), 'big')


class Dump:
    def __init__(self, data):
        if not data.startswith(b'JAVA PROFILE 1.0.2\0'):
            raise Wrong('it does not begin with the name of the format')
        self.data = data
        self.id_bytes, self.time_ms = struct.unpack_from('>IQ', data, 19)
        if self.id_bytes not in (4, 8):
            raise Wrong(f'identifiers of {self.id_bytes} bytes')
        self.names, self.loaded, self.serials, self.frames, self.traces = {}, {}, {}, {}, {}
        self.classes, self.objects, self.roots, self.threads = {}, {}, [], {}
        self.statics = {}                                # {class: {name: object}}
        self.values = {}                                 # {object: {field: value}, [elements] or bytes}
        self.class_of = {}
        self.ended = False
        self.segments = 0
        self.records(Bytes(data, 31, len(data)))
        self.check()

    # ---- records ----

    def records(self, b):
        readers = {1: self.utf8, 2: self.load_class, 4: self.frame, 5: self.trace, 0x0a: self.start_thread, 0x1c: self.segment}
        while b.at < b.end:
            tag, _, length = b.number(1), b.number(4), b.number(4)
            inner = Bytes(self.data, b.at, b.at + length)
            b.take(length)
            if self.ended:
                raise Wrong('something follows the end of the heap dump')
            if tag == 0x2c:
                self.ended = True
                continue
            if tag not in readers:
                raise Wrong(f'no record has the tag {tag}')
            readers[tag](inner)
            if inner.at != inner.end:
                raise Wrong(f'{inner.end - inner.at} bytes are left in a record with tag {tag}')
        if not self.ended:
            raise Wrong('the heap dump does not end')

    def id(self, b):
        return b.number(self.id_bytes)

    def name(self, b):
        return self.names[self.id(b)]

    def utf8(self, b):
        which = self.id(b)
        self.names[which] = b.take(b.end - b.at).decode('utf-8')

    def load_class(self, b):
        serial, which = b.number(4), self.id(b)
        if serial == 0 or serial in self.serials or which in self.loaded:
            raise Wrong(f'class {serial} is loaded twice')
        self.trace_exists(b)
        self.loaded[which] = self.serials[serial] = self.name(b)

    def frame(self, b):
        which = self.id(b)
        self.frames[which] = (self.name(b), self.name(b), self.name(b), self.serials[b.number(4)], b.number(4))

    def trace(self, b):
        serial, thread = b.number(4), b.number(4)
        self.traces[serial] = (thread, [self.frames[self.id(b)] for _ in range(b.number(4))])

    def start_thread(self, b):
        serial, which = b.number(4), self.id(b)
        self.trace_exists(b, True)
        self.threads[serial] = (which, self.name(b))
        self.name(b), self.name(b)

    def trace_exists(self, b, at_once=False):
        serial = b.number(4)
        if at_once and serial not in self.traces or serial == 0:
            raise Wrong(f'there is no stack trace {serial}')
        return serial

    # ---- heap dump ----

    def segment(self, b):
        self.segments += 1
        readers = {0x20: self.klass, 0x21: self.instance, 0x22: self.object_array, 0x23: self.primitive_array}
        while b.at < b.end:
            tag = b.number(1)
            if tag in ROOTS:
                self.root(ROOTS[tag], b)
            elif tag in readers:
                readers[tag](b)
            else:
                raise Wrong(f'nothing in a heap dump has the tag {tag}')

    def root(self, kind, b):
        which, thread = self.id(b), None
        if kind == 'jni global':
            self.id(b)
        elif kind in ('jni local', 'java frame'):
            thread, frame = b.number(4), b.number(4)
            if frame >= len(self.traces_of(thread)):
                raise Wrong(f'thread {thread} has no frame {frame}')
        elif kind == 'thread':
            thread = b.number(4)
            if self.trace_exists(b, True) and self.threads[thread][0] != which:
                raise Wrong(f'thread {thread} is not the object that was said')
        self.roots.append((kind, which, thread))

    def traces_of(self, thread):
        return next(frames for who, frames in self.traces.values() if who == thread)

    def value(self, b, kind):
        return self.id(b) if kind == 2 else b.number(VALUE_BYTES[kind])

    def klass(self, b):
        which = self.id(b)
        self.trace_exists(b, True)
        above = self.id(b)
        for _ in range(5):
            self.id(b)
        bytes_, constants = b.number(4), b.number(2)
        if constants != 0 or which in self.classes or which not in self.loaded or above != 0 and above not in self.classes:
            raise Wrong(f'class {which:#x} cannot be')
        self.statics[which] = {}
        for _ in range(b.number(2)):
            name, kind = self.name(b), b.number(1)
            self.statics[which][name] = self.value(b, kind)
        fields = [(self.name(b), b.number(1)) for _ in range(b.number(2))]
        if sum(self.id_bytes if kind == 2 else VALUE_BYTES[kind] for _, kind in fields) != bytes_:
            raise Wrong(f'fields of {self.loaded[which]} are not as long as its instances')
        self.classes[which] = (self.loaded[which], fields, bytes_)

    def begin(self, b):
        which = self.id(b)
        if which == 0 or which in self.objects or which in self.classes:
            raise Wrong(f'{which:#x} is there twice')
        self.trace_exists(b, True)
        return which

    def instance(self, b):
        which, of = self.begin(b), self.id(b)
        name, fields, bytes_ = self.classes[of]
        if b.number(4) != bytes_:
            raise Wrong(f'an instance of {name} is not as long as its class says')
        self.values[which] = {field: self.value(b, kind) for field, kind in fields}
        self.objects[which] = [v for (_, kind), v in zip(fields, self.values[which].values()) if kind == 2]
        self.class_of[which] = (name, 2 * self.id_bytes + bytes_)

    def object_array(self, b):
        which, count = self.begin(b), b.number(4)
        name = self.classes[self.id(b)][0]
        if not name.startswith('[L'):
            raise Wrong(f'{name} is no class of arrays')
        self.values[which] = self.objects[which] = [self.id(b) for _ in range(count)]
        self.class_of[which] = (name, 2 * self.id_bytes + 4 + count * self.id_bytes)

    def primitive_array(self, b):
        which, count, kind = self.begin(b), b.number(4), b.number(1)
        self.values[which] = b.take(count * VALUE_BYTES[kind])
        self.objects[which] = []
        self.class_of[which] = ({8: '[B'}[kind], 2 * self.id_bytes + 4 + count * VALUE_BYTES[kind])

    # ---- all of it ----

    def check(self):
        for who, refs in self.objects.items():
            for ref in refs:
                if ref != 0 and ref not in self.objects:
                    raise Wrong(f'{who:#x} refers to {ref:#x}, which is not there')
        for kind, which, _ in self.roots:
            if which not in self.objects and which not in self.classes:
                raise Wrong(f'a root ({kind}) leads to {which:#x}, which is not there')
        for needed in ('java/lang/Object', 'java/lang/Class', 'java/lang/ClassLoader', 'java/lang/String', '[B'):
            if needed not in self.loaded.values():
                raise Wrong(f'there is no class {needed}')

    def histogram(self):
        found = {}
        for name, bytes_ in self.class_of.values():
            row = found.setdefault(name, {'objects': 0, 'bytes': 0})
            row['objects'] += 1
            row['bytes'] += bytes_
        return found

    def named(self):
        of = next(which for which, name in self.loaded.items() if name == 'mmgc/Names')
        return self.statics[of]


def read(path):
    with open(path, 'rb') as file:
        return Dump(file.read())


if __name__ == '__main__':
    dump = read(sys.argv[1])
    json.dump({'id_bytes': dump.id_bytes, 'classes': dump.histogram(), 'threads': [name for _, name in dump.threads.values()],
               'roots': sorted(kind for kind, _, _ in dump.roots), 'segments': dump.segments}, sys.stdout, indent=1)
