"""A transformer encoder–decoder for translation (Vaswani et al. 2017), and its search.

Pre-norm (Xiong et al. 2020): each sublayer reads a normalized copy and adds to the stream. One
embedding serves the source, the target and the output (Press and Wolf 2017), positions are
sinusoids. Shapes: B sentences, H source tokens, Z target tokens, d the width, V the vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lectures import decoding
from lectures.bpe import PAD

Cache = list[dict[str, Tensor]]  # for each decoder layer, the keys and values computed so far


def sinusoids(length: int, d: int) -> Tensor:
    """Return sin and cos of position / 10000^(2i/d), side by side, (length, d)."""
    angle = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, d, 2) / d)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


class Attention(nn.Module):
    """Multi-head attention; `weights` gives its map for one head as log-probabilities."""

    def __init__(self, d: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key_value, self.output = (
            nn.Linear(d, d),
            nn.Linear(d, 2 * d),
            nn.Linear(d, d),
        )
        for layer in (self.query, self.key_value, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def split(self, x: Tensor) -> Tensor:
        """(B, n, d) to (B, heads, n, d / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of `memory` (B, n, d), each (B, heads, n, d / heads)."""
        key, value = self.key_value(memory).chunk(2, -1)
        return self.split(key), self.split(value)

    def forward(
        self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """Attend from x (B, n, d); `mask` (B, 1, 1, m) is True where a key may be looked at."""
        out = F.scaled_dot_product_attention(
            self.split(self.query(x)),
            key,
            value,
            attn_mask=mask,
            is_causal=causal,
        )
        return self.output(out.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, key: Tensor, mask: Tensor | None, head: int = 0) -> Tensor:
        """Log of the attention of one head, (B, n, m)."""
        query = self.split(self.query(x))[:, head]
        scores = query @ key[:, head].transpose(1, 2) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[:, 0], -math.inf)
        return scores.log_softmax(-1)


def feed_forward(d: int, d_inner: int) -> nn.Sequential:
    """Two linear layers with a ReLU between them."""
    return nn.Sequential(nn.Linear(d, d_inner), nn.ReLU(), nn.Linear(d_inner, d))


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network."""

    def __init__(self, d: int, heads: int, d_inner: int, dropout: float):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.self_attention = Attention(d, heads)
        self.feed_forward = feed_forward(d, d_inner)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(B, H, d) to the same."""
        h = self.norm_1(x)
        attention = self.self_attention
        x = x + self.dropout(attention(h, *attention.keys_values(h), mask))
        return x + self.dropout(self.feed_forward(self.norm_2(x)))


class DecoderLayer(nn.Module):
    """Self-attention to what was said, cross-attention to the source, the feed-forward network."""

    def __init__(self, d: int, heads: int, d_inner: int, dropout: float):
        super().__init__()
        self.norm_1, self.norm_2, self.norm_3 = (nn.LayerNorm(d) for _ in range(3))
        self.self_attention = Attention(d, heads)
        self.cross_attention = Attention(d, heads)
        self.feed_forward = feed_forward(d, d_inner)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, cache: dict[str, Tensor], mask: Tensor | None, maps: list[Tensor] | None
    ) -> Tensor:
        """(B, Z, d) to the same; `cache` holds the source's keys and values, and gets the target's.

        With an empty past, x is a whole target and each position sees those before it; otherwise x
        is the newest position. `maps` gets the log of head 0's cross-attention appended.
        """
        h = self.norm_1(x)
        key, value = self.self_attention.keys_values(h)
        if "key" in cache:
            key = torch.cat([cache["key"], key], 2)
            value = torch.cat([cache["value"], value], 2)
        causal = x.shape[1] > 1
        x = x + self.dropout(self.self_attention(h, key, value, None, causal))
        cache |= {"key": key, "value": value}
        h = self.norm_2(x)
        cross = self.cross_attention
        x = x + self.dropout(cross(h, cache["source_key"], cache["source_value"], mask))
        if maps is not None:
            maps.append(cross.weights(h, cache["source_key"], mask))
        return x + self.dropout(self.feed_forward(self.norm_3(x)))


class Transformer(nn.Module):
    """An encoder and a decoder of `layers` layers, over one vocabulary for both languages."""

    positions: Tensor

    def __init__(
        self,
        vocabulary: int,
        d: int = 192,
        heads: int = 4,
        layers: tuple[int, int] = (2, 2),
        d_inner: int = 768,
        dropout: float = 0.1,
        longest: int = 512,
    ):
        super().__init__()
        self.d = d
        self.embedding = nn.Embedding(vocabulary, d, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=d**-0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.encoder = nn.ModuleList(
            EncoderLayer(d, heads, d_inner, dropout) for _ in range(layers[0])
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(d, heads, d_inner, dropout) for _ in range(layers[1])
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("positions", sinusoids(longest, d), persistent=False)

    def embed(self, ids: Tensor, start: int = 0) -> Tensor:
        """Embeddings of ids (B, n), at positions from `start` on."""
        positions = self.positions[start : start + ids.shape[1]]
        return self.dropout(self.embedding(ids) * math.sqrt(self.d) + positions)

    def encode(self, source: Tensor) -> tuple[Cache, Tensor | None]:
        """Read the source (B, H); return each decoder layer's keys and values of it, and the mask.

        The mask (B, 1, 1, H) is True where a token stands; None when there is no padding.
        """
        mask = (source != PAD)[:, None, None] if (source == PAD).any() else None
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, mask)
        x = self.encoder_norm(x)
        cache = []
        for layer in self.decoder:
            assert isinstance(layer, DecoderLayer)
            key, value = layer.cross_attention.keys_values(x)
            cache.append({"source_key": key, "source_value": value})
        return cache, mask

    def decode(
        self,
        target: Tensor,
        cache: Cache,
        mask: Tensor | None,
        maps: list[Tensor] | None = None,
    ) -> Tensor:
        """Scores of the next token at each position of target (B, Z), shape (B, Z, V)."""
        x = self.embed(target, cache[0]["key"].shape[2] if "key" in cache[0] else 0)
        for layer, layer_cache in zip(self.decoder, cache, strict=True):
            x = layer(x, layer_cache, mask, maps)
        return F.linear(self.decoder_norm(x), self.embedding.weight, self.bias)

    def forward(self, source: Tensor, target: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Scores (B, Z, V) of the token after each of target (B, Z), given source (B, H)."""
        return self.decode(target, *self.encode(source), maps)


@torch.no_grad()
def greedy(model: Transformer, source: Tensor, longest: int) -> list[list[int]]:
    """Translate by `decoding.greedy`."""
    cache, mask = model.encode(source)
    return decoding.greedy(
        lambda token: model.decode(token, cache, mask)[:, -1], len(source), longest
    )


@torch.no_grad()
def beam_search(
    model: Transformer,
    source: Tensor,
    longest: int,
    k: int = 4,
    alpha: float = 1.0,
    enough: int | None = None,
    forbid: decoding.Forbid | None = None,
) -> list[list[tuple[float, list[int]]]]:
    """Search by `decoding.beam_search`."""
    cache, mask = model.encode(source)
    first = torch.arange(len(source)).repeat_interleave(k)  # one row for each hypothesis
    cache = [{name: x[first] for name, x in layer.items()} for layer in cache]
    mask = None if mask is None else mask[first]

    def step(token: Tensor, rows: Tensor) -> Tensor:
        nonlocal mask
        fewer = len(rows) < len(cache[0]["source_key"])
        for layer in cache:  # the source is the same for all of a text: it moves when one is over
            layer |= {
                name: x[rows] for name, x in layer.items() if fewer or name in ("key", "value")
            }
        mask = mask[rows] if fewer and mask is not None else mask
        return model.decode(token, cache, mask)[:, -1]

    return decoding.beam_search(step, len(source), longest, k, alpha, enough, forbid)
