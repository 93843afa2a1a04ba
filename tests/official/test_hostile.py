"""Pickles that want more than to be read: each does nothing, and is refused with the reason.

Each is assembled by hand, opcode by opcode, or written by Python's own pickler of an object that runs something; each
would leave a file behind, fill the memory or never end, were it given to `pickle.load`.
"""

import os
import pickle
import struct
import tracemalloc
from functools import partial
from io import BytesIO

import pytest

from echogan.errors import BadInput
from echogan.official.convert import import_snapshot
from echogan.official.pickles import Refused, read
from tests.official import writer

MARK, STOP = b"(", b"."


def word(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(*parts):
    return b"\x80\x04" + b"".join(parts) + STOP


def named(module, name):
    """STACK_GLOBAL."""
    return word(module) + word(name) + b"\x93"


def old_named(module, name):
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def call(function, *arguments):
    return function + MARK + b"".join(arguments) + b"t" + b"R"


class Runs:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


class Filled:
    """Its pickle sets a state."""

    def __getstate__(self):
        return {"x": 1}


def shares(levels, make=b"\x86"):
    """A tuple of a tuple of ... each twice in the next: 2^levels in the end."""
    body = b")"
    for level in range(levels):
        body += b"q" + bytes([level]) + b"h" + bytes([level]) + make
    return body


REBUILD = named("torch._utils", "_rebuild_tensor_v2")
STORAGE = named("torch.storage", "_load_from_bytes")
NETWORK = named("torch_utils.persistence", "_reconstruct_persistent_obj")
SET = named("builtins", "set")
ORDERED = named("collections", "OrderedDict")


def bytes8(claimed, data=b""):
    return b"\x8e" + struct.pack("<Q", claimed) + data


def storage(**told):
    """What the numbers in PyTorch's older file format are read by."""
    return call(STORAGE, stored(**told))


def stored(dtype="FloatStorage", count=4, data=b"\0" * 16, key=None, magic=0x1950A86A20F9469CFC6C, little=True):
    """PyTorch's older file format around some numbers."""
    identifier = key or (b"(" + word("storage") + old_named("torch", dtype) + word("0") + word("cpu") + b"K\x04Nt")
    parts = [pickle.dumps(magic, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": little}, 2)]
    parts += [b"\x80\x02" + identifier + b"Q.", pickle.dumps(["0"], 2), struct.pack("<q", count), data]
    data = b"".join(parts)
    return b"B" + struct.pack("<I", len(data)) + data


def tensor(size, stride, offset=b"K\x00", **told):
    return call(REBUILD, storage(**told), offset, size, stride, b"\x89", call(ORDERED))


def network(state, name=None):
    body = word("type") + word("class") + word("class_name") + (name or word("Generator")) + word("state") + state
    return call(NETWORK, b"}" + MARK + body + b"u")


def ema(net):
    return whole(b"}" + word("G_ema") + net + b"s")


def again(function, argument, times=400):
    """A list of what a call makes, made once more for every five bytes."""
    first = function + b"q\x00" + MARK + argument + b"t" + b"q\x01" + b"R"
    return whole(b"]" + first + b"a" + b"h\x00h\x01Ra" * times)


def numbered(value, n=20_000):
    """A dictionary of n times the same."""
    more = b"".join(b"M" + struct.pack("<H", i) + b"h\x02" for i in range(1, n))
    return b"}" + MARK + b"K\x00" + value + b"q\x02" + more + b"u"


def meta(parameters):
    """What a network is made of."""
    state = b"}" + word("_parameters") + parameters + b"s"
    return b"}" + MARK + word("type") + word("class") + word("class_name") + word("G") + word("state") + state + b"u"


def nested(depth):
    """A list in a list in a list ..."""
    return b"]" * depth + b"a" * (depth - 1)


def part_of_itself():
    modules = b"}" + b"q\x01"  # remembered, filled later
    state = b"}" + MARK + word("_modules") + modules + b"u"
    inside = b"h\x01" + word("again") + b"h\x02" + b"s"
    return whole(b"}" + MARK + word("G_ema") + network(state) + b"q\x02" + word("x") + inside + b"u")


HARM = "import pathlib; pathlib.Path('harm').touch()"
EVIL = {
    # a function of Python's, called
    "os.system": whole(call(named("os", "system"), word("touch harm"))),
    "posix.system": whole(call(named("posix", "system"), word("touch harm"))),
    "nt.system": whole(call(named("nt", "system"), word("touch harm"))),
    "os.system by the old opcode": whole(call(old_named("os", "system"), word("touch harm"))),
    "builtins.eval": whole(call(named("builtins", "eval"), word("open('harm', 'w')"))),
    "builtins.exec": whole(call(named("builtins", "exec"), word(HARM))),
    "builtins.getattr": whole(call(named("builtins", "getattr"), word("x"), word("upper"))),
    "builtins.__import__": whole(call(named("builtins", "__import__"), word("os"))),
    "builtins.open": whole(call(named("builtins", "open"), word("harm"), word("w"))),
    "subprocess.Popen": whole(call(named("subprocess", "Popen"), word("touch harm"))),
    "subprocess.check_output": whole(call(named("subprocess", "check_output"), word("touch harm"))),
    "runpy.run_path": whole(call(named("runpy", "run_path"), word("harm.py"))),
    "importlib.import_module": whole(call(named("importlib", "import_module"), word("antigravity"))),
    "webbrowser.open": whole(call(named("webbrowser", "open"), word("about:blank"))),
    "shutil.rmtree": whole(call(named("shutil", "rmtree"), word("nowhere"))),
    "pickle.loads, a pickle in a pickle": whole(call(named("pickle", "loads"), b"C\x04\x80\x04N.")),
    "torch.load": whole(call(named("torch", "load"), word("harm"))),
    "torch.hub.load": whole(call(named("torch.hub", "load"), word("x"), word("y"))),
    "operator.attrgetter": whole(call(named("operator", "attrgetter"), word("system"))),
    "functools.partial": whole(call(named("functools", "partial"), named("os", "system"), word("touch harm"))),
    "a dotted name": whole(call(named("torch", "os.system"), word("touch harm"))),
    "a name of ours": whole(call(named("echogan.official.pickles", "read"), word("x"))),
    "python's own pickler": pickle.dumps(Runs(os.system, "touch harm")),
    "python's own pickler, oldest protocol": pickle.dumps(Runs(os.system, "touch harm"), 0),
    "hidden among networks": writer.dumps({"G_ema": writer.generator_like(Runs(os.system, "touch harm"))}),
    "hidden in a setting": writer.dumps({"G_ema": writer.Net("Generator", z_dim=Runs(partial, print))}),
    "hidden in a storage": whole(call(STORAGE, b"C\x1c" + b"\x80\x02cos\nsystem\nX\x04\0\0\0harm\x85R."[:28])),
    # the other ways to make an object
    "INST": b"(X\x0a\0\0\0touch harmios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nX\x0a\0\0\0touch harmo.",
    "NEWOBJ": whole(named("subprocess", "Popen") + MARK + word("touch harm") + b"t\x81"),
    "NEWOBJ_EX": whole(named("subprocess", "Popen") + MARK + word("touch harm") + b"t}\x92"),
    "BUILD on a dictionary": whole(call(ORDERED) + b"}" + word("x") + b"K\x01sb"),
    "BUILD on a network": whole(network(b"}") + b"}b"),
    "BUILD by python's own pickler": pickle.dumps(Filled()),
    "EXT1": whole(b"\x82\x01"),
    "EXT4": whole(b"\x84\x01\0\0\0"),
    "PERSID": b"Pharm\n.",
    "BINPERSID": whole(word("harm") + b"Q"),
    "out-of-band buffer": b"\x80\x05\x97.",
    "a computed name": whole(word("o") + b")" + b"\x93"),
    "a call of what is no function": whole(b"K\x01)R"),
    "a call of a number's format": whole(named("numpy", "dtype") + b"K\x01R"),
    # memory and time
    "memo far away": whole(b"Nr\xff\xff\xff\xff" + b"h\x01"),
    "huge bytes that are not there": whole(bytes8(2**62)),
    "huge text that is not there": whole(b"\x8d" + struct.pack("<Q", 2**62)),
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "huge number in digits": b"L" + b"9" * 100_000 + b"L\n.",
    "shared tuples as a key": whole(b"}" + shares(60) + b"K\x01s"),
    "shared tuples as a member": whole(b"\x8f" + MARK + shares(60) + b"\x90"),
    "shared tuples as the whole": whole(shares(200)),
    "lists in each other": whole(b"]" * 10**5 + b"a" * (10**5 - 1)),
    "bytes handed on again and again": again(STORAGE, stored(count=25_000, data=b"\0" * 100_000)),
    "a network handed on again and again": again(NETWORK, meta(numbered(tensor(b"K\x01\x85", b"K\x01\x85")))),
    "words handed on again and again": again(SET, b"]" + MARK + b"".join(map(word, map(str, range(20_000)))) + b"e"),
    "shared tuples as the name of a network": ema(network(b"}", shares(24))),
    "lists in each other as the name of a network": ema(network(b"}", nested(20_000))),
    "a frame larger than the file": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
    # networks and tensors that claim what is not so
    "a tensor larger than its storage": ema(tensor(b"M\xff\xff\x85", b"K\x01\x85")),
    "a tensor of one number stretched": ema(tensor(b"J\xff\xff\xff\x7f\x85", b"K\x00\x85", count=1, data=b"\0" * 4)),
    "a tensor before its storage": ema(tensor(b"K\x01\x85", b"K\x01\x85", offset=b"J\xff\xff\xff\xff")),
    "a tensor with a step backward": ema(tensor(b"K\x02\x85", b"J\xff\xff\xff\xff\x85")),
    "a tensor of many dimensions": ema(tensor(*[MARK + b"K\x01" * 1000 + b"t"] * 2)),
    "a tensor without a storage": whole(call(REBUILD, b"N", b"K\x00", b")", b")", b"\x89", call(ORDERED))),
    "a storage longer than its bytes": ema(tensor(b"K\x01\x85", b"K\x01\x85", count=2**40)),
    "a storage of objects": ema(tensor(b"K\x01\x85", b"K\x01\x85", dtype="ObjectStorage")),
    "a storage in another file": ema(tensor(b"K\x01\x85", b"K\x01\x85", key=b"(" + word("file") + word("harm") + b"t")),
    "a storage with another magic": ema(tensor(b"K\x01\x85", b"K\x01\x85", magic=1)),
    "a big-endian storage": ema(tensor(b"K\x01\x85", b"K\x01\x85", little=False)),
    "a network without a state": ema(call(NETWORK, b"}")),
    "a network that is a number": ema(call(NETWORK, b"K\x01")),
    "a network with itself inside": part_of_itself(),
    "a network of text": ema(network(b"}" + word("_parameters") + b"}" + word("w") + word("text") + b"ss")),
    # no snapshots at all
    "nothing": b"",
    "text": b"hello",
    "cut in the middle": whole(word("x"))[:-4],
    "an empty dictionary": whole(b"}"),
    "a list": whole(b"]"),
    "an empty stack": whole(b"R"),
    "a ZIP": b"PK\x03\x04" + b"\0" * 60,
    "a TensorFlow snapshot": whole(call(named("dnnlib.tflib.network", "Network"))),
}


@pytest.mark.parametrize("name", EVIL)
def test_nothing_happens_and_the_reason_is_said(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(EVIL[name])
    tracemalloc.start()
    with pytest.raises(BadInput) as refused:
        import_snapshot("evil.pkl", "out.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(refused.value).startswith("evil.pkl") and len(str(refused.value)) < 600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.pkl"]
    assert peak < 200 * len(EVIL[name]) + 5e6, "memory beyond what a file of this size may take"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("os.system", "it names os.system, which no snapshot needs"),
        ("INST", "it uses the opcode INST"),
        ("BUILD on a network", "sets the state of an object by itself"),
        ("BINPERSID", "asks for objects from outside"),
        ("shared tuples as a key", "a tuple for a key"),
        ("a tensor larger than its storage", "larger than its storage"),
        ("a storage longer than its bytes", "cut short"),
        ("an empty dictionary", "no averaged generator"),
        ("a TensorFlow snapshot", "convert it with legacy.py"),
        ("a network with itself inside", "inside it twice"),
        ("bytes handed on again and again", "the same bytes over and over"),
        ("a network handed on again and again", "the same bytes over and over"),
        ("words handed on again and again", "the same bytes over and over"),
        ("shared tuples as the name of a network", "has no name"),
        ("lists in each other as the name of a network", "has no name"),
        ("a tensor of many dimensions", "no storage or no shape"),
        ("hidden among networks", "it names posix.system"),
    ],
)
def test_the_reason_is_the_true_one(name, reason, tmp_path):
    (tmp_path / "evil.pkl").write_bytes(EVIL[name])
    with pytest.raises(BadInput, match=reason):
        import_snapshot(tmp_path / "evil.pkl", tmp_path / "out.safetensors")


def test_what_never_returns_is_damage():
    def deeper():
        return deeper()

    with pytest.raises(Refused, match="damaged"):
        read(BytesIO(whole(call(named("a", "b")))), {("a", "b"): deeper})


def test_the_examples_do_harm_to_whoever_loads_them(tmp_path, monkeypatch):
    """Else the tests above would prove nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(EVIL["builtins.exec"])
    assert (tmp_path / "harm").exists()
    with pytest.raises(SystemExit):
        pickle.loads(writer.dumps_at_home(writer.Net("Generator")))
