"""Losses and penalties as pure functions, each headed by its equation.

`real` and `fake` are critic scores, one per image, of any shape; `images` are (B, 1, H, W).
"""

from math import sqrt

import torch
import torch.nn.functional as F

from echogan.precision import by_hand, full, mirrored


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


def logistic_discriminator(real, fake):
    """E[softplus(D(fake))] + E[softplus(-D(real))] (Goodfellow 2014)."""
    return F.softplus(fake).mean() + F.softplus(-real).mean()


def logistic_generator(fake):
    """E[softplus(-D(fake))], the non-saturating form (Goodfellow 2014)."""
    return F.softplus(-fake).mean()


def relativistic_discriminator(real, fake):
    """E[softplus(D(fake) - D(real))] over pairs (RpGAN of R3GAN, Huang 2024, eq. 2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real, fake):
    """E[softplus(D(real) - D(fake))] over pairs: the discriminator's loss with the sides exchanged."""
    return F.softplus(real - fake).mean()


def path_lengths(images, latents, noise):
    """|J_w^T y| of each image, (B,), root mean square over layers (Karras 2020, eq. 4); differentiable once more.

    `latents` (B, layers, latent) made `images`; `noise` is standard normal, of the images' shape.
    """
    projected = (images * noise).sum() / sqrt(images[0, 0].numel())
    (gradient,) = torch.autograd.grad(projected, latents, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def hinge_discriminator(real, fake):
    """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))] (Lim 2017, eq. 2)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake):
    """-E[D(fake)], the generator's side of the hinge."""
    return -fake.mean()


def least_squares_discriminator(real, fake):
    """E[(D(real) - 1)^2] + E[D(fake)^2], twice LSGAN with labels 0 and 1 (Mao 2017, eq. 9)."""
    return (real - 1).square().mean() + fake.square().mean()


def least_squares_generator(fake):
    """E[(D(fake) - 1)^2] (Mao 2017, eq. 9)."""
    return (fake - 1).square().mean()


def absolute(images, goal):
    """E|x - y|, the mean over pixels (Isola 2017, eq. 3)."""
    return (images - goal).abs().mean()


def commitment(tokens, codes):
    """E[(z - sg(e))^2]: what an encoder gave is pulled to the codes it was given (van den Oord 2017, eq. 3, third term)."""
    return (tokens - codes.detach()).square().mean()


def codebook(tokens, codes):
    """E[(sg(z) - e)^2]: codes are pulled to the tokens they stand for (van den Oord 2017, eq. 3, second term)."""
    return (tokens.detach() - codes).square().mean()


def adaptive_weight(pull, push, least=1e-4, most=1e4):
    """lambda = |grad rec| / (|grad adv| + least), at most `most` (Esser 2021, eq. 7).

    `pull`, `push`: gradients by the decoder's last kernel of the reconstruction and of the adversarial loss.
    """
    return (pull.norm() / (push.norm() + least)).clamp(max=most)


def labelled(scores, ids, weight):
    """E[sum over pixels of -weight_c log softmax_c(scores)] / pixels, c the pixel's label (Schönfeld 2021, eqs. 1 and 2).

    `scores` (B, classes, H, W), `ids` int64 (B, H, W), `weight` (classes,): how much a pixel of each class counts.
    """
    rate = surprise(scores, ids)
    return (weight.to(rate)[ids] * rate).mean()


def surprise(scores, ids):
    """-log softmax_c(scores) of every pixel, (B, H, W), c its label; arguments as above.

    PyTorch's own cross-entropy of pixels has no deterministic form on CUDA; gathering has.
    """
    return -full(scores).log_softmax(1).gather(1, ids[:, None])[:, 0]


def feature_matching(real, fake):
    """The mean over scales of the sum over layers of E|D_l(real) - D_l(fake)| (Wang 2018, eq. 4); lists of lists of maps."""
    return sum((a - b).abs().mean() for x, y in zip(real, fake) for a, b in zip(x, y)) / len(real)


def normal_divergence(mean, log_variance):
    """E[KL(N(mean, variance) || N(0, 1))], summed over the code (Kingma 2014, appendix B); (B, code) both."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


# ------------------------------------------------------------------------------------------------ of translations


def dissimilarity(images, goal, inside, sigma=1.5):
    """1 - E[(s_xy + c) / (s_x s_y + c)], the structure of SSIM, over pixels `inside` (Wang 2004, eq. 10).

    Images in [-1, 1]; s are moments of what differs from the local mean, in a Gaussian window. Blind to brightness and to
    contrast, which an enhancer is to change: it holds what is dark between what is bright in place.
    """
    x, y = (image - local_mean(image, sigma) for image in (images, goal))
    xx, yy, xy = (local_mean(product, sigma) for product in (x * x, y * y, x * y))
    c = (0.03 * 2) ** 2 / 2
    return (1 - mean_inside((xy + c) / ((xx * yy + 1e-8).sqrt() + c), inside)).mean()


def relighting(images, goal, inside):
    """E|(l_x - <l_x>) - (l_y - <l_y>)|: how the coarse light inside changes, beside its level (after Ma 2021, eq. 5).

    l is the mean over an eighth of the image's width of the pixels inside, so the black outside and the depth profile of the
    input count for nothing: a uniform change of gain is free, a shadow or a blob is not.
    """
    weight, sigma = inside.to(images), images.shape[-1] / 16
    norm = local_mean(weight, sigma).clamp(min=1e-3)
    lights = (local_mean(x * weight, sigma) / norm for x in (images, goal))
    flat = (light - mean_inside(light, inside)[:, None, None, None] for light in lights)
    return mean_inside((next(flat) - next(flat)).abs(), inside).mean()


def contrastive(queries, keys, temperature=0.07):
    """-E log softmax(q_i . sg(k) / t)_i: a vector of the output finds that of its own place in the input (Park 2020, eq. 3).

    `queries`, `keys` (B, places, C) of the same places of output and input; the other places of the image are the negatives.
    No gradient flows to the keys, as in the authors' code: the output follows the input's features, not they it.
    """
    logits = F.normalize(queries, dim=2) @ F.normalize(keys.detach(), dim=2).transpose(1, 2) / temperature
    return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean()


def disagreement(logits, goal, inside):
    """E KL(softmax(goal) | softmax(logits)) over pixels `inside`: what a segmenter sees in the output, and in the input.

    Logits (B, classes, H, W); the goal is taken as it is.
    """
    goal = goal.detach().log_softmax(1)
    return mean_inside((goal.exp() * (goal - logits.log_softmax(1))).sum(1, keepdim=True), inside).mean()


def mean_inside(values, inside):
    """Mean of each image (B, 1, H, W) over its pixels inside, (B,); 0 where there are none."""
    weight = inside.to(values).expand_as(values)
    return (values * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)


def local_mean(images, sigma):
    """(B, 1, H, W) smoothed by a Gaussian of `sigma` pixels, the border mirrored; in float32 at least.

    Autocast's fp16 ends at 6e-8: products of small variances vanish in it, and the gradient of their root is not a number.
    """
    images = full(images)
    radius = min(round(3 * sigma), *(n - 1 for n in images.shape[2:]))
    at = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    taps = (-(at**2) / (2 * sigma**2)).exp()
    taps = taps / taps.sum()
    padded = mirrored(images, (radius,) * 4)
    with by_hand(images):
        return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))
