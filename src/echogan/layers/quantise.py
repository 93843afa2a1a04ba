"""Vector quantisation (van den Oord 2017): every token of an image is replaced by the nearest of a book of codes.

    index(z) = argmin_k |z - e_k|,    d(quantised)/dz = 1   (straight through)

Codes follow by exponential moving averages (appendix A.1 there), e_k = m_k / n_k with

    n_k <- g n_k + (1 - g) E[index = k],    m_k <- g m_k + (1 - g) E[z; index = k],

or are parameters that a loss pulls. A code that hardly any token is nearest to is dead: `revive` moves it to a token that
the book serves badly. At the start all are.
"""

import torch
import torch.nn.functional as F
from torch import nn

from echogan.errors import BadInput

MEMORY = 0.99  # g, a batch
DEAD = 0.01  # of an even share of the tokens


class Quantiser(nn.Module):
    """A book of `codes` vectors of `dim` numbers; `averaged`: they follow their tokens, else they are a parameter."""

    def __init__(self, codes, dim, averaged=True):
        super().__init__()
        if codes < 1:
            raise BadInput(f"a codebook of {codes} codes says nothing; take 512, say")
        self.averaged = averaged
        first = torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes)
        if averaged:
            self.register_buffer("codes", first)
            self.register_buffer("sums", torch.zeros(codes, dim))  # m
        else:
            self.codes = nn.Parameter(first)
        self.register_buffer("share", torch.zeros(codes))  # n, of the tokens of late

    def forward(self, z):
        """(B, dim, h, w) -> (the nearest code of each token, of the same shape; its number, (B, h, w))."""
        index = self.nearest(z)
        return self.look_up(index), index

    def nearest(self, z):
        """(B, dim, h, w) -> number of the nearest code, int64 (B, h, w)."""
        return self.distances(z).argmin(2).unflatten(1, z.shape[2:])

    def distances(self, z):
        """(B, dim, h, w) -> distance of every token to every code, (B, h w, codes); in full precision."""
        return torch.cdist(in_rows(z.detach()).to(self.codes.dtype), self.codes.detach()[None])

    def look_up(self, index):
        """Numbers (B, h, w) -> codes (B, dim, h, w)."""
        return F.embedding(index, self.codes).permute(0, 3, 1, 2)

    # -------------------------------------------------------------------------------------------- how codes learn

    def count(self, z, index):
        """{"share": (codes,), "sums": (codes, dim)}: of each code the share of the tokens, and the sum of those over all."""
        tokens, k = in_rows(z.detach()).flatten(0, 1).to(self.codes.dtype), index.flatten()
        once = tokens.new_full((len(k),), 1 / len(k))
        share = torch.zeros_like(self.share).index_add(0, k, once)
        if not self.averaged:
            return {"share": share}
        return {"share": share, "sums": torch.zeros_like(self.sums).index_add(0, k, tokens * once[:, None])}

    def learn(self, stats):
        """Remember what `count` found in the whole batch, and move the codes after it."""
        self.share.lerp_(stats["share"], 1 - MEMORY)
        if self.averaged:
            self.sums.lerp_(stats["sums"], 1 - MEMORY)
            known = self.share > 1e-12
            self.codes.copy_(torch.where(known[:, None], self.sums / self.share.clamp(min=1e-12)[:, None], self.codes))

    def badly_served(self, z, chance):
        """Sort keys of tokens, (B, h w): the largest are a draw without replacement by their squared distance to the book.

        k-means++ (Arthur 2007) for all centres at once, as log(u) / w sorts (Efraimidis 2006); `chance` uniform (B, h w).
        """
        return chance.clamp(min=1e-12).log() / (self.distances(z).amin(2).square() + 1e-12)

    def revive(self, tokens, keys):
        """Move the dead codes to the tokens (N, dim) of the largest keys (N,), as if each had an even share."""
        even = 1 / len(self.share)
        dead = self.share < DEAD * even
        turn = (dead.cumsum(0) - 1).clamp(min=0) % len(tokens)  # of each dead code among them
        fresh = tokens[keys.argsort(descending=True)[turn]]
        self.codes.copy_(torch.where(dead[:, None], fresh, self.codes))
        if self.averaged:
            self.sums.copy_(torch.where(dead[:, None], fresh * even, self.sums))
        self.share.copy_(torch.where(dead, even, self.share))

    def readings(self):
        """{"usage": share of codes alive, "perplexity": exp(entropy) of their use}: 1 and `codes` at the most."""
        p = self.share / self.share.sum().clamp(min=1e-12)
        alive = (p > DEAD / len(p)).to(p.dtype).mean()
        return {"usage": alive, "perplexity": torch.special.entr(p).sum().exp()}


def in_rows(z):
    """(B, dim, h, w) -> (B, h w, dim)."""
    return z.flatten(2).transpose(1, 2)
