"""CAMUS in: two apical views of each patient with expert masks at end diastole and end systole, in four layouts.

Leclerc et al., "Deep learning for segmentation using an open large-scale dataset in 2D echocardiography", IEEE Trans
Med Imaging 38 (2019). `study.open_camus` recognises the layout; `nifti` and `mhd` are the two public releases,
`hdf5` the file of 256 x 256 pictures that SPADE was first trained on for echo, `subset` what was cut from it.
"""
