"""Better pictures from poor ones, and how far to trust them. Research use only, never for diagnosis.

run.py        a trained run as `enhance`: images (T, 1, H, W) in [-1, 1] and a strength -> the same
stream.py     frames in, enhanced frames out, a block at a time
clips.py      a recording in, a recording of the same kind out; folders of them
media.py      the kinds of recordings: PNG of 8 or 16 bits, AVI, MP4
dicom.py      DICOM in, a derived DICOM out
steady.py     clips without flicker, and how much they flicker
gate.py       what is refused: colour, and pictures unlike those of training (metrics/familiar.py)
mark.py       words outside the sector, where nobody can take them for tissue
baselines.py  what an enhancer has to beat, one function each
supervised.py a U-Net that sees the answers: how much could be gained
lesions.py    spots planted where none is, and what is left of them
measures.py   pure measures of one picture, or one picture against another
judge.py      the table: every method by every measure
trust.py      what a run does that it should not
"""
