"""Spectral normalisation (Miyato 2018): a convolution whose weight is divided by its largest singular value.

Unlike PyTorch's, it takes a step of the power iteration in evaluation mode too, without keeping the result. Weights are
averaged (EMA) there, and the singular value of averaged weights is not the average of their singular values; the averaged
start vector `u` is as good as any.
"""

import torch
from torch import nn
from torch.nn.functional import normalize

from echogan.precision import by_hand


class SpectralConv(nn.Conv2d):
    """A convolution with weight W / sigma(W); `u` is the first left singular vector as far as it is known."""

    def __init__(self, inputs, outputs, kernel=3, stride=1, padding=None, bias=True):
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if padding is None else padding, bias=bias)
        nn.init.xavier_normal_(self.weight)
        self.register_buffer("u", normalize(torch.randn(outputs), dim=0))

    def forward(self, input):
        return self._conv_forward(input, self.weight / self.sigma(), self.bias)

    def sigma(self):
        """u W v, with one step of the power iteration."""
        with by_hand(self.weight):
            matrix = self.weight.flatten(1)
            with torch.no_grad():
                v = normalize(matrix.T @ self.u.to(matrix), dim=0)
                u = normalize(matrix @ v, dim=0)
                if self.training:
                    self.u.copy_(u)
            return u @ (matrix @ v)
