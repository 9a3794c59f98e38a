# SPDX-License-Identifier: Apache-2.0
"""mmgc for gdb: `source tests/support/gdb/mmgc_gdb.py`, in a daemon or in a client, with debug information.

  print REF                a struct mmgc_ref says which object it leads to: its type, length, and first bytes
  print *MUTATOR           and struct shm_control, packet, job: a line that says what matters; print/r shows all fields
  mmgc heaps               each heap: plan, phase, epoch, sizes
  mmgc sessions            each session and its threads: in, out or parked; a client: its threads
  mmgc blocks [HEAP]       the daemon: blocks by kind
  mmgc jobs                the daemon: collections' jobs, their stages and packets, and what each worker runs
  mmgc object REF [HEAP]   the object at a reference's number, an mmgc_ref or an address

Everything is read from memory, nothing is called: it works in a core file, too, as far as that has the memory (segments are left out of core
dumps), and with a process that must not run on.
"""
import gdb
import gdb.printing

GRANULE, PAGE, BLOCK = 8, 4096, 32768
TYPE_MASK, TYPES_MAX = 0x3fff, 16384


# ---- finding things ------------------------------------------------------------------------------------------------

def symbol(name):
    """The value of a global or of one static of a file; None: there is none here."""
    found = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    return found.value() if found is not None else None


def local_of(function, name):
    """A local variable of a function that some thread is in."""
    before = gdb.selected_thread()
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            frame = gdb.newest_frame()
            while frame is not None:
                if frame.name() == function:
                    value = frame.read_var(name)
                    if not value.is_optimized_out:
                        return value
                frame = frame.older()
    except (gdb.error, ValueError):
        pass
    finally:
        if before is not None:
            before.switch()
    return None


def server():
    found = local_of('server_run', 'server')
    if found is None:
        raise gdb.GdbError('no mmgcd here, or none with debug information')
    return found


def queue(head, link):
    """The entries of a TAILQ."""
    entry = head['tqh_first']
    while int(entry) != 0:
        yield entry
        entry = entry[link]['tqe_next']


def text(array):
    return array.string(errors='replace', length=-1)


def enum(value):
    """Its constant's name; what is no enum is cast by the caller."""
    return str(value).split('::')[-1]


class Heap:
    """What both sides have of one."""

    def __init__(self, name, base, control, record):
        self.name, self.base, self.control, self.record = name, base, control, record

    def types(self):
        return self.control['types']


def heaps():
    """Of this process: a client's, or the daemon's."""
    found, entry = [], symbol('heap_list')
    while entry is not None and int(entry) != 0:
        found.append(Heap(entry['name'].string(), int(entry['base']), entry['control'], entry))
        entry = entry['next']
    if found or local_of('server_run', 'server') is None:
        return found
    rows = server()['heaps']
    for i in range(int(rows['count'])):
        h = rows['rows'][i]
        found.append(Heap(text(h['name']), int(h['arena']['address']), h['control'], h))
    return found


def the_heap(name=None):
    all_of_them = heaps()
    chosen = [heap for heap in all_of_them if name in (None, heap.name)]
    if len(chosen) == 1:
        return chosen[0]
    names = ', '.join(heap.name for heap in all_of_them) or 'none'
    raise gdb.GdbError(f'which heap? There are: {names}')


# ---- objects -------------------------------------------------------------------------------------------------------

class Object:
    """At a granule; what it says is checked, for anybody may have written it."""

    def __init__(self, heap, granule):
        self.address = heap.base + granule * GRANULE
        if not 0 < granule * GRANULE < int(heap.control['arena_bytes']):
            raise ValueError('outside the arena')
        self.header = int.from_bytes(self.read(-8, 8), 'little')
        self.id = self.header & TYPE_MASK
        if self.header & 1 << 31:
            raise ValueError(f'moved to granule {self.header >> 32}')
        if not 0 < self.id < int(heap.control['type_count']):
            raise ValueError(f'no object: its header is {self.header:#x}')
        row = heap.types()[self.id]
        self.type, self.fixed, self.element = text(row['name']), int(row['fixed_bytes']), int(row['element_bytes'])
        self.length = self.header >> 32 if self.element else None
        self.identity = self.header >> 14 & 0x1ffff if self.element else self.header >> 32
        self.payload = self.fixed + self.element * (self.length or 0)
        self.bytes = 8 + (max(self.payload, 1) + 7) // 8 * 8

    def read(self, offset, count):
        return bytes(gdb.selected_inferior().read_memory(self.address + offset, count))

    def __str__(self):
        length = f'[{self.length}]' if self.length is not None else ''
        return f'{self.type}{length}, {self.bytes} bytes at {self.address:#x}'

    def words(self):
        data = self.read(0, min(self.payload, 32))
        return ' '.join(data[i:i + 4].hex() for i in range(0, len(data), 4)) + (' ...' if self.payload > 32 else '')


def object_says(granule):
    """Of each heap that is open here, for a reference does not say whose it is."""
    said = []
    for heap in heaps():
        try:
            said.append((heap, str(Object(heap, granule))))
        except (ValueError, gdb.MemoryError) as why:
            said.append((heap, f'{why}'))
    if len(said) == 1:
        return said[0][1]
    return '; '.join(f'{heap.name}: {what}' for heap, what in said) or 'no heap is open'


# ---- printers ------------------------------------------------------------------------------------------------------

class Ref:
    def __init__(self, value):
        self.granule = int(value['granule'])

    def to_string(self):
        return f'{self.granule} -> {object_says(self.granule)}' if self.granule else 'null'


STATES = {0: 'OUT', 1: 'IN', 2: 'PARKED'}


def bump(words):
    cursor, limit, end = (int(words[name]) for name in ('cursor', 'limit', 'end'))
    return 'void' if end == 0 else f'{cursor:#x}, zeroed for {limit - cursor}, {end - cursor} to its end'


class Mutator:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        m = self.value
        state = int(m['state'])
        held = int(m['held'])
        return (f"thread {int(m['id'])}, {STATES.get(state, f'state {state}')}, {int(m['root_count'])} roots, {int(m['local_count'])} locals, "
                f"{f'hold {held} open, ' if held else ''}bump {bump(m['lines'])}")


def epoch(control):
    number = int(control['epoch'])
    return f"epoch {number}{', stopping' if number & 1 else ''}"


class Control:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        c = self.value
        return (f"{text(c['plan'])}, {epoch(c)}, {int(c['collections'])} collections, {int(c['live_bytes'])} of {int(c['limit_bytes'])} bytes live, "
                f"{int(c['type_count']) - 1} types, barrier {'on' if int(c['barrier_active']) else 'off'}{', corrupt' if int(c['corrupt']) else ''}")


class Packet:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        p = self.value
        if int(p['kind']) == 0:
            return 'a packet of no kind'
        kind = p['kind']
        stages, stage = p['job']['config']['stage_names'], int(kind['stage'])
        return f"{kind['name'].string()}, stage {stages[stage].string()}, {int(p['count'])} items, args {[int(p['args'][i]) for i in range(4)]}"


def job_says(job):
    config = job['config']
    stage, stages = int(job['stage']), int(config['stages'])
    runs = enum(job['run'].cast(gdb.lookup_type('enum job_run')))
    queues = ', '.join(f"{config['stage_names'][i].string()} {int(job['queues'][i]['count'])}" for i in range(stages) if int(job['queues'][i]['count']))
    at = config['stage_names'][stage].string() if stage < stages else 'none'
    return f"{config['name'].string()} {int(job['id'])}, {runs}, stage {at}, {int(job['pending'])} packets pending, queued: {queues or 'none'}"


class Job:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return job_says(self.value)


def printers():
    found = gdb.printing.RegexpCollectionPrettyPrinter('mmgc')
    for name, printer in (('mmgc_ref', Ref), ('shm_mutator', Mutator), ('shm_control', Control), ('packet', Packet), ('job', Job)):
        found.add_printer(name, f'^{name}$', printer)
    return found


# ---- commands ------------------------------------------------------------------------------------------------------

class Mmgc(gdb.Command):
    """Heaps, sessions, blocks, jobs and objects of mmgcd and its clients."""

    def __init__(self):
        super().__init__('mmgc', gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


Mmgc()


def command(function):
    """`mmgc NAME` runs @function with its words."""
    class Command(gdb.Command):
        __doc__ = function.__doc__

        def __init__(self):
            super().__init__(f'mmgc {function.__name__.strip("_")}', gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

        def invoke(self, argument, from_tty):
            function(*gdb.string_to_argv(argument))
    Command()
    return function


def journal(header):
    return enum(header['journal'].cast(gdb.lookup_type('enum heap_journal')))


def collector_says(h):
    c = h['collector']
    if not bool(c['busy']):
        return 'collector idle'
    return f"collector at {enum(c['task']['work'])}{', stopping' if bool(c['stops']) else ', beside clients'}"


@command
def heaps_(*_):
    """Each heap: its plan, its phase, its sizes."""
    for heap in heaps():
        print(f'{heap.name}: {Control(heap.control.dereference()).to_string()}')
        if heap.record.type.target().tag != 'shared_heap':
            print(f'  arena at {heap.base:#x}, {int(heap.control["arena_bytes"])} bytes')
            continue
        h = heap.record
        print(f"  {int(h['session_count'])} sessions, {int(h['mutator_count'])} threads, {collector_says(h)}, "
              f"journal {journal(h['heap']['meta']['header'])}, cycle {enum(h['heap']['cycle']['state'])}")


def show_mutator(m, indent):
    try:
        print(f"{indent}{text(m['name']) or '-'}, tid {int(m['tid'])}: {Mutator(m['words'].dereference()).to_string()}")
    except gdb.MemoryError:
        print(f"{indent}thread {int(m['id'])}: its segment is not there")


@command
def sessions(*_):
    """Each session, and its threads; in a client, the threads of each heap."""
    if symbol('heap_list') is not None and local_of('server_run', 'server') is None:
        for heap in heaps():
            th = heap.record['threads']
            while int(th) != 0:
                print(f"{heap.name}: {Mutator(th['m'].dereference()).to_string()}")
                th = th['next']
        return
    for s in queue(server()['sessions'], 'in_server'):
        heap = f"heap {text(s['heap']['name'])}" if int(s['heap']) else 'no heap'
        print(f"session {int(s['id'])}, {text(s['name'])}, pid {int(s['peer']['pid'])}, {enum(s['stage'])}, {heap}")
        for m in queue(s['mutators'], 'in_session'):
            show_mutator(m, '  ')


@command
def blocks(name=None):
    """Blocks of a heap, by kind."""
    heap = the_heap(name)
    if heap.record.type.target().tag != 'shared_heap':
        raise gdb.GdbError('blocks are known to the daemon alone')
    b = heap.record['heap']['blocks']
    kinds = {field.enumval: field.name for field in gdb.lookup_type('enum block_kind').fields()}
    for kind in range(kinds and max(kinds)):
        if int(b['counts'][kind]):
            print(f"{int(b['counts'][kind]):8} {kinds[kind].removeprefix('BLOCK_')}")
    print(f"{int(b['total']):8} of {BLOCK} bytes, below {int(b['high'])} in use or committed")


@command
def jobs(*_):
    """Jobs of the engines, and what their workers run."""
    for name in ('engine', 'background'):
        engine = server()[name]
        if int(engine) == 0:
            continue
        print(f"{name}: {int(engine['count'])} workers")
        job = engine['jobs']
        while int(job) != 0:
            print(f'  {job_says(job)}')
            job = job['next']
        for i in range(int(engine['count'])):
            running = engine['workers'][i]['running']
            if int(running) != 0:
                print(f'  worker {i}: {Packet(running.dereference()).to_string()}')


@command
def object_(ref=None, name=None):
    """mmgc object REF [HEAP]: the object at a reference's number, an mmgc_ref, or an address."""
    if ref is None:
        raise gdb.GdbError('mmgc object REF [HEAP]')
    heap = the_heap(name)
    value = gdb.parse_and_eval(ref)
    if value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        value = value['granule']
    number = int(value)
    granule = (number - heap.base) // GRANULE if number >= heap.base else number
    try:
        found = Object(heap, granule)
    except (ValueError, gdb.MemoryError) as why:
        raise gdb.GdbError(f'granule {granule} of {heap.name}: {why}') from None
    print(f'granule {granule} of {heap.name}: {found}')
    print(f'  header {found.header:#x}: type {found.id}, identity {found.identity or "none"}')
    print(f'  {found.words()}')


gdb.printing.register_pretty_printer(None, printers(), replace=True)
