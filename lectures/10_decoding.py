# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 Decoding: which text does a model mean?
#
# Lecture 09's networks give, after any beginning, a probability to each symbol that may come next.
# That is a probability for every text there is. To write, they took the likeliest symbol, then the
# likeliest after that, and nobody has searched. **Is what they wrote the likeliest text? How is it
# found? And is the likeliest text the one we want?**
#
# **After this lecture you can**
#
# - show a model of six texts that greedy decoding gets wrong, and say how often that happens;
# - write beam search with its rule for finished texts, and test it against all texts there are;
# - say what the beam's width, the stop criterion and length normalization each change;
# - find a model's likeliest text exactly, and say why that is not the goal;
# - sample with temperature, top-$m$ and nucleus, and choose between search and sampling.
#
# **You need** lecture 05 (chain rule), lecture 02's intervals, lecture 09 (encoder–decoder,
# phoneme errors). **Time**: 70 minutes to read; all cells run in about a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $x$ | | the source: letters, or a verse of Wycliffe's |
# | $y_1,\dots,y_n$ | symbols | a text said for it; if it has ended, $y_n$ is <END> |
# | $\lvert V\rvert$, $T$ | numbers | symbols to choose from, with <END>; longest $n$ allowed |
# | $\log P(y\mid x)$ | number | $\sum_t\log P(y_t\mid y_1,\dots,y_{t-1},x)$, the sum of its steps |
# | $k$, $N$ | numbers | beginnings kept; finished texts that end a search |
# | $\alpha$, $s_\alpha(y)$ | numbers | $s_\alpha(y)=\log P(y\mid x)/n^\alpha$ |
# | $\mathcal T$ | number | temperature, as in lecture 06 |
# | $m$, $p$ | numbers | top-$m$ keeps $m$ symbols; a nucleus keeps mass $p$ |
#
# Top-$m$ is called top-$k$ elsewhere; here $k$ is the beam.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import csv
import functools
import heapq
from itertools import combinations, product

import numpy as np
import sacrebleu
import torch
from matplotlib import pyplot as plt
from scipy import stats

from lectures import (
    attention_lstm,
    batching,
    character_lm,
    checkpoints,
    corpora,
    decoding,
    figures,
    pronunciation,
    transformer,
    translation,
)
from lectures.bpe import BOS, EOS
from lectures.intervals import bootstrap_interval

torch.set_num_threads(1)
blue, orange, green, sky, red = (figures.palette[c] for c in list(figures.palette)[:5])

# %% [markdown]
# ## 1. Greedy cannot take back
#
# A model with six texts, small enough for the head. What may come next, and how likely it is,
# depends on what was said; after two words every text ends.

# %%
after = {
    "": {"the": 0.6, "a": 0.4},
    "the": {"cat": 0.4, "dog": 0.35, "<END>": 0.25},
    "a": {"cat": 0.9, "dog": 0.05, "<END>": 0.05},
}


def greedy_text(after):
    said, probability = [], 1.0
    while (now := " ".join(said)) in after:
        word = max(after[now], key=after[now].get)
        said, probability = [*said, word], probability * after[now][word]
    return " ".join(said), probability


# %% [markdown]
# **Predict before you run.** Which text does greedy write, with which probability? Is there a
# likelier one?
#
# <details><summary>Answer</summary>
#
# *the* (0.6), then *cat* (0.4): *the cat* has $0.6\cdot0.4=0.24$. But *a cat* has
# $0.4\cdot0.9=0.36$. The better first word leads to a place where nothing is likely. Greedy finds
# out one word too late, and has no way back.
#
# </details>

# %%
every = {}
for first, share in after[""].items():
    for second, then in after[first].items():
        every[f"{first} {second}"] = share * then
print({text: round(p, 2) for text, p in every.items()})
found, p = greedy_text(after)
print(f"greedy: {found}, {p:.2f}; the likeliest: {max(every, key=every.get)}, "
      f"{max(every.values()):.2f}")  # fmt: skip
assert np.isclose(sum(every.values()), 1)
assert np.isclose(greedy_text(after)[1], 0.24)
assert np.isclose(max(every.values()), every["a cat"])
assert np.isclose(every["a cat"], 0.36)

# %% [markdown]
# ## 2. Try them all
#
# Whoever tries every text cannot miss. How many are there? A text of $n$ symbols ends with <END>
# and has $n-1$ others before it, so up to $T$ there are $\sum_{n=1}^{T}(\lvert V\rvert-1)^{n-1}$.


# %%
def log10_texts(V, T):
    """Logarithm of the number of texts that end within T symbols; the sum as a series."""
    r = np.log10(V - 1)
    return T * r - r + np.log10((1 - (V - 1.0) ** -T) / (1 - 1 / (V - 1.0)))


assert np.isclose(10 ** log10_texts(4, 5), sum(3 ** (n - 1) for n in range(1, 6)))
sounds, pieces = len(pronunciation.phonemes()), len(translation.bpe())
print(f"toys, 4 symbols up to 5 long: {10 ** log10_texts(4, 5):.0f} texts")
print(f"{sounds} sounds up to 20 long: 10^{log10_texts(sounds, 20):.0f}")
print(f"{pieces:,} word pieces up to 40 long: 10^{log10_texts(pieces, 40):.0f}")

# %% [markdown]
# So trying all is for toys, and there it will be our judge. A toy: three symbols, 0, 1 and 3, and
# <END>, which is 2. After each beginning it has scores of its own, drawn at random from a seed. A
# model is then a function from a beginning to log-probabilities; a trained network will be one.


# %%
def toy(seed):
    """A random model: next_log_p(y) has log P of what follows the beginning y, (4,)."""

    @functools.cache
    def next_log_p(y):
        scores = np.random.default_rng([seed + 1, *(s + 1 for s in y)]).normal(0, 1, 4)
        return scores - np.log(np.exp(scores).sum())

    return next_log_p


def log_P(next_log_p, y):
    return sum(next_log_p(y[:t])[y[t]] for t in range(len(y)))


def exhaustive(next_log_p, T, V=4):
    """All texts that end within T symbols, the likeliest first: [(log P, y), …]."""
    others = [s for s in range(V) if s != EOS]
    texts = [(*y, EOS) for n in range(T) for y in product(others, repeat=n)]
    return sorted(((log_P(next_log_p, y), y) for y in texts), reverse=True)


def greedy(next_log_p, T):
    y = ()
    while len(y) < T and (not y or y[-1] != EOS):
        y += (int(np.argmax(next_log_p(y))),)
    return log_P(next_log_p, y), y


# %%
T, seeds = 5, range(200)
best = {seed: exhaustive(toy(seed), T)[0] for seed in seeds}
ends = [seed for seed in seeds if greedy(toy(seed), T)[1][-1] == EOS]
found = np.mean([greedy(toy(seed), T) == best[seed] for seed in ends])
print(f"greedy ends within T in {len(ends)} of 200 toys; there it finds the best in {found:.0%}")
for seed in ends[:50]:  # what ends within T and what goes on are all there is
    going_on = [log_P(toy(seed), y) for y in product((0, 1, 3), repeat=T)]
    ended = [log_p for log_p, _ in exhaustive(toy(seed), T)]
    assert np.isclose(np.exp([*ended, *going_on]).sum(), 1)
assert found < 0.9

# %% [markdown]
# ## 3. Beam search
#
# Between one beginning and all of them: keep the $k$ likeliest. At each step
#
# 1. continue each of the $k$ beginnings with each of the $\lvert V\rvert$ symbols;
# 2. sort these $k\lvert V\rvert$ candidates by $\log P$;
# 3. a candidate **that ends and is among the first $k$** is a finished text: put it aside;
# 4. of those that do not end, **the first $k$ go on**: a finished text keeps no slot;
# 5. stop after $T$ steps, or as soon as $N$ texts are finished (usually $N=k$). What had not ended
#    by then counts only if nothing else had.
#
# Each half of the rule about <END> has its reason, and we will break both. Texts end at different
# steps, so the finished ones wait aside to be compared at the end.


# %%
def beam_search(next_log_p, T, k, N=None):
    """Finished texts, the likeliest first: [(log P, y), …]; N is k unless given."""
    N = k if N is None else N
    beam, ended = [(0.0, ())], []
    for _ in range(T):
        candidates = [(log_p + next_log_p(y)[s], (*y, s)) for log_p, y in beam
                      for s in range(len(next_log_p(y)))]  # fmt: skip
        candidates.sort(reverse=True)
        ended += [c for c in candidates[:k] if c[1][-1] == EOS]
        beam = [c for c in candidates if c[1][-1] != EOS][:k]
        if len(ended) >= N:
            break
    return sorted(ended[:N] or beam[:1], reverse=True)


# %% [markdown]
# Two judges on 200 toys. With $k=1$ it must be greedy, symbol for symbol. And it must be exhaustive
# search at full width. How wide is that? At the last step there are $3^{T-1}=81$ beginnings and
# four symbols, so $k=324$ leaves no candidate out: the *whole ranking* of 121 texts must come back.

# %%
never = 10**9  # N: do not stop before T
for seed in seeds:
    one, full = beam_search(toy(seed), T, k=1), beam_search(toy(seed), T, 324, never)
    all_texts = exhaustive(toy(seed), T)
    assert one[0][1] == greedy(toy(seed), T)[1]
    assert [y for _, y in full] == [y for _, y in all_texts]
    assert np.allclose([log_p for log_p, _ in full], [log_p for log_p, _ in all_texts])
print(f"200 toys: k = 1 is greedy, k = 324 ranks all {len(all_texts)} texts as exhaustive search")

# %% [markdown]
# Between them: how often does width $k$ find the best?


# %%
def shares(search, widths=(1, 2, 3, 4, 6, 8)):
    """For each width, the share of toys whose best text the search finds."""
    return {k: np.mean([search(toy(s), T, k, never)[0] == best[s] for s in seeds]) for k in widths}


plain = shares(beam_search)
print("best text found:", ", ".join(f"k = {k} {share:.0%}" for k, share in plain.items()))
assert (np.diff(list(plain.values())) >= 0).all()

# %% [markdown]
# Wider is better on average, and no more than that. A second beginning can push out what would have
# become the best. By hand: 0 leads to $0.52\cdot0.4=0.21$ and then <END> for certain; 1 leads to
# two beginnings of 0.24 that both scatter.

# %%
hand = {(): [0.52, 0.48, 0, 0], (0,): [0.4, 0.3, 0, 0.3], (1,): [0.5, 0.5, 0, 0]}
hand |= {(1, 0): [0.4, 0.3, 0, 0.3], (1, 1): [0.4, 0.3, 0, 0.3]}


def by_hand(y):
    return np.log(np.maximum(hand.get(y, [0, 0, 1, 0]), 1e-12))


for k in (1, 2, 3):
    log_p, y = beam_search(by_hand, T, k, never)[0]
    print(f"k = {k}: {y}, P = {np.exp(log_p):.3f}")
wider = [np.exp(beam_search(by_hand, T, k, never)[0][0]) for k in (1, 2, 3)]
assert np.allclose(wider, [0.208, 0.096, 0.208])

# %% [markdown]
# Only full width gives a guarantee.
#
# **What breaks without the rule.** Two variants that one meets in code. *Slots*: a finished text
# stays in the beam and takes a place. *Anywhere*: a candidate that ends counts wherever it stands
# among the $k\lvert V\rvert$.


# %%
def with_slots(next_log_p, T, k, N=None):
    beam = [(0.0, ())]
    for _ in range(T):
        done = [(log_p, y) for log_p, y in beam if y and y[-1] == EOS]
        going = [(log_p + next_log_p(y)[s], (*y, s)) for log_p, y in beam
                 if not y or y[-1] != EOS for s in range(4)]  # fmt: skip
        beam = sorted([*done, *going], reverse=True)[:k]
    return [c for c in beam if c[1][-1] == EOS] or beam[:1]


def anywhere(next_log_p, T, k, N=None):
    beam, ended = [(0.0, ())], []
    for _ in range(T):
        candidates = sorted(((log_p + next_log_p(y)[s], (*y, s)) for log_p, y in beam
                             for s in range(4)), reverse=True)  # fmt: skip
        ended += [c for c in candidates if c[1][-1] == EOS]
        beam = [c for c in candidates if c[1][-1] != EOS][:k]
    return sorted(ended, reverse=True)


slots = shares(with_slots)
print("with slots:     ", ", ".join(f"k = {k} {share:.0%}" for k, share in slots.items()))
other = sum(anywhere(toy(s), T, 1)[0][1] != greedy(toy(s), T)[1] for s in seeds)
print(f"anywhere: k = 1 is not greedy in {other} of 200 toys")
assert all(slots[k] < plain[k] for k in (2, 3, 4))
assert other > 50

# %% [markdown]
# With slots a beam of $k$ narrows with each text that ends, and finds less. *Anywhere* finds more,
# for a candidate that ends is kept for nothing; but with a real $\lvert V\rvert$ each of the $k$
# beginnings then ends at *every* step, a search with $N=k$ is over after the first, and its
# smallest case is no longer greedy.
#
# ## 4. A real tree
#
# Lecture 09's network from letters to sounds as such a function: it reads the letters, is given the
# beginning, and says what comes next. (It reads everything anew at each call. The batched search in
# `lectures/decoding.py` keeps what was computed.)

# %%
network, phoneme = pronunciation.load(), pronunciation.phonemes()


def sounds_of(letters):
    """next_log_p of the network for one spelled word."""
    source = torch.tensor([pronunciation.letter_ids(letters)])

    @functools.cache
    @torch.no_grad()
    def next_log_p(y):
        return network(source, torch.tensor([[BOS, *y]]))[0, -1].log_softmax(-1).numpy()

    return next_log_p


def said(y):
    return " ".join(phoneme[s] for s in y if s != EOS)


# %%
print("greedy:", said(greedy(sounds_of("translation"), 25)[1]))
words = pronunciation.words("valid")[::4]
sources = [pronunciation.letter_ids(word.letters) for word in words]


def search_all(k, N=None, items=None):
    """The batched search for many words at once: for each, [(log P, ids), …], best first."""
    items, out = items or range(len(words)), {}
    for batch in batching.by_tokens([len(sources[i]) for i in items], 4_000 // k):
        chosen = [items[i] for i in batch]
        source = batching.pad([sources[i] for i in chosen])
        results = attention_lstm.beam_search(network, source, 2 * source.shape[1] + 5, k, 0.0, N)
        out |= dict(zip(chosen, results, strict=True))
    return [out[i] for i in items]


# %% [markdown]
# The batched one has to be the one that we wrote. Sixty words, one by one and together:

# %%
some = range(0, len(words), len(words) // 60)
for i, together in zip(some, search_all(3, items=some), strict=True):
    alone = beam_search(sounds_of(words[i].letters), 2 * len(sources[i]) + 5, 3)
    assert [ids for _, ids in together] == [[s for s in y if s != EOS] for _, y in alone]
    assert np.allclose([a for a, _ in together], [a for a, _ in alone], atol=1e-4)
print(f"{len(some)} words, k = 3: the batched search finds what ours finds")

# %% [markdown]
# Now look for a word, among 1,454 that training never saw, that greedy gets wrong and $k=2$ gets
# right, and draw what the search saw: at each step the four likeliest candidates.

# %%
widths = (1, 2, 4, 8)
results = {k: search_all(k) for k in widths}
firsts = {k: [texts[0] for texts in results[k]] for k in widths}  # (log P, ids) of the best


def mistakes(ids, word):
    """Edits to the nearest pronunciation, and its length."""
    return pronunciation.errors([phoneme[s] for s in ids], word)


rescued = [
    i for i, word in enumerate(words)
    if firsts[2][i][0] > firsts[1][i][0] + 0.1
    and mistakes(firsts[2][i][1], word)[0] == 0 < mistakes(firsts[1][i][1], word)[0]
]  # fmt: skip
shown = min(rescued, key=lambda i: (len(firsts[2][i][1]), i))
letters = words[shown].letters
for k in (1, 2):
    print(f"{letters}, k = {k}: {said(firsts[k][shown][1])}, P = {np.exp(firsts[k][shown][0]):.2f}")
assert len(firsts[2][shown][1]) <= 6


# %%
def tree(next_log_p, T, k):
    """For each step its 2k likeliest candidates: (log P, text, its parent, its fate)."""
    beam, levels, n_ended = [(0.0, ())], [], 0
    for _ in range(T):
        level = [(log_p + float(next_log_p(y)[s]), (*y, s), y) for log_p, y in beam
                 for s in range(len(next_log_p(y)))]  # fmt: skip
        level = sorted(level, reverse=True)[: 2 * k]
        going = [c for c in level if c[1][-1] != EOS][:k]
        fates = ["ended" if c[1][-1] == EOS and c in level[:k] else
                 "kept" if c in going else "pruned" for c in level]  # fmt: skip
        levels.append([(*c, fate) for c, fate in zip(level, fates, strict=True)])
        beam = [(log_p, y) for log_p, y, _ in going]
        n_ended += fates.count("ended")
        if n_ended >= k:  # the search is over, and nothing goes on
            levels[-1] = [(*c[:3], c[3].replace("kept", "pruned")) for c in levels[-1]]
            break
    return levels


levels = tree(sounds_of(letters), 12, 2)
finished = [node for level in levels for node in level if node[3] == "ended"]
ours = beam_search(sounds_of(letters), 12, 2)
assert sorted([(log_p, y) for log_p, y, *_ in finished], reverse=True)[:2] == ours

# %%
fig, ax = plt.subplots(figsize=(7, 4.2))
look = {"kept": (blue, "-", "o"), "ended": (green, "-", "s"), "pruned": ("gray", ":", "x")}
place = {(): (0, 0)}
for t, level in enumerate(levels, start=1):
    for rank, (log_p, y, parent, fate) in enumerate(level):
        color, line, marker = look[fate]
        place[y] = (t, rank)
        ax.plot(*zip(place[parent], place[y], strict=True), line, color=color, linewidth=1.2)
        ax.plot(t, rank, marker, color=color, markersize=6)
        name = phoneme[y[-1]].replace("</s>", "<END>")
        p = f"{np.exp(log_p):.2f}" if log_p > np.log(0.005) else "<.01"
        ax.annotate(
            f"{name} {p}",
            (t, rank),
            (0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=color,
            bbox={"fc": "white", "ec": "none", "pad": 0.6},
        )
ax.annotate(letters, (-0.06, 0), ha="right", va="center", weight="bold")
ax.set(xlabel="step t", ylabel="rank of the candidate", yticks=range(4),
       yticklabels=[1, 2, 3, 4], xlim=(-0.95, len(levels) + 0.5), ylim=(3.3, -0.45))  # fmt: skip
ax.grid(visible=False)
first_best = [level[0][1] for level in levels]
wrong_at = next(t for t, y in enumerate(first_best, start=1) if y != ours[0][1][:t])
assert wrong_at < len(levels)
ax.set_title(f"Greedy drops the right beginning at step {wrong_at}; a beam of two keeps it")
steps_in_words = "; ".join(
    f"step {t}: " + ", ".join(f"{phoneme[y[-1]].replace('</s>', 'END')} {np.exp(log_p):.2f} {fate}"
                              for log_p, y, _, fate in level)
    for t, level in enumerate(levels, start=1)
)  # fmt: skip
figures.show(
    fig,
    f"""Search tree for the word {letters}, k = 2, four candidates a step with the probability of
    the whole beginning. {steps_in_words}. The search ends with {said(ours[0][1])}, P =
    {np.exp(ours[0][0]):.2f}.""",
)

# %% [markdown]
# Both vowels are about as good at step 3, and greedy has to choose there. What decides comes a step
# later: after IY the *th* may be voiced or not (DH 0.25, TH 0.21), after EH it mostly is not (TH
# 0.28, DH 0.15), and the better sum lies where greedy is no longer looking.
#
# ## 5. How often, on real texts
#
# Over all 1,454 words: how often is greedy's text less likely than the beam's, and does it matter?
# What counts is phonemes wrong (lecture 09), with a paired interval over words.


# %%
def log_p_of(k):
    return np.array([log_p for log_p, _ in firsts[k]])


def wrong(k):
    """Edits and phonemes of each word, (words, 2)."""
    return np.array([mistakes(ids, word) for (_, ids), word in zip(firsts[k], words, strict=True)])


def rate(edits):
    return 100 * edits[:, 0].sum() / edits[:, 1].sum()


edits = {k: wrong(k) for k in widths}
for k in widths:
    lost = (log_p_of(8) > log_p_of(k) + 1e-3).mean()
    print(f"k = {k}: mean log P {log_p_of(k).mean():.4f}, less likely than at k = 8 in {lost:.1%}, "
          f"phonemes wrong {rate(edits[k]):.0f}%")  # fmt: skip
low, high = bootstrap_interval(lambda a, b: rate(a) - rate(b), edits[1], edits[8])
print(f"k = 8 instead of 1 saves [{low:.1f}, {high:.1f}] points of phonemes wrong")
overtaken = [i for i in range(len(words)) if log_p_of(8)[i] < log_p_of(1)[i] - 1e-3]
for i in overtaken:
    print(f"{words[i].letters}: k = 1 {said(firsts[1][i][1])}, log P = {firsts[1][i][0]:.3f}; "
          f"k = 8 {said(firsts[8][i][1])}, {firsts[8][i][0]:.3f}")  # fmt: skip
assert len(overtaken) < 5
assert 0.01 < (log_p_of(8) > log_p_of(1) + 1e-3).mean() < 0.05
assert -0.5 < low < 0 < high < 0.5

# %% [markdown]
# A word is short, and its letters leave little choice: greedy misses in two of a hundred, and what
# the beam finds in its place is no better pronounced (the interval has 0 in it). In one word the
# wide beam even loses what greedy had, as in section 3's example by hand. A verse has forty pieces
# and many ways to be said. Lecture 14's transformer, from Wycliffe to King James, on 65 verses of
# the validation side:

# %%
model, code = translation.load(), translation.bpe()
verses = corpora.translation_pairs("valid")[::20]
verse_sources = [[*code.encode(verse.wycliffe), EOS] for verse in verses]


def search_verses(k):
    out = {}
    for batch in batching.by_tokens([len(s) for s in verse_sources], 2_000 // k):
        source = batching.pad([verse_sources[i] for i in batch])
        results = transformer.beam_search(model, source, 2 * source.shape[1] + 10, k, 0.0)
        out |= dict(zip(batch, results, strict=True))
    return [out[i] for i in range(len(verses))]


verse_widths = (1, 2, 4, 8, 16)
verse_results = {k: search_verses(k) for k in verse_widths}
verse_log_p = {k: np.array([texts[0][0] for texts in verse_results[k]]) for k in verse_widths}
less = (verse_log_p[4] > verse_log_p[1] + 1e-3).mean()
more = (verse_log_p[4] < verse_log_p[1] - 1e-3).mean()
print(f"greedy is less likely than k = 4 in {less:.0%} of the verses, likelier in {more:.0%}")
assert less > 0.6
assert more < 0.2

# %% [markdown]
# In most verses greedy misses a likelier text, and in a few the beam loses what greedy had. The
# case with the largest gap among short verses:

# %%
short = [i for i in range(len(verses)) if len(verse_sources[i]) < 25]
i = max(short, key=lambda i: verse_log_p[4][i] - verse_log_p[1][i])
print("source:", verses[i].wycliffe, "\nKing James:", verses[i].king_james)
for k in (1, 4):
    log_p, ids = verse_results[k][i][0]
    print(f"k = {k}, log P = {log_p:.0f}: {code.decode(ids)}")
target = torch.tensor([[BOS, *verse_results[1][i][0][1], EOS]])
with torch.no_grad():
    scores = model(torch.tensor([verse_sources[i]]), target[:, :-1]).log_softmax(-1)
again = scores[0].gather(1, target[0, 1:, None]).sum().item()  # greedy's log P, the other way
assert abs(again - verse_log_p[1][i]) < 1e-2
assert verse_log_p[4][i] > verse_log_p[1][i] + 1

# %% [markdown]
# ## 6. When to stop
#
# Two criteria are usual: go on to step $T$, or stop when $N$ texts are finished. $N=1$ takes the
# first that ends, $N=k$ waits for as many as the beam is wide. On the words, $k=8$:

# %%
long_words = [i for i, word in enumerate(words) if len(word.letters) >= 9][:200]
stop = {name: search_all(8, N, long_words) for name, N in (("1", 1), ("k", None), ("T", never))}
stop_top = {name: np.array([texts[0][0] for texts in r]) for name, r in stop.items()}
for name, found_texts in stop.items():
    finished = np.mean([len(texts) for texts in found_texts])
    print(f"stop at {name}: {finished:3.0f} finished, mean log P {stop_top[name].mean():.2f}")
missed = {name: int((stop_top["T"] > stop_top[name] + 1e-4).sum()) for name in ("1", "k")}
print(f"a likelier one would have come later: N = 1 {missed['1']}, N = k {missed['k']} of "
      f"{len(long_words)} words")  # fmt: skip
assert missed["k"] == 0 < missed["1"]
assert (stop_top["1"] <= stop_top["k"] + 1e-4).all()

# %% [markdown]
# $N=1$ takes what ends first, which is the shortest and not always the likeliest. With $N=k$
# nothing is lost here, with 8 texts finished instead of 126. For plain $\log P$ a criterion
# loses *nothing*, for any $k$: each step can only lower $\log P$. So stop when the best finished
# text is likelier than every beginning still in the beam. (With a division by length this no longer
# holds: a long text may yet overtake.)


# %%
def beam_search_safe(next_log_p, T, k, N=None):
    beam, ended, steps = [(0.0, ())], [], 0
    while steps < T and not (ended and max(ended)[0] >= beam[0][0]):
        candidates = sorted(((log_p + next_log_p(y)[s], (*y, s)) for log_p, y in beam
                             for s in range(len(next_log_p(y)))), reverse=True)  # fmt: skip
        ended += [c for c in candidates[:k] if c[1][-1] == EOS]
        beam = [c for c in candidates if c[1][-1] != EOS][:k]
        steps += 1
    return max(ended or beam), steps


early = 0
for seed in seeds:
    for k in (1, 2, 3):
        (log_p, y), steps = beam_search_safe(toy(seed), T, k)
        to_the_end = beam_search(toy(seed), T, k, never)[0]
        assert y == to_the_end[1]
        early += steps < T
print(f"equal to the search up to T in all {3 * len(seeds)} cases, over early in {early}")
assert early > 100

# %% [markdown]
# ## 7. Short texts have it easy
#
# Each symbol multiplies $P$ by a number below 1: $\log P$ falls with every step. So a text that
# stops early has an advantage that has nothing to do with what it says. It shows in what a *wider*
# plain search finds:

# %%
reference_words = sum(len(verse.king_james.split()) for verse in verses)


def chosen(k, alpha):
    """Of the finished texts of each verse the one with the best log P / n^alpha: (log P, ids)."""
    return [max(texts, key=lambda c: c[0] / (len(c[1]) + 1) ** alpha)
            for texts in verse_results[k]]  # fmt: skip


def translations(k, alpha):
    return [code.decode(ids) for _, ids in chosen(k, alpha)]


def length(k, alpha):
    """Words said, as a share of those of the King James verses."""
    return sum(len(text.split()) for text in translations(k, alpha)) / reference_words


for k in verse_widths:
    print(f"k = {k:2}: mean log P {verse_log_p[k].mean():6.1f}, length {length(k, 0):.2f}")
assert (np.diff([verse_log_p[k].mean() for k in verse_widths]) > 0).all()
assert (np.diff([length(k, 0) for k in verse_widths]) < 0).all()

# %% [markdown]
# **Length normalization** compares what a text has per symbol:
#
# $$s_\alpha(y) = \frac{\log P(y\mid x)}{n^\alpha}.$$
#
# $\alpha=0$ is the plain score, $\alpha=1$ the mean log-probability of a step, and in between one
# may tune. (Wu et al. 2016 divide by $\big(\frac{5+n}{6}\big)^\alpha$, which treats the first
# symbols alike.) The search itself stays as it was, for all beginnings of a step are equally long:
# $\alpha$ decides only which of the *finished* texts wins. By hand: $\log P=-4$ with 4 symbols,
# $\log P=-4.5$ with 6.
#
# **Predict before you run.** Which wins at $\alpha=0$, which at $\alpha=1$? Where do they change
# places?
#
# <details><summary>Answer</summary>
#
# At 0 the short one ($-4>-4.5$), at 1 the long one ($-1<-0.75$). They are equal where
# $4/4^\alpha=4.5/6^\alpha$, so $1.5^\alpha=1.125$ and $\alpha=0.29$.
#
# </details>

# %%
equal_at = np.log(4.5 / 4) / np.log(6 / 4)
print(f"equal at α = {equal_at:.2f}; at 1: {-4 / 4:.2f} and {-4.5 / 6:.2f}")
assert np.isclose(-4 / 4**equal_at, -4.5 / 6**equal_at)
alphas = (0, 0.5, 1, 1.5)
for k in (4, 16):
    print(f"k = {k:2}: length", ", ".join(f"{length(k, a):.2f} at α = {a}" for a in alphas))
    assert (np.diff([length(k, a) for a in alphas]) > 0).all()
assert abs(length(16, 1) - 1) < abs(length(16, 0) - 1)

# %% [markdown]
# ## 8. Quality against $k$
#
# BLEU and chrF (lecture 11 takes them apart; until then: agreement with the King James verse in
# words, and in letters, both up to 100) against the width, with and without normalization. Beside
# them, what the search maximizes.

# %%
king_james = [verse.king_james for verse in verses]


def bleu(said):
    return sacrebleu.corpus_bleu(said, [king_james]).score


def chrf(said):
    return sacrebleu.corpus_chrf(said, [king_james]).score


quality = {a: [(bleu(translations(k, a)), chrf(translations(k, a))) for k in verse_widths]
           for a in (0, 1)}  # fmt: skip
assert quality[1][-1][0] < max(b for b, _ in quality[1])
assert all(a[0] - b[0] > 0.5 for a, b in zip(quality[1][1:], quality[0][1:], strict=True))
assert all(a[1] > b[1] for a, b in zip(quality[1][1:], quality[0][1:], strict=True))
print("from k = 2 on, the division by n is better in BLEU and in chrF, at each k")

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 3.8))
axes[0].semilogx(verse_widths, [verse_log_p[k].mean() for k in verse_widths], "o-", color=blue,
                 base=2)  # fmt: skip
for a, color, line in ((0, red, "s--"), (1, green, "o-")):
    axes[1].semilogx(verse_widths, [b for b, _ in quality[a]], line, color=color, base=2)
axes[0].set(ylabel="mean log P of the text found")
axes[1].set(ylabel="BLEU, 65 verses", ylim=(29, 33), yticks=range(29, 34))
for ax in axes:
    ax.set_xticks(verse_widths, [str(k) for k in verse_widths])
    ax.set(xlabel="width k")
axes[1].annotate("best log P / n wins", (3, 32.2), color=green)
axes[1].annotate("best log P wins", (3, 29.8), color=red)
fig.suptitle("A wider beam scores more and more; the translation stops improving",
             x=0.01, ha="left", weight="bold", fontsize=12)  # fmt: skip
figures.show(
    fig,
    f"""Left: mean log-probability of the text found against k = 1, 2, 4, 8, 16: rising from
    {verse_log_p[1].mean():.0f} to {verse_log_p[16].mean():.0f}. Right: BLEU on 65 verses, 31 at
    k = 1. Where the best log P / n wins it stays near 32 from k = 2 on; where the best log P wins
    it is lower by over 0.5 at every k, and falls to 30 at k = 16.""",
)
assert all(abs(b - 32) < 0.7 for b, _ in quality[1][1:])
assert abs(quality[0][-1][0] - 30) < 0.5

# %% [markdown]
# The differences, with paired intervals over verses:


# %%
def counts(said, references):
    """What BLEU knows of each verse (lecture 11): ten numbers, (verses, 10)."""
    rows = [sacrebleu.sentence_bleu(text, [ref], smooth_method="none")
            for text, ref in zip(said, references, strict=True)]  # fmt: skip
    return np.array([[*row.counts, *row.totals, row.sys_len, row.ref_len] for row in rows])


def corpus_bleu(rows):
    c = rows.sum(axis=0).tolist()
    return sacrebleu.BLEU.compute_bleu(c[:4], c[4:8], c[8], c[9]).score


def gain(one, other, references=king_james):
    """BLEU of `one` less that of `other`, and its interval over verses."""
    rows = counts(one, references), counts(other, references)
    difference = lambda a, b: corpus_bleu(a) - corpus_bleu(b)  # noqa: E731
    return difference(*rows), bootstrap_interval(difference, *rows, resamples=1_000)


assert np.isclose(corpus_bleu(counts(translations(4, 1), king_james)), bleu(translations(4, 1)))
_, (low, high) = gain(translations(16, 1), translations(4, 1))
print("k = 16 instead of 4: the interval of the gain holds 0, and not 1 BLEU")
assert low < 0 < high < 1
normalized, (low, high) = gain(translations(16, 1), translations(16, 0))
print(f"at k = 16, divided by n instead of plain: {normalized:+.0f} BLEU, all above 0")
assert low > 0

# %% [markdown]
# 65 verses are few. What the transformer says for all 1,113 test verses is kept in
# `data/translations.csv`: greedily, and by a beam of 4 divided by $n$ (column *free*; the name is
# section 10's).

# %%
with (corpora.DATA / "translations.csv").open(newline="") as file:
    kept = list(csv.DictReader(file))
test = [verse.king_james for verse in corpora.translation_pairs("test")]
systems = {name: [line[name] for line in kept] for name in ("model1", "greedy", "free", "beam")}
beam_gain, (low, high) = gain(systems["free"], systems["greedy"], test)
print(f"k = 4 instead of greedy, test side: {beam_gain:+.1f} BLEU [{low:+.1f}, {high:+.1f}]")
assert low > 0.5

# %% [markdown]
# ## 9. The likeliest text is not the goal
#
# Up to $k=4$ searching pays. From there on, the search gets better at its task and the translations
# do not. Is the search still
# too weak, or is it the task? For words we can find out, because there the likeliest text can be
# found **exactly**. Keep all beginnings in a heap and always continue the likeliest. The first
# *ended* text that comes out on top is the best of all, of any length: every other text still has
# to come from a beginning that is less likely already, and will only lose (Dijkstra's algorithm,
# with $-\log P$ as distance).


# %%
def likeliest(next_log_p, at_most=100_000):
    """The text of the largest P, and how many beginnings had to be continued."""
    heap = [(0.0, ())]
    for steps in range(at_most):
        distance, y = heapq.heappop(heap)
        if y and y[-1] == EOS:
            return -distance, y, steps
        log_p = next_log_p(y)
        for s in range(len(log_p)):
            heapq.heappush(heap, (distance - float(log_p[s]), (*y, s)))
    return None, None, at_most


for seed in seeds:  # those toys whose best text is longer than T are left out
    log_p, y, _ = likeliest(toy(seed))
    assert len(y) > T or (np.isclose(log_p, best[seed][0]) and y == best[seed][1])
print("toys: equal to exhaustive search")

# %%
sample_words = range(0, len(words), 12)
exact = {i: likeliest(sounds_of(words[i].letters)) for i in sample_words}
continued = np.array([steps for _, _, steps in exact.values()])
hit = {k: np.mean([list(exact[i][1][:-1]) == firsts[k][i][1] for i in exact]) for k in widths}
print(f"{len(exact)} words: {np.median(continued):.0f} beginnings continued in the median")
print("the likeliest text found:", ", ".join(f"k = {k} {share:.0%}" for k, share in hit.items()))
assert hit[1] < hit[4]
assert hit[8] > 0.97

# %% [markdown]
# So on words beams of four find what there is to find, and what is left of the errors is the
# *model's*: its likeliest text is wrong. On verses the mode is out of reach, but each step towards
# it made texts shorter. Stahlberg and Byrne (2019) went all the way, with an exact search over a
# real translation model: for half of the sentences the likeliest text of all was the **empty** one.
# How likely is it here?

# %%
with torch.no_grad():
    empty = torch.cat([
        model(torch.tensor([s]), torch.tensor([[BOS]]))[0, -1].log_softmax(-1)[EOS, None]
        for s in verse_sources
    ])  # fmt: skip
nothing = empty.numpy()
print(f"log P of saying nothing: median {np.median(nothing):.0f}; of the text found at k = 16: "
      f"{np.median(verse_log_p[16]):.0f}")  # fmt: skip
print("nothing is likelier than what was found in more than half of the verses")
assert (nothing > verse_log_p[16]).mean() > 0.5

# %% [markdown]
# Saying nothing at all is likelier, in more than half of the verses, than anything the beam found.
# A translation of thirty symbols pays for each of its thirty choices, the empty text for one. What
# saves plain beam search is that it searches badly: at the first step <END> stands far behind the
# first $k$. So let us search better, on the verse where <END> stands farthest in front:

# %%
with torch.no_grad():
    ranks = np.array([
        int((first > first[EOS]).sum()) + 1
        for s in verse_sources
        for first in [model(torch.tensor([s]), torch.tensor([[BOS]]))[0, -1]]
    ])  # fmt: skip
silent = np.flatnonzero(nothing > verse_log_p[16] + 0.5)
i = int(silent[np.argmin(ranks[silent])])
source = torch.tensor([verse_sources[i]])
print("rank of <END> at the first step, of 3,069: between about 200 and the last")
assert 100 < ranks.min() < 300 < 3_000 < ranks.max()
wide_found = {}
for k in (4, 1_000):
    wide_found[k] = transformer.beam_search(model, source, 60, k, 0.0)[0][0]
    print(f"k = {k}: log P = {wide_found[k][0]:.0f}, {code.decode(wide_found[k][1])!r}")
assert len(wide_found[1_000][1]) < 3 < 10 < len(wide_found[4][1])
assert wide_found[1_000][0] > wide_found[4][0] + 5

# %% [markdown]
# With a beam of a thousand the translation of a whole verse is one word, and by the rule of the
# game it has won. So a beam is not only a means to an end: **its narrowness and a division by
# length are part of what makes the translation good.** (Label smoothing, lecture 14, may have its
# part in this: it trains the model to give each of 3,069 symbols, <END> too, a chance of
# $0.1/3069$ at every step, $\log P=-10$. That part was not measured.)
#
# ## 10. Loops
#
# Greedy's verse in section 5 said *and the LORD* seven times. Once a phrase was said twice, a model
# that has seen "holy, holy, holy" finds a third time likely, and then a fourth. How often? A
# **loop** is a phrase three times in a row, or one of four words twice. In the test verses:

# %%
looping = {name: np.array([*map(translation.loops, text)])
           for name, text in {"King James": test, **systems}.items()}  # fmt: skip
for name, where in looping.items():
    print(f"{name:10}: {where.mean():.1%} of the verses loop")
assert looping["greedy"].mean() > looping["free"].mean() > 0.04
assert looping["King James"].mean() < 0.003

# %% [markdown]
# *free* is the beam of 4, divided by $n$, that we had so far: better than greedy, and far from what
# people write. A cure belongs into the search: **forbid** a continuation, by giving it probability
# 0. Paulus, Xiong and Socher (2018) let no trigram occur twice in a text. But this Bible repeats
# itself lawfully:


# %%
def repeating(n):
    """Share of the King James validation verses in which some n pieces stand twice."""
    texts = [ids for _, ids in translation.ids("valid")]
    grams = [[tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)] for ids in texts]
    return np.mean([len(set(g)) < len(g) for g in grams])


print(", ".join(f"{n} pieces: {repeating(n):.0%}" for n in (3, 4, 6)))
assert repeating(3) > 0.2

# %% [markdown]
# So we also try to forbid a loop alone, as the query defines it, in pieces: the symbol that would
# complete a phrase for the third time in a row, or one of four pieces or more for the second. Tried
# on the **validation** side, on every sixth verse (`data/make_translation.py` did it):

# %%
tried = checkpoints.manifest("translation")["searches"]
for name, result in tried.items():
    print(f"{name:16}: BLEU {result['bleu']:.1f}, chrF {result['chrf']:.1f}, "
          f"{result['loops']:.1f}% loop")  # fmt: skip
assert tried["no loops"]["bleu"] > tried["no trigram twice"]["bleu"]

# %% [markdown]
# The trigram rule ends the loops and costs BLEU; forbidding loops alone costs nothing. So that is
# the rule which `translation.translate` follows since, the column *beam*. Once, on the test side:

# %%
assert translation.translate(model, [verses[0].wycliffe], k=4) == [
    code.decode(transformer.beam_search(
        model, torch.tensor([verse_sources[0]]), 60, 4, forbid=decoding.loops)[0][0][1])
]  # fmt: skip
difference, (low, high) = gain(systems["beam"], systems["free"], test)
print(f"loops: {looping['free'].mean():.1%} → {looping['beam'].mean():.1%}; "
      f"BLEU {difference:+.2f} [{low:+.2f}, {high:+.2f}]")  # fmt: skip
i = next(i for i in np.flatnonzero(looping["free"] & ~looping["beam"]) if len(test[i]) < 120)
for name, text in (("King James", test), ("free", systems["free"]), ("beam", systems["beam"])):
    print(f"{name:10}: {text[i]}")
assert looping["beam"].mean() < 0.02
assert low > -0.2

# %% [markdown]
# Read this with care. That loops fall is no discovery: what is counted is what is forbidden. The
# finding is that nothing is lost. The rule treats a symptom, and the model still wants to loop:
# what it says instead is often a loop with one word changed.

# %% [markdown]
# ## 11. Sampling: temperature, top-$m$, nucleus
#
# A translation should be *right*, and search looks for that. Whoever wants a story, or ten
# different answers, draws: $y_t$ from $P(\cdot\mid y_1,\dots,y_{t-1})$. Drawn texts have exactly
# the probabilities that the model gives them. In toys that can be counted: 20,000 texts against the
# probability of each, by a $\chi^2$ test, which calls a right sampler wrong once in a thousand.


# %%
def draw(p, random):
    return int(np.searchsorted(np.cumsum(p), random.random() * np.sum(p), side="right"))


def sample(next_log_p, T, random, shape=lambda p: p):
    """Draw a text of at most T symbols; `shape` changes each distribution before the draw."""
    y = ()
    while len(y) < T and (not y or y[-1] != EOS):
        y += (draw(shape(np.exp(next_log_p(y))), random),)
    return y


def fits(drawn, probability):
    """p-value of the draws under a dict of probabilities; rare ones are put together."""
    n = len(drawn)
    often = [y for y, p in probability.items() if n * p >= 20]
    seen = [sum(d == y for d in drawn) for y in often]
    expected = [n * probability[y] for y in often]
    if n - sum(expected) > 1:
        seen, expected = [*seen, n - sum(seen)], [*expected, n - sum(expected)]
    return stats.chisquare(seen, np.array(expected) * sum(seen) / sum(expected)).pvalue


# %%
random = np.random.default_rng(0)
one_toy = toy(7)
probability = {y: np.exp(log_p) for log_p, y in exhaustive(one_toy, 3)}
drawn = [sample(one_toy, 3, random) for _ in range(20_000)]
assert fits(drawn, probability) > 0.001
assert fits([sample(one_toy, 3, random, lambda p: p**2) for _ in range(2_000)], probability) < 1e-6
print("drawn texts have the model's probabilities; of squared ones the test says so")

# %% [markdown]
# Three ways to change the distribution before the draw. By hand, with $P=(0.5, 0.25, 0.15, 0.1)$:
#
# - **temperature**: $P_i^{1/\mathcal T}$, divided by their sum (lecture 06: the scores over
#   $\mathcal T$). $\mathcal T=\frac12$ squares: $(0.25, 0.0625, 0.0225, 0.01)/0.345$.
# - **top-$m$** (Fan et al. 2018): keep the $m$ likeliest. $m=2$: $(0.5, 0.25)/0.75$.
# - **nucleus** (Holtzman et al. 2020), also top-$p$: keep the *smallest set* with mass at least
#   $p$. $p=0.8$: three symbols, for two have 0.75 only; $(0.5, 0.25, 0.15)/0.9$.
#
# The tail of $P$ holds thousands of symbols, each nearly impossible and all together not rare: draw
# a hundred times, and something odd is said. Top-$m$ cuts it at a fixed place, the nucleus early
# where the model is sure and late where it is not.


# %%
def temperature(p, T):
    q = p ** (1 / T)
    return q / q.sum()


def top(p, m):
    q = np.zeros_like(p)
    keep = np.argsort(-p, kind="stable")[:m]
    q[keep] = p[keep]
    return q / q.sum()


def nucleus(p, mass):
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]  # mass of those likelier
    return top(p, int((before < mass - 1e-12).sum()))


p = np.array([0.15, 0.5, 0.1, 0.25])
shaped = {"𝒯 = 1/2": temperature(p, 0.5), "m = 2": top(p, 2), "p = 0.8": nucleus(p, 0.8)}
for name, q in shaped.items():
    print(f"{name:8}", q.round(3))
assert np.allclose(shaped["𝒯 = 1/2"] * 0.345, [0.0225, 0.25, 0.01, 0.0625])
assert np.allclose(shaped["m = 2"], [0, 2 / 3, 0, 1 / 3])
assert np.allclose(shaped["p = 0.8"] * 0.9, [0.15, 0.5, 0, 0.25])
assert np.allclose(nucleus(p, 0.75), top(p, 2))  # two symbols have 0.75: enough
assert np.allclose([temperature(p, 1), top(p, 4), nucleus(p, 1)], p)

# %% [markdown]
# Is the nucleus the smallest set? Judge: all subsets of up to seven symbols, for 300 random
# distributions. No smaller set may have the mass, and none as small may have more of it. And the
# draws: 20,000 from each of the three, against the distribution that it should be.

# %%
for _ in range(300):
    p = random.dirichlet(np.full(random.integers(2, 8), 0.7))
    mass = random.uniform(0.05, 0.99)
    kept = np.flatnonzero(nucleus(p, mass))
    sets = [c for size in range(1, len(p) + 1) for c in combinations(range(len(p)), size)]
    enough = [c for c in sets if p[list(c)].sum() >= mass]
    smallest = min(enough, key=lambda c: (len(c), -p[list(c)].sum()))
    assert sorted(smallest) == kept.tolist()
    assert np.allclose(nucleus(p, mass)[kept], p[kept] / p[kept].sum())
p = random.dirichlet(np.ones(12))
for q in (temperature(p, 0.7), top(p, 5), nucleus(p, 0.8)):
    drawn = [draw(q, random) for _ in range(20_000)]
    assert fits(drawn, dict(enumerate(q))) > 0.001
    assert set(drawn) <= set(np.flatnonzero(q))
print("300 nuclei: the smallest set each time; 60,000 draws: as they should be")

# %% [markdown]
# ## 12. What each of them writes
#
# Now a model that tells instead of translating: lecture 08's character LSTM in its shipped size,
# 1.52 bits per character. It reads the first 60 characters of each of 40 unseen chapters and goes
# on for 200, in the ways of this lecture. Beside them, what really follows.

# %%
chars = character_lm.characters()
number = {char: i for i, char in enumerate(chars)}
chapters = [text for text in corpora.king_james_chapters("valid") if len(text) > 300][:40]
begin = torch.tensor([[number["\n"], *(number[c] for c in text[:60])] for text in chapters])
really = torch.tensor([[number[c] for c in text[60:260]] for text in chapters])
lstm = character_lm.load()


@torch.no_grad()
def write(shape, seed=0):
    """Continue all beginnings by 200 characters, each drawn from shape(P)."""
    generator = np.random.default_rng(seed)
    scores, state = lstm(begin)
    written = []
    for _ in range(200):
        p = scores[:, -1].softmax(-1).double().numpy()
        written.append([draw(shape(row), generator) for row in p])
        scores, state = lstm(torch.tensor(written[-1])[:, None], state)
    return torch.tensor(written).T


@torch.no_grad()
def bits(written):
    """Mean of -log2 P of each character under the model as it is, one number a chapter."""
    scores, _ = lstm(torch.cat([begin, written], dim=1)[:, :-1])
    log_p = scores[:, -200:].log_softmax(-1).gather(2, written[:, :, None])[:, :, 0]
    return -log_p.mean(dim=1).numpy() / np.log(2)


# %%
ways = {
    "greedy": lambda p: top(p, 1),
    "𝒯 = 0.5": lambda p: temperature(p, 0.5),
    "m = 5": lambda p: top(p, 5),
    "p = 0.9": lambda p: nucleus(p, 0.9),
    "𝒯 = 1": lambda p: p,
    "𝒯 = 1.5": lambda p: temperature(p, 1.5),
}
texts = {name: write(shape) for name, shape in ways.items()}
texts["King James"] = really
known = set("".join(corpora.king_james_chapters("train")).split())


def described(written):
    """Bits per character; of its words: share known, share of word 3-grams said before."""
    lines = ["".join(chars[c] for c in row).split()[1:-1] for row in written.tolist()]
    triples = [list(zip(w, w[1:], w[2:], strict=False)) for w in lines]
    again = sum(len(t) - len(set(t)) for t in triples) / sum(map(len, triples))
    return bits(written).mean(), np.mean([w in known for ws in lines for w in ws]), again


table = {name: described(written) for name, written in texts.items()}
for name, (b, share, again) in table.items():
    print(f"{name:10}: {b:.1f} bits, {share:4.0%} of the words known, {again:4.0%} said before")
for name in ("greedy", "𝒯 = 0.5", "p = 0.9", "𝒯 = 1.5", "King James"):
    print(f"{name:10}: {''.join(chars[c] for c in texts[name][0][:100].tolist())!r}")
order = [table[n][0] for n in ("greedy", "𝒯 = 0.5", "p = 0.9", "𝒯 = 1", "𝒯 = 1.5")]
assert (np.diff(order) > 0).all()
assert table["greedy"][2] > 0.3 > 10 * table["King James"][2]
low, high = bootstrap_interval(lambda a, b: np.mean(a - b), bits(really), bits(texts["greedy"]))
assert low > 0.5

# %%
fig, ax = plt.subplots()
aside = {"greedy": (0, 8), "m = 5": (-8, -16), "p = 0.9": (8, -5), "King James": (10, -4)}
for name, (b, share, again) in table.items():
    color = red if name == "King James" else blue
    ax.plot(b, 100 * share, "*" if name == "King James" else "o", color=color, markersize=9)
    label = name.replace("𝒯", r"$\mathcal{T}$")
    label += f": {again:.0%} said before" if name == "greedy" else ""
    ax.annotate(label, (b, 100 * share), aside.get(name, (0, -17)), textcoords="offset points",
                ha="right" if name == "m = 5" else "left", color=color)  # fmt: skip
ax.set(xlabel="bits per character under the model", ylabel="words known from training, percent",
       xlim=(0.5, 3.3), ylim=(50, 106))  # fmt: skip
ax.set_title("People surprise the model like a draw, and spell like a search")
assert table["King James"][0] > table["p = 0.9"][0]
assert table["King James"][1] > table["m = 5"][1]
figures.show(
    fig,
    "Share of words known from training against bits per character under the model: "
    + "; ".join(f"{n} {100 * s:.0f} percent at {b:.1f} bits" for n, (b, s, _) in table.items())
    + ".",
)

# %% [markdown]
# What people write is less likely under the model than what greedy writes, and has its words right
# all the same. Greedy's text is dull: half of its word triples it has said before. Drawing freely
# surprises as people do, and one word in seven is not in the training text, of people's one in a
# hundred. Top-$m$ and nucleus lie between, and each of their numbers is a choice about the same
# trade.
#
# And a translation, drawn? There, what is asked for is one right text:


# %%
@torch.no_grad()
def translate_by_draws(shape, seed=0, longest=80):
    random = np.random.default_rng(seed)
    source = batching.pad(verse_sources)
    cache, mask = model.encode(source)
    token, rows, done = torch.full((len(source), 1), BOS), [[] for _ in verses], set()
    for _ in range(longest):
        p = model.decode(token, cache, mask)[:, -1].softmax(-1).double().numpy()
        token = torch.tensor([[draw(shape(row), random)] for row in p])
        for i, s in enumerate(token[:, 0].tolist()):
            done |= {i} if s == EOS else set()
            rows[i] += [] if i in done else [s]
    return [code.decode(row) for row in rows]


by_draws = {name: translate_by_draws(ways[name]) for name in ("p = 0.9", "𝒯 = 1")}
for name, said_now in by_draws.items():
    _, (low, high) = gain(translations(4, 1), said_now)
    print(f"{name}: over 7 BLEU less than beam search")
    assert low > 7

# %% [markdown]
# **So**: search where one answer is right (with a narrow beam, normalized), draw where many are.
#
# ## 13. What we showed
#
# | claim | its check |
# |---|---|
# | Greedy can miss the likeliest text | section 1, six texts; section 2, 200 toys |
# | Beam search with $k=1$ is greedy, at full width exhaustive search | section 3, whole rankings |
# | Wider is better on average, and can be worse | section 3, shares; by hand |
# | Finished texts that keep slots cost finds; counted anywhere, $k=1$ is not greedy | section 3 |
# | The batched search in `decoding.py` is ours | section 4, 61 words |
# | Greedy is less likely in 2% of the words, in most verses | section 5 |
# | $N=1$ loses likelier texts, $N=k$ does not here; the safe criterion never | section 6 |
# | Plain search finds shorter texts the wider it is; $\alpha$ lengthens them | section 7 |
# | The score rises with $k$, the translation does not | section 8, intervals |
# | On words the beam finds the exact mode; its errors are the model's | section 9, best-first |
# | On verses the empty text is likelier than what is found; a huge beam says one word | section 9 |
# | Forbidding loops takes them below 2% and costs no BLEU | section 10, test side, interval |
# | Temperature, top-$m$, nucleus: draws from the distribution that they should have | section 11 |
# | The nucleus is the smallest set | section 11, all subsets |
# | Greedy stories repeat; people's text is as surprising as a draw | section 12 |
# | Drawn translations are worse | section 12, interval |
#
# Not shown: what a coverage penalty (Wu et al. 2016) would do against loops, and any search that
# looks for a *useful* text instead of a likely one (minimum Bayes risk, Eikema and Aziz 2020).
#
# We called translations better and worse by a number, BLEU, that nobody has explained yet. **How do
# we know which translation is better?** Lecture 11.
#
# ## Exercises
#
# In assignment **ps5_seq2seq**: greedy (section 1), beam search with length normalization (3, 7).
# In **ps3_rnn_lm**: temperature, top-$k$ and nucleus (11). By yourself: why does a beam of 3 get
# section 3's example by hand right again?
#
# ## Sources
#
# - B. Lowerre, *The Harpy Speech Recognition System* (1976): beam search.
# - I. Sutskever, O. Vinyals, Q. Le, *Sequence to Sequence Learning with Neural Networks* (2014),
#   section 3.2: a finished hypothesis leaves the beam.
# - Y. Wu et al., *Google's Neural Machine Translation System* (2016), section 7: length, coverage.
# - P. Koehn, R. Knowles, *Six Challenges for Neural Machine Translation* (2017), section 3.6:
#   quality against beam width.
# - F. Stahlberg, B. Byrne, *On NMT Search Errors and Model Errors: Cat Got Your Tongue?* (2019).
# - R. Paulus, C. Xiong, R. Socher, *A Deep Reinforced Model for Abstractive Summarization* (2018),
#   section 2.5: no trigram twice.
# - A. Fan, M. Lewis, Y. Dauphin, *Hierarchical Neural Story Generation* (2018), section 5.4: top-k.
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi, *The Curious Case of Neural Text Degeneration*
#   (2020), sections 3.1 (nucleus) and 4.
# - B. Eikema, W. Aziz, *Is MAP Decoding All You Need?* (2020).
