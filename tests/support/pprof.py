# SPDX-License-Identifier: Apache-2.0
"""Pprof: reads a profile.proto, compressed or not, with nothing of ours: a decoder of protobuf's wire format, and what pprof demands of one."""
import gzip

# Message: {field number: (name, what)}; what is a message, str, int, or [one of these] for repeated fields.
VALUE_TYPE = {1: ('type', int), 2: ('unit', int)}
SAMPLE = {1: ('location_id', [int]), 2: ('value', [int]), 3: ('label', [dict])}
MAPPING = {1: ('id', int), 2: ('memory_start', int), 3: ('memory_limit', int), 4: ('file_offset', int), 5: ('filename', int), 6: ('build_id', int),
           7: ('has_functions', int), 8: ('has_filenames', int), 9: ('has_line_numbers', int), 10: ('has_inline_frames', int)}
LINE = {1: ('function_id', int), 2: ('line', int)}
LOCATION = {1: ('id', int), 2: ('mapping_id', int), 3: ('address', int), 4: ('line', [LINE])}
FUNCTION = {1: ('id', int), 2: ('name', int), 3: ('system_name', int), 4: ('filename', int), 5: ('start_line', int)}
PROFILE = {1: ('sample_type', [VALUE_TYPE]), 2: ('sample', [SAMPLE]), 3: ('mapping', [MAPPING]), 4: ('location', [LOCATION]), 5: ('function', [FUNCTION]),
           6: ('string_table', [str]), 9: ('time_nanos', int), 10: ('duration_nanos', int), 11: ('period_type', VALUE_TYPE), 12: ('period', int),
           13: ('comment', [int]), 14: ('default_sample_type', int)}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (value - 2**64 if value >= 2**63 else value), at


def decode(data, message):
    """{name: value} of @data; fields that are not there are 0 or []."""
    got = {name: [] if isinstance(what, list) else 0 for name, what in message.values()}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        name, what = message[key >> 3]
        one = what[0] if isinstance(what, list) else what
        if key & 7 == 0:
            values, at = [0], at
            values[0], at = varint(data, at)
        else:
            assert key & 7 == 2, f'wire type {key & 7} of {name}'
            length, at = varint(data, at)
            piece, at = data[at:at + length], at + length
            assert len(piece) == length, f'{name} is cut short'
            values = unpack(piece) if one is int else [piece.decode() if one is str else decode(piece, one)]
        if isinstance(what, list):
            got[name] += values
        else:
            got[name] = values[-1]
    return got


def unpack(piece):
    values, at = [], 0
    while at < len(piece):
        value, at = varint(piece, at)
        values.append(value)
    return values


class Profile:
    """A whole one: what Go's profile.CheckValid() looks at holds, or it is an AssertionError."""

    def __init__(self, path):
        data = path.read_bytes()
        self.compressed = data[:2] == b'\x1f\x8b'
        self.__dict__.update(decode(gzip.decompress(data) if self.compressed else data, PROFILE))
        self.locations = {one['id']: one for one in self.location}
        self.functions = {one['id']: one for one in self.function}
        self.mappings = {one['id']: one for one in self.mapping}
        self.check()

    def check(self):
        assert self.string_table[0] == '', 'string 0 is not empty'
        for whole, by_id in ((self.location, self.locations), (self.function, self.functions), (self.mapping, self.mappings)):
            assert len(whole) == len(by_id) and 0 not in by_id, 'ids are not unique'
        for sample in self.sample:
            assert len(sample['value']) == len(self.sample_type), 'a sample has too few values'
            assert all(one in self.locations for one in sample['location_id'])
        for location in self.location:
            mapping = self.mappings.get(location['mapping_id'])
            assert mapping is None or mapping['memory_start'] <= location['address'] < mapping['memory_limit'], 'an address lies outside'
            assert all(line['function_id'] in self.functions for line in location['line'])

    def text(self, index):
        return self.string_table[index]

    def types(self):
        return [(self.text(one['type']), self.text(one['unit'])) for one in self.sample_type]

    def names(self, location_id):
        """The functions at a location, those inlined first."""
        return [self.text(self.functions[line['function_id']]['name']) for line in self.locations[location_id]['line']]

    def total(self, which):
        return sum(sample['value'][which] for sample in self.sample)

    def by_leaf(self, which):
        """{function: sum} by whoever called the library."""
        sums = {}
        for sample in self.sample:
            name = (self.names(sample['location_id'][0]) or ['?'])[0]
            sums[name] = sums.get(name, 0) + sample['value'][which]
        return sums
