"""A pickle read as data: an interpreter that imports nothing, calls nothing of the file's choosing, and stops at the rest.

Python's own unpickler runs whatever a file names. This one knows the opcodes that a snapshot of networks is made of, and
takes a table of the names it may mention, each with what stands in for it here. Memory grows with the file alone: there
is no opcode whose argument reserves more than the bytes that follow it, and the memo is a dictionary.
"""

import pickletools
from types import FunctionType


class Refused(Exception):
    """Why a pickle is not read."""


def read(stream, names, persistent=None):
    """What the next pickle in a binary stream says.

    `names` maps (module, name) to what stands in for it: a function, called where the pickle would have called its
    namesake, or any other value; `persistent` maps the identifier of an object kept outside of the pickle to the object.
    Raises `Refused` with the reason.
    """
    machine = Machine(names, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name not in STEPS:
                raise Refused(f"it uses the opcode {opcode.name}, which no snapshot needs")
            STEPS[opcode.name](machine, argument)
        return machine.stack.pop()
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Refused(f"it is damaged or no pickle ({_short(error)})") from error


class Machine:
    """The stack, the stacks below its marks, and the memo."""

    def __init__(self, names, persistent):
        self.names, self.persistent = names, persistent
        self.stack, self.below, self.memo = [], [], {}

    def push(self, value):
        """Push a value."""
        self.stack.append(value)

    def mark(self, _):
        """Begin a new stack."""
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self):
        """Pop everything above the last mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def take(self, n):
        """Pop the top n values."""
        if len(self.stack) < n:
            raise LookupError("a value is missing")
        values = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return values

    def name(self, module, name):
        """What stands in for a name; never imported."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Refused("it computes the names of what it calls")
        if (module, name) not in self.names:
            raise Refused(f"it names {_short(f'{module}.{name}')}, which no snapshot needs")
        self.push(self.names[module, name])

    def call(self, function, arguments):
        """What our own stand-in makes of the arguments."""
        if not isinstance(function, FunctionType) or not isinstance(arguments, tuple):
            raise Refused("it calls what is not a function")
        self.push(function(*arguments))

    def fill(self, entries):
        """Keys and values, in turn, into the dictionary on top."""
        target = self.stack[-1]
        if type(target) is not dict:
            raise Refused("it sets items of what is not a dictionary")
        target.update(zip(map(_plain, entries[::2]), entries[1::2], strict=True))

    def build(self, _):
        """The state of an object: a number's format has one that says nothing new, all else is refused."""
        self.take(1)
        if self.stack[-1] is not NUMBER:
            raise Refused("it sets the state of an object by itself")

    def outside(self, _):
        """An object kept outside of the pickle."""
        if self.persistent is None:
            raise Refused("it asks for objects from outside")
        self.push(self.persistent(self.take(1)[0]))


NUMBER = object()  # stands in for a number of numpy's, and for its format: no setting of a network is read from one


def _plain(key):
    """A key or member whose hash costs nothing: nested tuples that share their parts take exponential time."""
    if type(key) not in (str, int):
        raise Refused(f"it has a {type(key).__name__} for a key")
    return key


def _members(machine, _):
    values = machine.since_mark()
    if type(machine.stack[-1]) is not set:
        raise Refused("it adds members to what is not a set")
    machine.stack[-1].update(map(_plain, values))


def _extend(machine, values):
    if type(machine.stack[-1]) is not list:
        raise Refused("it appends to what is not a list")
    machine.stack[-1].extend(values)


def _short(what, most=80):
    words = " ".join(str(what).split())
    return words if len(words) <= most else f"{words[:most]}..."


def _value(machine, argument):
    machine.push(argument)


def _constant(value):
    return lambda machine, _: machine.push(value)


def _tuple(n):
    return lambda machine, _: machine.push(tuple(machine.take(n)))


STEPS = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _value),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _value),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _value),
    **{"NONE": _constant(None), "NEWTRUE": _constant(True), "NEWFALSE": _constant(False)},
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    **{"EMPTY_TUPLE": _tuple(0), "TUPLE1": _tuple(1), "TUPLE2": _tuple(2), "TUPLE3": _tuple(3)},
    "MARK": Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "APPEND": lambda machine, _: _extend(machine, machine.take(1)),
    "APPENDS": lambda machine, _: _extend(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: machine.fill(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.fill(machine.since_mark()),
    "ADDITEMS": _members,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, key: machine.push(machine.memo[key])),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, key: machine.memo.update({key: machine.stack[-1]})),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    "GLOBAL": lambda machine, words: machine.name(*words.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.take(2)),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda machine, _: machine.call(*machine.take(2))),
    "BUILD": Machine.build,
    "BINPERSID": Machine.outside,
}
