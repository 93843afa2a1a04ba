"""Small CAMUS data sets in every layout, written by the libraries that made the published ones."""

import h5py
import numpy as np
import SimpleITK as sitk

SHAPE = (60, 50)  # rows, columns
SPACING = (0.7, 0.7)  # row, column mm
LISTS = {"training": 1, "validation": 2, "testing": 3}  # list -> number of its patient
GROUPS = {"train": 1, "valid": 2, "test": 3}


def mask(contraction, shape=SHAPE):
    """A ventricle that shrinks with the contraction (0..1), its wall and an atrium, inside the fan."""
    y, x = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    labels = np.zeros(shape, np.uint8)
    labels[((x - 0.5) / 0.12) ** 2 + ((y - 0.78) / 0.10) ** 2 < 1] = 3
    for code, extra in ((2, 0.06), (1, 0.0)):
        wide, tall = 0.16 - 0.05 * contraction + extra, 0.26 - 0.05 * contraction + extra
        labels[((x - 0.5) / wide) ** 2 + ((y - 0.42) / tall) ** 2 < 1] = code
    return labels * fan(shape)


def fan(shape=SHAPE):
    """Where the picture is lit."""
    y, x = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    return (np.abs(x - 0.5) < 0.02 + 0.55 * y) & (np.hypot(x - 0.5, y) < 0.97)


def picture(labels, seed=0):
    """Grey levels for labels: bright walls, dark chambers, noise, black outside the fan."""
    grey = np.array([60, 15, 150, 15])[labels] + np.random.default_rng(seed).integers(1, 40, labels.shape)
    return (grey * fan(labels.shape)).astype(np.uint8)


def half_cycle(patient, frames=5):
    """Pictures and masks (T, H, W) from end diastole to end systole."""
    masks = np.stack([mask(s) for s in np.linspace(0, 1, frames)])
    return np.stack([picture(m, 10 * patient + i) for i, m in enumerate(masks)]), masks


def write_image(path, pixels, spacing=SPACING):
    """Through SimpleITK, as the releases were made."""
    image = sitk.GetImageFromArray(np.asarray(pixels))
    image.SetSpacing([spacing[1], spacing[0], 1.0][: image.GetDimension()])
    sitk.WriteImage(image, str(path))


def write_info(path, ed=1, es=5, frames=5, quality="Good", **more):
    values = {"ED": ed, "ES": es, "NbFrame": frames, "Sex": "F", "Age": 60, "ImageQuality": quality, "EF": 55} | more
    path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))


def write_patient(folder, number, suffix=".nii.gz", sequence="half_sequence", spacing=SPACING, reverse=False):
    folder.mkdir(parents=True)
    pixels, masks = half_cycle(number)
    for view in ("2CH", "4CH"):
        stem = f"{folder.name}_{view}"
        for kind, values in (("", pixels), ("_gt", masks)):
            write_image(folder / f"{stem}_ED{kind}{suffix}", values[0], spacing)
            write_image(folder / f"{stem}_ES{kind}{suffix}", values[-1], spacing)
            order = slice(None, None, -1) if reverse else slice(None)
            write_image(folder / f"{stem}_{sequence}{kind}{suffix}", values[order], spacing)
        ed, es = (5, 1) if reverse else (1, 5)
        write_info(folder / f"Info_{view}.cfg", ed, es, quality="Poor" if (number, view) == (1, "2CH") else "Good")


def write_nifti_release(root, **how):
    for name, number in LISTS.items():
        write_patient(root / "database_nifti" / f"patient{number:04d}", number, **how)
        lists = root / "database_split"
        lists.mkdir(exist_ok=True)
        (lists / f"subgroup_{name}.txt").write_text(f"patient{number:04d}\n")
    return root


def write_mhd_release(root, **how):
    for number in range(1, 4):
        write_patient(root / "training" / f"patient{number:04d}", number, ".mhd", "sequence", **how)
    return root


def write_hdf5(path, dtype=np.float32, trailing=True, patients=GROUPS):
    """The file of the SPADE study."""
    with h5py.File(path, "w") as file:
        for group, number in patients.items():
            for view in ("2CH", "4CH"):
                place = file.create_group(f"{group}/patient{number:04d}/{view}")
                pixels, masks = (values[[0, -1]] for values in half_cycle(number))
                image = (pixels / 255).astype(dtype) if np.dtype(dtype).kind == "f" else pixels.astype(dtype)
                place["im"] = image[..., None] if trailing else image
                place["gt"] = masks[..., None] if trailing == "both" else masks
                place["im_ref"], place["gt_ref"] = pixels, masks
    return path
