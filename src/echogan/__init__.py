"""EchoGAN: generate and enhance echocardiograms with GANs.

Importing this package is cheap: torch, OpenCV and matplotlib load in the modules that use them.
Research use only, not for diagnosis.
"""

__version__ = "0.1.0"
