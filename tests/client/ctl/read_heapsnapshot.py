#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a .heapsnapshot of V8, strictly: written from the description of its format (Microsoft Edge's "The heap snapshot file format").

As a program it prints what it found as JSON; as a module, read() gives it.
"""
import collections
import json
import sys


class Wrong(Exception):
    pass


class Snapshot:
    def __init__(self, text):
        data = json.loads(text)
        head = data['snapshot']
        self.meta = head['meta']
        self.strings = data['strings']
        self.check_order(text)
        self.node_types, self.edge_types = self.meta['node_types'][0], self.meta['edge_types'][0]
        self.nodes = self.rows(data['nodes'], self.meta['node_fields'], head['node_count'])
        self.edges = self.rows(data['edges'], self.meta['edge_fields'], head['edge_count'])
        for empty in ('trace_function_infos', 'trace_tree', 'samples', 'locations'):
            if data[empty] != []:
                raise Wrong(f'{empty} is not empty')
        if len(self.meta['node_types']) != len(self.meta['node_fields']) or len(self.meta['edge_types']) != len(self.meta['edge_fields']):
            raise Wrong('a field has no type')
        self.check_nodes()
        self.out = self.check_edges()

    @staticmethod
    def check_order(text):
        """DevTools reads the file as it comes, and looks for these one after the other."""
        at = 0
        for key in ('"snapshot"', '"nodes"', '"edges"', '"samples"', '"locations"', '"strings"'):
            at = text.find(key, at)
            if at < 0:
                raise Wrong(f'{key} is missing, or not in its place')

    @staticmethod
    def rows(numbers, fields, count):
        if len(numbers) != count * len(fields):
            raise Wrong(f'{len(numbers)} numbers are not {count} rows of {len(fields)}')
        if any(type(n) is not int or n < 0 or n >= 2 ** 53 for n in numbers):
            raise Wrong('not all of them are natural numbers')
        Row = collections.namedtuple('Row', fields)
        return [Row(*numbers[i:i + len(fields)]) for i in range(0, len(numbers), len(fields))]

    def check_nodes(self):
        if len({node.id for node in self.nodes}) != len(self.nodes):
            raise Wrong('two nodes have the same id')
        for node in self.nodes:
            self.node_types[node.type], self.strings[node.name]
        if self.node_types[self.nodes[0].type] != 'synthetic':
            raise Wrong('the root is not synthetic')

    def check_edges(self):
        out, at, width = [], 0, len(self.meta['node_fields'])
        for node in self.nodes:
            out.append(self.edges[at:at + node.edge_count])
            at += node.edge_count
        if at != len(self.edges):
            raise Wrong('nodes do not have as many edges as there are')
        for edge in self.edges:
            if edge.to_node % width != 0 or edge.to_node // width >= len(self.nodes):
                raise Wrong(f'an edge leads to {edge.to_node}, where no node begins')
            if self.edge_types[edge.type] not in ('element', 'hidden'):
                self.strings[edge.name_or_index]
        return out

    def name(self, node):
        return self.strings[self.nodes[node].name]

    def edges_of(self, node):
        """(type, name or index, node) for each."""
        for edge in self.out[node]:
            kind = self.edge_types[edge.type]
            yield kind, edge.name_or_index if kind == 'element' else self.strings[edge.name_or_index], \
                edge.to_node // len(self.meta['node_fields'])

    def follow(self, node, *names):
        for name in names:
            node = next(to for _, edge, to in self.edges_of(node) if edge == name)
        return node

    def reached(self):
        """Nodes that strong edges lead to from the root."""
        seen, todo = {0}, [0]
        while todo:
            for kind, _, to in self.edges_of(todo.pop()):
                if kind != 'weak' and to not in seen:
                    seen.add(to)
                    todo.append(to)
        return seen

    def histogram(self):
        found = {}
        for index, node in enumerate(self.nodes):
            if self.node_types[node.type] != 'object':
                continue
            row = found.setdefault(self.name(index), {'objects': 0, 'bytes': 0})
            row['objects'] += 1
            row['bytes'] += node.self_size
        return found


def read(path):
    with open(path, encoding='utf-8') as file:
        return Snapshot(file.read())


if __name__ == '__main__':
    snapshot = read(sys.argv[1])
    json.dump({'types': snapshot.histogram(), 'nodes': len(snapshot.nodes), 'edges': len(snapshot.edges)}, sys.stdout, indent=1)
