"""The phantom: a procedural apical echocardiogram with exact ejection fraction, volumes, masks and tracings.

    patient -> heart (contours) -> tissue (dB) -> scatterers -> imaging -> picture

`phantom.make_phantom` gives one synthetic patient, `study.write_echonet` a folder of them in EchoNet-Dynamic's layout.
Grey levels, spectrum and speckle match public apical frames (`tests/data/phantom_targets.json`); anatomy is only
plausible, so nothing measured on phantoms says anything about patients.
"""
