"""Official snapshots in: the same images, whatever the file's protocol; what another family draws is refused."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from echogan.cli import main
from echogan.engine.checkpoint import load_weights
from echogan.errors import BadInput
from echogan.models.stylegan2_ada import Config, StyleGAN2ADA
from echogan.official import convert
from echogan.official.convert import import_snapshot
from echogan.official.snapshot import moment
from tests.official import writer

ROOT = Path(__file__).parents[2]
CLONE = Path(os.environ.get("ECHOGAN_OFFICIAL") or ROOT / "external" / "stylegan2-ada-pytorch")


def model(**settings):
    """A small generator with nothing at its first value, so that no tensor may be forgotten or exchanged."""
    torch.manual_seed(3)
    made = StyleGAN2ADA(Config(**{"base": 256, "widest": 32, "latent": 16, "resolution": 32, **settings}))
    with torch.no_grad():
        for value in made.G.state_dict().values():
            value.add_(0.3 * torch.randn(value.shape))
    return made.eval()


def images(made, label=None):
    """What it draws in fp32 with its constant noise."""
    z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    w = torch.lerp(made.G.w_mean, made.G.latents(z, label), 0.7)
    with torch.no_grad():
        return made.G(w[:, None].expand(-1, made.G.layers, -1), made.G.grain.expand(4, -1))


@pytest.mark.parametrize("protocol", [3, 4])  # of Python 3.7, which the official code was written for, and of today
def test_a_snapshot_draws_what_its_network_drew(tmp_path, protocol):
    source = writer.write_snapshot(tmp_path / "network-snapshot-000764.pkl", model(), protocol)
    header = import_snapshot(source, tmp_path / "out.safetensors")
    found, kept = load_weights(tmp_path / "out.safetensors")
    assert torch.equal(images(found), images(model()))
    assert kept["kimg"] == 764 and kept["data"] == "data set echo.zip" and header["resolution"] == 32
    assert not any("home" in str(value) for value in kept.values()), "a path of somebody's machine"
    assert found.config.reduced == 4 and found.config.mapping == 2


def test_a_conditional_snapshot_keeps_its_classes(tmp_path):
    source = writer.write_snapshot(tmp_path / "net.pkl", model(classes=3))
    import_snapshot(source, tmp_path / "out.safetensors")
    found, kept = load_weights(tmp_path / "out.safetensors")
    label = torch.tensor([0, 2, 1, 2])
    assert torch.equal(images(found, label), images(model(classes=3), label))
    assert kept["classes"] == '["0", "1", "2"]' and np.isnan(kept["kimg"])


def test_an_rgb_network_becomes_the_mean_of_its_channels(tmp_path):
    source = writer.write_snapshot(tmp_path / "net.pkl", model(), channels=3, tint=0.5)
    header = import_snapshot(source, tmp_path / "out.safetensors")
    found, _ = load_weights(tmp_path / "out.safetensors")
    assert (images(found) - images(model())).abs().max() < 1e-5  # shades of 0.5, 1 and 1.5: their mean is the grey one
    assert header["channels"] == 3 and "mean of its RGB" in header["origin"]


def test_half_precision_and_shared_storages_are_read(tmp_path):
    whole = torch.arange(12.0).half()
    net = writer.Net("Generator", {"a": whole[2:8].view(2, 3), "b": whole[::2]})
    (tmp_path / "net.pkl").write_bytes(writer.dumps({"G_ema": net}))
    from echogan.official.snapshot import read_snapshot

    own = read_snapshot(tmp_path / "net.pkl")["G_ema"].own
    assert torch.equal(own["a"], whole[2:8].view(2, 3)) and torch.equal(own["b"], whole[::2])


def test_the_moment_stands_in_the_name():
    assert moment("runs/00003-x/network-snapshot-000764.pkl") == 764 and moment("ffhq.pkl") is None


# ------------------------------------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"architecture": "resnet"}, "architecture=resnet"),
        ({"activation": "relu"}, "activation=relu"),
        ({"resample_filter": [1, 2, 1]}, "resample_filter"),
    ],
)
def test_another_kind_of_generator_is_refused(tmp_path, settings, reason):
    source = writer.write_snapshot(tmp_path / "net.pkl", model(), **settings)
    with pytest.raises(BadInput, match=f"another family.*{reason}"):
        import_snapshot(source, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def twice(times):
    """A tuple of a tuple of ... each twice in the next."""
    value = ()
    for _ in range(times):
        value = (value, value)
    return value


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"activation": twice(22)}, "a tuple for activation"),
        ({"use_noise": torch.zeros(2)}, "a Tensor for use_noise"),
        ({"resample_filter": [torch.zeros(2), 3, 3, 1]}, "a list for resample_filter"),
    ],
)
def test_a_setting_that_is_no_word_or_number_is_neither_compared_nor_written_out(tmp_path, settings, kind):
    source = writer.write_snapshot(tmp_path / "net.pkl", model(), **settings)
    tracemalloc.start()
    with pytest.raises(BadInput, match=f"another family.*{kind}"):
        import_snapshot(source, tmp_path / "out.safetensors")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6, "its parts are shared: written out they would be 4,000,000"


def test_a_setting_of_lists_without_end_is_refused(tmp_path):
    source = writer.write_snapshot(tmp_path / "net.pkl", model(), protocol=3, activation="place")
    place = b"X" + (5).to_bytes(4, "little") + b"place"
    data = source.read_bytes()
    assert place in data
    source.write_bytes(data.replace(place, b"]" * 20_000 + b"a" * 19_999))
    with pytest.raises(BadInput, match="a list for activation"):
        import_snapshot(source, tmp_path / "out.safetensors")


def _part(net, *names):
    for name in names:
        net = net.state["_modules"][name]
    return net


def _wide(net):
    for side in (4, 8, 16, 32):
        _part(net, "synthesis", f"b{side}", "conv1").state["_parameters"]["weight"] = torch.zeros(200_000)


def _deep(net):
    mapping = _part(net, "mapping").state["_modules"]
    tensors = {**mapping["fc1"].state["_parameters"], **mapping["fc1"].state["_buffers"]}
    mapping.update({f"fc{i}": writer.Net("FullyConnectedLayer", tensors) for i in range(2, 500)})


@pytest.mark.parametrize("change", [_wide, _deep])
def test_a_network_that_claims_more_than_it_holds_is_refused_before_one_is_built(tmp_path, monkeypatch, change):
    net = writer.generator(model())
    change(net)
    (tmp_path / "net.pkl").write_bytes(writer.dumps({"G_ema": net}))
    monkeypatch.setattr(convert, "StyleGAN2ADA", lambda config: pytest.fail(f"built of {config}"))
    with pytest.raises(BadInput, match="holds fewer numbers"):
        import_snapshot(tmp_path / "net.pkl", tmp_path / "out.safetensors")


@pytest.mark.parametrize("where", ["noise_const", "bias"])
def test_a_tensor_of_another_size_is_named(tmp_path, where):
    net = writer.generator(model())
    state = _part(net, "synthesis", "b8", "conv0").state
    kept = next(tensors for tensors in (state["_parameters"], state["_buffers"]) if where in tensors)
    kept[where] = torch.zeros(3, 5)
    (tmp_path / "net.pkl").write_bytes(writer.dumps({"G_ema": net}))
    with pytest.raises(BadInput, match=rf"its blocks\.1\.up\.{where} is missing or of another size"):
        import_snapshot(tmp_path / "net.pkl", tmp_path / "out.safetensors")


def test_a_filter_of_another_precision_is_the_same_filter(tmp_path):
    net = writer.generator(model())
    buffers = _part(net, "synthesis", "b4").state["_buffers"]
    buffers["resample_filter"] = buffers["resample_filter"].double()
    (tmp_path / "net.pkl").write_bytes(writer.dumps({"G_ema": net}))
    import_snapshot(tmp_path / "net.pkl", tmp_path / "out.safetensors")
    assert torch.equal(images(load_weights(tmp_path / "out.safetensors")[0]), images(model()))


def _without(net, part):
    del net.state["_modules"][part]
    return net


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda net: _without(net, "synthesis"), "no blocks of 4, 8, 16"),
        (lambda net: _without(net, "mapping"), "lacks 'mapping.w_avg'"),
        (lambda net: (_without(net.state["_modules"]["synthesis"], "b8"), net)[1], "no blocks of 4, 8, 16"),
        (
            lambda net: (_without(net.state["_modules"]["synthesis"].state["_modules"]["b16"], "torgb"), net)[1],
            "blocks.2.grey",
        ),
    ],
)
def test_a_generator_that_lacks_parts_is_refused(tmp_path, change, reason):
    (tmp_path / "net.pkl").write_bytes(writer.dumps({"G_ema": change(writer.generator(model()))}))
    with pytest.raises(BadInput, match=reason):
        import_snapshot(tmp_path / "net.pkl", tmp_path / "out.safetensors")


def test_a_snapshot_of_another_resolution_is_refused_where_one_is_asked_for(tmp_path):
    source = writer.write_snapshot(tmp_path / "net.pkl", model())
    with pytest.raises(BadInput, match="draws 32 px, not 128"):
        import_snapshot(source, tmp_path / "out.safetensors", resolution=128)


def test_the_command(tmp_path, capsys):
    source = writer.write_snapshot(tmp_path / "net.pkl", model())
    out = str(tmp_path / "out.safetensors")
    assert main(["official", "import", str(source), out, "--data", "test blobs"]) == 0
    assert "official StyleGAN2-ADA snapshot, grey, 32 px" in capsys.readouterr().out
    assert main(["sample", out, str(tmp_path / "sheet.png"), "--n", "4"]) == 0
    assert "trained on test blobs" in capsys.readouterr().out
    assert main(["official", "import", str(source), str(tmp_path / "out.pkl")]) == 1
    assert "export to .pkl does not exist" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ the real code

MAKE = """
import copy, pickle, sys
import torch, dnnlib
from training.networks import Generator
channels, classes = map(int, sys.argv[2:])
torch.manual_seed(0)
G = Generator(z_dim=16, c_dim=classes, w_dim=16, img_resolution=32, img_channels=channels,
              mapping_kwargs=dnnlib.EasyDict(num_layers=2), synthesis_kwargs=dict(channel_base=256, channel_max=32))
for name, p in G.named_parameters():
    p.data.add_(0.2 * torch.randn_like(p))
G.mapping.w_avg.normal_()
G = copy.deepcopy(G).eval().requires_grad_(False)
with open(sys.argv[1], "wb") as file:
    pickle.dump(dict(training_set_kwargs={}, G=G, D=None, G_ema=G, augment_pipe=None), file)
z = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
c = torch.nn.functional.one_hot(torch.tensor([0, 2, 1, 2]), 3).float() if classes else torch.zeros(4, 0)
torch.save(G(z, c, truncation_psi=0.7, noise_mode="const", force_fp32=True).mean(1, keepdim=True), sys.argv[1] + ".pt")
"""


@pytest.mark.slow
@pytest.mark.skipif(not (CLONE / "legacy.py").is_file(), reason="the official code is not cloned")
@pytest.mark.parametrize(("channels", "classes"), [(1, 0), (3, 0), (1, 3)])
def test_images_of_the_real_code_are_matched(tmp_path, channels, classes):
    """At most 1/255 apart, for the same z, truncation and constant noise, in fp32."""
    words = [sys.executable, "-c", MAKE, str(tmp_path / "net.pkl"), str(channels), str(classes)]
    subprocess.run(words, cwd=CLONE, env={**os.environ, "PYTHONPATH": str(CLONE)}, check=True, capture_output=True)
    import_snapshot(tmp_path / "net.pkl", tmp_path / "out.safetensors")
    found, _ = load_weights(tmp_path / "out.safetensors")
    theirs = torch.load(tmp_path / "net.pkl.pt", weights_only=True)
    apart = (images(found, torch.tensor([0, 2, 1, 2]) if classes else None) - theirs).abs().max() / 2
    assert theirs.std() > 0.1 and apart <= 1 / 255
