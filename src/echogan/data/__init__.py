"""Recordings in: every data set of the field becomes `Clip`s, every set of frames a `FrameSet`."""
