"""A small autoregressive transformer over codes (Radford 2019, as Esser 2021 uses it): p(token t | class, tokens before t)."""

import torch
import torch.nn.functional as F
from torch import nn


class KVCache:
    """Keys and values of the tokens seen so far, (B, heads, length, width / heads), for one block: each is computed once."""

    def __init__(self, shape, like):
        self.keys, self.values, self.seen = like.new_empty(shape), like.new_empty(shape), 0

    def extended(self, k, v):
        """Append keys and values (B, heads, new tokens, width / heads); returns all so far."""
        now = slice(self.seen, self.seen + k.shape[2])
        self.keys[:, :, now], self.values[:, :, now], self.seen = k, v, now.stop
        return self.keys[:, :, : now.stop], self.values[:, :, : now.stop]


class Block(nn.Module):
    """(B, T, width) -> the same: x + attention(norm(x)), then x + mlp(norm(x)); no token sees a later one."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.ask, self.tell = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x, cache=None):
        """With a `cache`, x is the one token that follows those in it."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.ask(self.norm(x)).chunk(3, 2))
        if cache is None:
            dropped = self.dropout if self.training else 0.0
            seen = F.scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
        else:  # one token, which may see all
            seen = F.scaled_dot_product_attention(q, *cache.extended(k, v))
        x = x + self.drop(self.tell(seen.transpose(1, 2).flatten(2)))
        return x + self.drop(self.mlp(x))


class GPT(nn.Module):
    """Tokens int64 (B, length) and classes (B,) -> logits (B, length, codes), those at t of the token at t."""

    def __init__(self, codes, length, width=256, depth=6, heads=8, dropout=0.1, classes=0):
        super().__init__()
        self.length, self.heads, self.width = length, heads, width
        self.begin = nn.Embedding(max(classes, 1), width)  # what stands before the first token
        self.token, self.place = nn.Embedding(codes, width), nn.Parameter(torch.zeros(length, width))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.norm, self.logits = nn.LayerNorm(width), nn.Linear(width, codes, bias=False)
        self.register_buffer("class_share", torch.full((max(classes, 1),), 1 / max(classes, 1)))  # in the data
        self.register_buffer("book", torch.zeros(()))  # length of the codebook whose numbers it has learnt; 0: none yet
        self.apply(_init)

    def forward(self, tokens, label):
        before = torch.cat([self.begin(label)[:, None], self.token(tokens[:, :-1])], 1)
        x = self.drop(before + self.place)
        for block in self.blocks:
            x = block(x)
        return self.logits(self.norm(x))

    def walk(self, label, choose):
        """Decode tokens (B, length) one after the other; `choose(logits (B, codes), t)` picks those at position t."""
        shape = (len(label), self.heads, self.length, self.width // self.heads)
        caches = [KVCache(shape, self.place) for _ in self.blocks]
        x, tokens = self.begin(label), []
        for t in range(self.length):
            tokens.append(choose(self.following(x + self.place[t], caches), t))
            x = self.token(tokens[-1])
        return torch.stack(tokens, 1)

    def following(self, x, caches):
        """Logits (B, codes) of the token after the one embedded as x (B, width), given those in the caches of the blocks."""
        x = x[:, None]
        for block, cache in zip(self.blocks, caches):
            x = block(x, cache)
        return self.logits(self.norm(x))[:, 0]


def drawn(logits, chance, temperature=1.0, top_k=0, top_p=1.0):
    """One token a row, int64 (B,), by inverting the cumulative distribution at `chance` (B,), uniform in [0, 1).

    Only the `top_k` likeliest tokens may come (0: all), and of these only the likeliest that together have `top_p`.
    """
    order = (logits.float() / temperature).sort(dim=1, descending=True, stable=True)
    p = order.values.softmax(1)
    if top_k:
        p = p * (torch.arange(p.shape[1], device=p.device) < top_k)
    likelier = p.cumsum(1) - p
    p = p * (likelier < top_p * p.sum(1, keepdim=True))
    reach = p.cumsum(1)
    place = torch.searchsorted(reach, chance[:, None] * reach[:, -1:], right=True).clamp(max=p.shape[1] - 1)
    return order.indices.gather(1, place)[:, 0]


def _init(module):
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
