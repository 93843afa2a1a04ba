"""Losses and penalties as pure functions, each headed by its equation.

`real` and `fake` are critic scores, one per image, of any shape; `images` are (B, 1, H, W).
"""

import torch


def wasserstein_critic(real, fake):
    """E[D(fake)] - E[D(real)], minimised by the critic (Arjovsky 2017, eq. 3)."""
    return fake.mean() - real.mean()


def wasserstein_generator(fake):
    """-E[D(fake)] (Arjovsky 2017, eq. 4)."""
    return -fake.mean()


def slope(scores, images):
    """|grad_x D(x)|^2 of each image, (B,); differentiable once more."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum((1, 2, 3))


def between(real, fake, u):
    """Points on the lines from `fake` to `real`: u real + (1 - u) fake, u (B, 1, 1, 1) uniform in [0, 1)."""
    return (u * real + (1 - u) * fake).detach().requires_grad_()


def gradient_penalty(slopes):
    """E[(|grad D| - 1)^2] (WGAN-GP, Gulrajani 2017, eq. 3); `slopes` are squared norms between real and fake."""
    return (slopes.clamp(min=1e-12).sqrt() - 1).square().mean()


def lipschitz_penalty(slopes):
    """E[max(0, |grad D| - 1)^2] (WGAN-LP, Petzka 2018, eq. 7): only slopes above 1 are punished."""
    return (slopes.clamp(min=1e-12).sqrt() - 1).clamp(min=0).square().mean()


def zero_centred_penalty(slopes):
    """E[|grad D|^2] / 2 (R1 on real images, Mescheder 2018, eq. 9)."""
    return slopes.mean() / 2
