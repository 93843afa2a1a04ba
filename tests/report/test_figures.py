"""Every figure says what it shows; the faults of the original study's plots are tests here."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image, ImageSequence

from echogan.data.images import grid, write_png
from echogan.errors import BadInput
from echogan.report import across, heatmap, lines, losses, price, progress, radar, style, violin
from echogan.report.metrics import METRICS
from echogan.report.runs import read_run, read_runs


@pytest.fixture(scope="module")
def wgan(study):
    return read_runs(study, "wgan")


@pytest.fixture(scope="module")
def vqgan(study):
    return read_runs(study, "vqgan")


@pytest.fixture(scope="module")
def everything(study):
    return read_runs(study)


def words(figure):
    """Every text of a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def flat(figure):
    """The caption of a figure on one line."""
    return figure.get_supxlabel().replace("\n", " ")


@pytest.mark.parametrize("name", ["FID", "KID", "SWD", "JSD", "PSNR"])
@pytest.mark.parametrize("draw", [lines.figure, violin.figure])
def test_title_axis_and_caption_name_the_metric_shown(wgan, draw, name):
    figure = draw(wgan, name)
    (ax,) = figure.axes
    axis = ax.get_ylabel() if draw is lines.figure else ax.get_xlabel()
    assert name in figure.get_suptitle() and "WGAN" in figure.get_suptitle()
    assert axis == METRICS[name].axis and METRICS[name].full in ax.get_title("left")
    assert [other for other in METRICS if other in figure.get_suptitle().split()] == [name]


@pytest.mark.parametrize("make", [lines.figure, violin.figure])
def test_every_figure_states_data_split_n_encoder_and_hardware(wgan, make):
    caption = make(wgan, "FID").get_supxlabel().replace("\n", " ")
    for part in (
        "synthetic phantom",
        "not echocardiograms",
        "VAL",
        "800 real",
        "1,000 generated",
        "Inception-2015",
        "2 x CPU",
    ):
        assert part in caption


def test_lines_run_over_kimg_to_the_last_reading(wgan):
    (ax,) = lines.figure(wgan, "FID").axes
    assert ax.get_xlabel() == "training (kimg)"
    longest = [line for line in ax.lines if len(line.get_xdata()) > 5]
    assert len(longest) == 8 and max(line.get_xdata().max() for line in longest) == 200 <= ax.get_xlim()[1]


def test_no_value_is_rescaled_on_the_way_to_the_axes(wgan):
    drawn = {tuple(np.nan_to_num(line.get_ydata())) for line in lines.figure(wgan, "FID").axes[0].lines}
    assert all(tuple(np.nan_to_num(run.curve("FID").value)) in drawn for run in wgan)


def test_a_gap_breaks_the_line(wgan):
    run = next(run for run in wgan if run.name == "W2")
    values = run.curve("FID").value
    assert np.isnan(values).any()
    assert any(
        np.array_equal(line.get_ydata(), values, equal_nan=True) for line in lines.figure([run], "FID").axes[0].lines
    )


def bands(figure):
    return [patch for patch in figure.axes[0].patches if patch.get_zorder() == -2]


def test_quality_bands_of_ssim_only_where_it_is_a_reconstruction(wgan, vqgan):
    assert bands(lines.figure(vqgan, "SSIM")) and not bands(lines.figure(wgan, "SSIM"))
    assert bands(lines.figure(wgan, "FID")) and not bands(lines.figure(wgan, "SWD"))


def test_bands_meet_at_the_studys_limits(wgan):
    edges = {
        round(float(y), 6) for patch in bands(lines.figure(wgan, "FID")) for y in patch.get_extents().get_points()[:, 1]
    }
    figure = lines.figure(wgan, "FID")
    to_pixels = figure.axes[0].transData.transform
    wanted = {round(float(to_pixels((0, limit))[1]), 6) for limit in METRICS["FID"].bands}
    assert all(min(abs(edge - y) for edge in edges) < 1 for y in wanted)


def test_the_floor_is_drawn_and_named_beside_the_axes(wgan):
    figure = lines.figure(wgan, "FID")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    (label,) = [text for text in ax.texts if text.get_text() == "real 6.5"]
    assert Text.get_window_extent(label).x0 > ax.bbox.x1  # where no curve can cross it
    assert "Dotted: TRAIN frames in place of the generated ones" in flat(figure)


def test_a_floor_below_zero_leaves_a_logarithmic_axis_to_the_readings(wgan):
    table = wgan[0].metrics.assign(KID=np.geomspace(0.5, 0.01, len(wgan[0].metrics)), floor_KID=-0.0008)
    run = replace(wgan[0], metrics=table.drop(columns="FID"))
    figure, study = lines.figure([run], "KID"), across.table([run])
    low, high = figure.axes[0].get_ylim()
    assert figure.axes[0].get_yscale() == "log" and 0.005 < low < 0.01 and 0.5 < high < 1
    assert "real -0.0008" in words(figure)
    for ax in (figure.axes[0], study.axes[1]):
        dotted = [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 2]
        assert dotted == [[ax.get_ylim()[0]] * 2]  # at the end of the axis, where it can be seen


def test_the_star_marks_the_lowest_median_of_three_and_no_lucky_reading(wgan):
    run = replace(wgan[0], metrics=wgan[0].metrics.copy())
    run.metrics.loc[5, "FID"] = 0.1
    figure = lines.figure([run, *wgan[1:]], "FID")
    (star,) = [line for line in figure.axes[0].lines if line.get_marker() == "*"]
    chosen = run.curve("FID").chosen()
    assert star.get_xydata().tolist() == [[chosen["kimg"], chosen["FID"]]] and chosen["FID"] > 0.1
    assert "Star: lowest median of three readings" in flat(figure)
    assert radar.best_moment(run, "FID") == chosen["kimg"]


@pytest.mark.parametrize("values", [np.array([1.0, 1.1, 1.2, 9.0] * 6), np.array([0.0, 0.01, 0.4, 0.9] * 6)])
@pytest.mark.parametrize("log", [False, True])
def test_a_violin_has_no_density_beyond_the_data(values, log):
    values = values + 0.001
    x, height = violin.density(values, log=log)
    assert x.min() == pytest.approx(values.min()) and x.max() == pytest.approx(values.max())
    assert (height > 0).all() and height.max() == 1


def test_density_agrees_with_the_textbook_sum_of_gaussians():
    values = np.random.default_rng(0).normal(5, 2, 40)
    x, height = violin.density(values)
    width = values.std(ddof=1) * len(values) ** (-1 / 5)  # Scott's rule
    kernel = np.exp(-0.5 * ((x[:, None] - values) / width) ** 2).sum(1)
    np.testing.assert_allclose(height, kernel / kernel.max(), rtol=1e-6)


def test_a_run_with_fewer_than_twenty_readings_has_points_and_no_density(wgan):
    figure = violin.figure(wgan, "FID")  # W2 has 16 of the trained network, the others 23 or 24
    from matplotlib.collections import FillBetweenPolyCollection, PathCollection

    counts = [len(run.curve("FID").trained) for run in wgan]
    kinds = figure.axes[0].collections
    assert sum(isinstance(c, FillBetweenPolyCollection) for c in kinds) == sum(n >= 20 for n in counts) == 7
    assert sorted(len(c.get_offsets()) for c in kinds if isinstance(c, PathCollection)) == sorted(counts)


def short(run, end, last, seed=0):
    """A run of nine readings: the untrained network's, a fall to `end`, and a last one."""
    settings = {**run.config["settings"], "seed": seed}
    values = [9000, *np.linspace(5 * end, end, 7), last]
    return replace(run, config={**run.config, "settings": settings}, metrics=run.metrics[:9].assign(FID=values))


def test_few_readings_show_how_each_seed_ended_and_its_best(wgan):
    runs = [short(wgan[3], 30, 40), short(wgan[4], 20, 25), short(wgan[4], 22, 22, seed=1)]
    figure = violin.figure(runs, "FID")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"{wgan[4].name}  (2 seeds)", wgan[3].name]
    assert [list(line.get_xdata()) for line in ax.lines[::3]] == [[20, 25], [22, 22], [30, 40]]
    assert ax.get_xlim()[1] < 50 and "Ring: last reading of a seed" in flat(figure)


@pytest.mark.parametrize(
    ("name", "extreme"), [("SSIM", np.nanmax), ("PSNR", np.nanmax), ("LPIPS", np.nanmin), ("FID", np.nanmin)]
)
def test_the_heat_map_holds_the_maximum_where_the_maximum_is_best(vqgan, name, extreme):
    names, values, stars, _ = heatmap.table(vqgan)
    k = names.index(name)
    raw = [run.metrics[name] for run in vqgan]
    np.testing.assert_array_equal(values[:, k], [extreme(column) for column in raw])
    assert values[stars[k], k] == extreme(values[:, k])


def test_the_heat_map_stars_no_unpaired_ssim(wgan):
    names, _, stars, floors = heatmap.table(wgan)
    assert stars[names.index("SSIM")] is None and stars[names.index("FID")] == 0
    assert floors[names.index("FID")] == 6.5
    assert "SSIM ≈" in words(heatmap.figure(wgan))


def test_radars_are_small_multiples_of_at_most_seven_spokes_with_raw_values(wgan):
    figure = radar.figure(wgan)
    assert 3 <= len(radar.spokes_of(wgan)) <= 7
    for run in wgan:
        best = run.curve("FID").chosen()
        assert f"{best['FID']:.3g}" in words(figure) and f"at {best['kimg']:.4g} kimg" in words(figure)


def test_the_radar_range_does_not_depend_on_what_is_drawn(wgan):
    def outline(runs, run):
        axes = radar.figure(runs).axes[runs.index(run)]
        return next(line.get_xydata() for line in axes.lines if line.get_zorder() == 3)

    np.testing.assert_array_equal(outline(wgan[:2], wgan[0]), outline(wgan, wgan[0]))


def test_the_better_of_two_runs_lies_outside_the_other(wgan):
    names = radar.spokes_of(wgan)
    best, worst = (radar.values_at(run, names, radar.best_moment(run, "FID")) for run in (wgan[0], wgan[-1]))
    assert all(METRICS[name].outward(b) > METRICS[name].outward(w) for name, b, w in zip(names, best, worst))


def test_a_radar_of_two_metrics_is_refused_in_one_sentence(wgan):
    run = read_run(wgan[0].folder)
    run.metrics = run.metrics[["kimg", "split", "FID", "SWD"]]
    with pytest.raises(BadInput, match="three metrics, found FID, SWD"):
        radar.figure([run])


def test_early_runs_without_fid_fall_back_and_say_so(everything, study):
    (early,) = read_runs(study, "medgan")
    assert "FID was not measured on VAL, so SWD of VAL ranks" in radar.figure([early]).get_supxlabel().replace(
        "\n", " "
    )
    table = across.table(everything)
    assert "by SWD" in table.get_suptitle() and "FID was not measured" in table.get_supxlabel().replace("\n", " ")
    assert {run.arch for run in across.best_runs(everything)} == {"wgan", "vqgan", "medgan"}
    with pytest.raises(BadInput, match="no run of medgan has a reading of FID"):
        lines.figure([early], "FID")


@pytest.fixture
def two_stages(vqgan):
    """VQGANs whose first readings are of reconstructions, the later ones of samples without a true image."""
    runs = []
    for run in vqgan:
        early = run.metrics["kimg"] < 90
        table = run.metrics.assign(stage=np.where(early, "translate", "generate"))
        runs.append(replace(run, metrics=table.assign(SSIM=table["SSIM"].where(early))))
    return runs


def test_a_caption_says_which_stage_it_shows_and_that_there_was_another(two_stages, wgan):
    samples = "Readings of samples only; until 83.33 kimg its reconstructions were read"
    for make in (lines.figure, violin.figure):
        assert samples in flat(make(two_stages, "FID")) and "only;" not in flat(make(wgan, "FID"))
        assert "Readings of reconstructions only; from 91.67 kimg its samples were read" in flat(
            make(two_stages, "SSIM")
        )
        assert "Every reading" not in flat(make(two_stages, "FID"))
    assert f"VQGAN VQ6†: r{samples[1:]}" in flat(across.table(two_stages + wgan))
    assert "SSIM, PSNR, LPIPS: readings of reconstructions only" in flat(heatmap.figure(two_stages))


def test_published_stands_beside_ours_at_equal_images_shown(wgan, vqgan):
    figure = across.published_and_ours(wgan + vqgan)
    limit = min(run.metrics["kimg"].max() for run in wgan)  # of the run whose last line was cut
    theirs = min(run.curve("FID").value[run.curve("FID").kimg <= limit].min() for run in wgan if run.name == "W1")
    assert f"W1† {theirs:.3g}" in words(figure) and f"≤ {limit:.4g} kimg, of 3† and 5" in words(figure)
    with pytest.raises(BadInput, match="both a published setting and one of ours"):
        across.published_and_ours([run for run in wgan if run.published])


def test_every_seed_of_the_best_config_is_a_dot_beside_the_published_one(wgan):
    config = {**wgan[3].config, "settings": {**wgan[3].config["settings"], "seed": 1}}
    other = replace(wgan[3], config=config, metrics=wgan[3].metrics.assign(FID=wgan[3].metrics["FID"] * 1.5))
    first, again = (run.curve("FID").best()["FID"] for run in (wgan[3], other))
    _, theirs, ours = across.published_and_ours([wgan[0], wgan[3], other, wgan[7]]).axes[0].lines
    assert len(theirs.get_xdata()) == 1 and list(ours.get_xdata()) == pytest.approx([first, again])
    assert f"{wgan[3].label} {(first + again) / 2:.3g}" in words(theirs.figure)


def test_figures_of_each_architecture_say_whom_they_leave_out(wgan, painter):
    painter.metrics, made = painter.metrics.assign(stage="translate"), (across.table, across.radars, price.figure)
    for make in made:
        assert "each architecture that draws from noise" in words(make([*wgan, painter])).replace("\n", " ")
        assert "from noise" not in words(make(wgan))


def test_a_pause_is_no_time_of_training(wgan):
    run = replace(wgan[0], losses=wgan[0].losses.copy())
    usual = price.busy(run)
    assert usual == pytest.approx(run.losses["seconds"].max())
    run.losses.loc[50:, "seconds"] += 7 * 3600
    assert price.busy(run) == pytest.approx(usual)
    assert np.isnan(price.busy(replace(run, losses=run.losses.drop(columns="seconds"))))


def test_the_price_of_a_config_is_the_median_of_its_seeds(wgan):
    runs = [
        replace(wgan[0], config={**wgan[0].config, "settings": {"seed": k}}, losses=wgan[0].losses.copy())
        for k in range(3)
    ]
    for k, run in enumerate(runs):
        run.losses["seconds"] *= 1 + k
    figure = price.figure([*runs, wgan[1]])
    point = figure.axes[0].lines[2].get_xydata()[0]
    assert point == pytest.approx([2 * price.busy(wgan[0]) / 3600, wgan[0].curve("FID").best()["FID"]])
    assert "by which seeds of one config differ up to 3 times" in flat(figure)
    with pytest.raises(BadInput, match="no run has both FID and the seconds it took"):
        price.figure([replace(wgan[0], losses=wgan[0].losses.drop(columns="seconds"))])


def test_losses_mark_where_the_run_stopped_being_a_number(wgan):
    broken = next(run for run in wgan if run.name == "gp10")
    assert "no number" in words(losses.figure(broken)) and "no number" not in words(losses.figure(wgan[0]))


def test_what_never_changes_is_told_and_not_drawn_and_panels_reach_as_far_as_their_values(wgan):
    run = replace(wgan[0], losses=wgan[0].losses.copy())
    kimg = run.losses["kimg"]
    first = run.losses["penalty"].where(kimg < 50)
    run.losses = run.losses.assign(book=3.0, penalty=first, D_updates=100 * kimg, G_updates=50 * kimg)
    figure = losses.figure(run)
    axes = {ax.get_title("left"): ax for ax in figure.axes}
    assert set(axes) == {"D and G", "penalty", "real", "fake"} and axes["penalty"].get_xlim()[1] < 60
    for part in ("Never changed: book 3", "Updates a kimg, even: D 100, G 50", "real: mean score of real images"):
        assert part in flat(figure)
    run.losses.loc[100:, "G_updates"] = 5000
    assert "updates" in {ax.get_title("left") for ax in losses.figure(run).axes}


def test_neighbouring_looks_differ_in_colour_lightness_dash_and_marker():
    looks = style.looks(8)
    grey = [np.dot(to_rgb(look.color), (0.299, 0.587, 0.114)) for look in looks]
    for one, two, a, b in zip(looks, looks[1:], grey, grey[1:]):
        assert one.marker != two.marker and one.linestyle != two.linestyle and abs(a - b) > 0.04
    assert len({look.color for look in looks}) == len({look.marker for look in looks}) == 8


def test_sixty_four_configs_all_look_different():
    looks = style.looks(64)
    assert len({(look.color, look.marker) for look in looks}) == 64 and looks[:8] == style.looks(8)
    assert all(one.linestyle != two.linestyle for one, two in zip(looks, looks[8:]))


def test_a_config_keeps_its_look_where_others_were_not_measured(wgan):
    without = replace(wgan[0], metrics=wgan[0].metrics.drop(columns="FID"))
    runs = [without, *wgan[1:]]
    panels = radar.figure(runs, lead="FID").axes
    names = [next(text for text in ax.texts if text.get_text() == run.label) for ax, run in zip(panels, runs[1:])]
    assert [text.get_color() for text in names] == [look.color for look in style.looks(8)[1:]]


def test_end_labels_keep_their_distance_and_their_order():
    heights = [0.5, 0.52, 0.1, 0.51]
    placed = style.spread(heights, 0.06)
    assert (np.diff(np.sort(placed)) >= 0.06 - 1e-9).all()
    assert (np.argsort(placed) == np.argsort(heights)).all() and np.mean(placed) == pytest.approx(np.mean(heights))


def test_end_labels_stay_beside_their_axes_also_where_many_lines_end_together():
    placed = style.spread([0.97] * 8 + [0.01] * 4, 0.07)
    assert placed.max() <= 0.96 and placed.min() >= -1e-9 and (np.diff(np.sort(placed)) >= 0.07 - 1e-9).all()


@pytest.mark.parametrize("n", [8, 24])
def test_end_labels_of_many_configs_touch_neither_each_other_nor_the_words_above(wgan, n):
    runs = [replace(wgan[k % 8], name=f"{wgan[k % 8].name}{k}") for k in range(n)]
    figure = lines.figure(runs, "SWD")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the hair that leads to the line
    boxes = sorted((box for box in boxes if box.x0 > ax.bbox.x1), key=lambda box: box.y0)
    assert len(boxes) == n + 1 and all(
        above.y0 > below.y0 + 0.7 * below.height for below, above in zip(boxes, boxes[1:])
    )
    assert boxes[-1].y1 <= ax.bbox.y1 < ax.title.get_window_extent().y0


def test_no_hair_strikes_through_a_name(wgan):
    figure = lines.figure([replace(wgan[k % 8], name=f"{wgan[k % 8].name}{k}") for k in range(24)], "SWD")
    figure.draw_without_rendering()
    edge = min(Text.get_window_extent(text).x0 for text in figure.axes[0].texts)
    hairs = [text.arrow_patch.get_window_extent() for text in figure.axes[0].texts]
    assert len(hairs) == 25 and max(hair.x1 for hair in hairs) <= edge + 0.1


def test_every_config_is_named_and_names_leave_each_other_room(wgan):
    runs = [replace(wgan[k % 8], name=f"{wgan[k % 8].name}{k}") for k in range(24)]
    ax = price.figure(runs).axes[0]
    ax.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert {text.get_text() for text in ax.texts} == {run.label for run in runs}
    assert not any(box.overlaps(other) for k, box in enumerate(boxes) for other in boxes[:k])


def test_a_column_wide_figure_prints_at_300_dpi_within_120_kB(wgan, tmp_path):
    path = style.save(radar.figure(wgan), tmp_path / "radar.png")
    image = Image.open(path)
    assert path.stat().st_size <= 120_000 and abs(image.width - 85 / 25.4 * 300) <= 1


def test_a_pdf_embeds_truetype_fonts(wgan, tmp_path):
    data = style.save(lines.figure(wgan[:2], "FID"), tmp_path / "fid.pdf").read_bytes()
    assert data.startswith(b"%PDF") and b"/Type3" not in data


def test_figures_leave_the_callers_settings_alone(wgan):
    import matplotlib

    before = dict(matplotlib.rcParams)
    lines.figure(wgan, "FID")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_cells_are_cut_from_a_grid_with_or_without_gaps(gap):
    tiles = np.random.default_rng(0).integers(0, 255, (6, 8, 8), dtype=np.uint8)
    sheet = np.full((2 * 8 + gap, 3 * 8 + 2 * gap), 255, np.uint8)
    for k, tile in enumerate(tiles):
        sheet[(k // 3) * (8 + gap) :, (k % 3) * (8 + gap) :][:8, :8] = tile
    np.testing.assert_array_equal(progress.cells(Image.fromarray(sheet), 8), tiles)


def test_moments_are_spaced_in_the_logarithm_with_both_ends():
    times = list(range(0, 1001))
    chosen = progress.log_spaced(times, 5)
    assert chosen[0] == 0 and chosen[-1] == 1000 and len(chosen) == 5
    assert np.ptp(np.diff(np.log1p(chosen))) < 0.15
    assert progress.log_spaced([0, 7], 5) == [0, 7]


def test_the_gif_shows_every_saved_moment_within_a_megabyte(wgan):
    data = progress.gif(wgan[0])
    assert len(data) <= 1_000_000 and Image.open(BytesIO(data)).n_frames == len(wgan[0].sheets)


def test_the_gif_has_room_for_grids_of_every_height(wgan, tmp_path):
    run = replace(wgan[0], sheets={k: tmp_path / f"{k}.png" for k in (0, 30)})
    Image.new("L", (120, 80), 90).save(run.sheets[0])
    Image.new("L", (120, 120), 90).save(run.sheets[30])
    with Image.open(BytesIO(progress.gif(run))) as animated:
        frames = [np.asarray(frame.convert("L")).copy() for frame in ImageSequence.Iterator(animated)]
    assert [frame.shape for frame in frames] == [(384 + 16, 384)] * 2
    assert (frames[0][270:380] > 250).all() and (frames[1][:380] < 128).all()
    assert all((frame[386:] < 128).any() for frame in frames)  # each names its moment


def test_a_truncated_grid_is_passed_over_by_the_study_at_a_glance(wgan, vqgan, tmp_path):
    cut, whole = tmp_path / "cut.png", wgan[0].sheets[30].read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    none, some = (replace(run, sheets={200: cut}, problems=[]) for run in (wgan[0], vqgan[0]))
    some.sheets[3] = vqgan[0].sheets[3]
    figure = across.table([none, some])
    titles = {figure.axes[3 * k].get_title("left"): figure.axes[3 * k + 2].get_title("left") for k in range(2)}
    assert titles == {"WGAN W1†": "", "VQGAN VQ6†": "at 3 kimg"}
    assert none.problems == ["wgan/W1: cut.png is not a readable picture"]


@pytest.fixture
def painter(study, tmp_path):
    """A pix2pix whose sheets hold an edge (0), a painted (100) and a real image (200) of each frame."""
    run = read_run(study / "wgan/W1")
    run.arch, run.sheets = "pix2pix", {}
    for kimg in (0, 3, 30, 200):
        tiles = np.stack([np.full((64, 64), grey, np.uint8) for grey in [0, 100, 200] * 12])
        run.sheets[kimg] = tmp_path / f"kimg_{kimg:06d}.png"
        write_png(run.sheets[kimg], grid(tiles, columns=6))
    return run


def test_a_sheet_of_translations_is_read_as_inputs_what_was_made_and_aims(painter):
    assert (progress.made(painter, 30) == 100).all() and len(progress.made(painter, 30)) == 12
    figure = progress.figure(painter)
    top = figure.axes[: len(figure.axes) // 4]
    assert [ax.get_title() for ax in top] == ["edge", "0 kimg", "3 kimg", "30 kimg", "200 kimg", "real"]
    assert [np.asarray(ax.images[0].get_array()).flat[0] for ax in top] == [0, 100, 100, 100, 100, 200]
    assert "Trained on 6,400 TRAIN images." in flat(figure) and "Shown: 4 fixed VAL frames, 64 px" in flat(figure)


def test_every_config_has_a_row_and_what_all_aimed_at_stands_below_once(painter):
    other = replace(painter, name="masks", sheets={3: painter.sheets[3]})
    figure = progress.every_config([painter, other, replace(painter, name="none", sheets={})])
    rows = np.array(figure.axes).reshape(3, -1)
    assert [ax.get_ylabel() for ax in rows[:, 0]] == ["W1†\n200 kimg", "masks†\n3 kimg", "real"]
    assert [np.asarray(row[-1].images[0].get_array()).flat[0] for row in rows] == [100, 100, 200]
    assert "fixed VAL frames, at the end of each config" in flat(figure)
    alike = progress.every_config([painter, replace(painter, name="masks")])
    assert alike.axes[0].get_ylabel() == "W1†" and "fixed VAL frames, after 200 kimg" in flat(alike)


def test_aims_that_differ_are_not_shown_as_those_of_all(painter, tmp_path):
    tiles = np.stack([np.full((64, 64), grey, np.uint8) for grey in [0, 100, 150] * 12])
    write_png(tmp_path / "other.png", grid(tiles, columns=6))
    other = replace(painter, name="masks", sheets={200: tmp_path / "other.png"})
    assert len({ax.get_ylabel() for ax in progress.every_config([painter, other]).axes} - {""}) == 2


def test_reconstructions_and_samples_from_noise_are_blocks_of_their_own(painter, wgan):
    figure = progress.every_config([replace(painter, name="VQ1"), replace(wgan[0], name="grid16")])
    heads = [(part.get_suptitle(), [ax.get_ylabel() for ax in part.axes if ax.get_ylabel()]) for part in figure.subfigs]
    assert heads == [("Made of fixed VAL frames", ["VQ1†", "real"]), ("Made from fixed latents", ["grid16†"])]
    assert [part.get_suptitle() for part in progress.every_config([wgan[0]]).subfigs] == [""]


def test_few_moments_stand_below_each_other(wgan):
    run = replace(wgan[0], sheets={k: wgan[0].sheets[k] for k in (3, 200)})
    figure = progress.figure(run)
    assert len(figure.axes) == 2 * 7 and figure.axes[7].get_ylabel() == "200 kimg"


def test_an_input_that_the_config_chooses_is_named_by_it():
    assert progress.panels_of("pix2pix", "mask+edge") == ("mask", "edge", "painted", "real")
