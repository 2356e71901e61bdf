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
# # 05 N-gram language models: counting what comes next
#
# Lectures 01 to 04 gave words vectors. Those vectors know words, not order: *dog bites man* and
# *man bites dog* have the same words, hence the same sum of vectors. **How can a model tell a text
# from its words in another order, and say what comes next?** The oldest answer still sets the mark
# that a neural network has to pass: count.
#
# **After this lecture you can**
#
# - write the probability of a text by the chain rule, and say what the Markov assumption gives up;
# - measure a language model by its perplexity, and say when two perplexities may be compared;
# - smooth counts by add-δ, interpolation, backoff and Kneser–Ney, and prove that each sums to one;
# - say with an interval which is better on unseen text, and what the counts cost to store.
#
# **You need** lectures 01 and 02 (softmax, $\hat y - y$, the bootstrap), logarithms, Python's
# `Counter`. **Time**: 90 minutes to read; all cells together run in a minute on one core.
#
# ## Symbols
#
# | symbol | in code | meaning |
# |---|---|---|
# | $w_t$, $T$ | `verse[t]` | the token at place $t$ of a text of $T$ tokens |
# | $\lvert V\rvert$ | `len(words)` | number of tokens in the vocabulary |
# | $n$ | `n` | order: an $n$-gram is $n$ tokens in a row |
# | $h$ | `gram[:-1]` | history: the $n-1$ tokens before $w$ (in lecture 06, $h_t$ is a state) |
# | $h'$ | `gram[1:-1]` | the history without its oldest token |
# | $c(hw)$, $c(h)$ | `c`, `N` | how often $hw$ is in the text; $c(h) = \sum_w c(hw)$ |
# | $N_{1+}(h\,\bullet)$ | `followers` | number of *different* tokens seen after $h$ |
# | $N_{1+}(\bullet\, w)$ | `contexts` | number of different tokens seen before $w$ |
# | $\delta$, $\lambda_k$, $D$ | `delta`, `lam`, `D` | added count; mixture weight; discount |
# | $\alpha(h)$ | `alpha(h)` | backoff weight |
# | $J$ | `losses.mean()` | mean of $-\log P$ per token, in nats |

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import bz2
import functools
import itertools
import math
import random
import re
from collections import Counter, defaultdict
from fractions import Fraction

import nltk.lm
import numpy as np
import scipy.optimize
import torch
from matplotlib import pyplot as plt

from lectures import corpora, figures
from lectures.intervals import bootstrap_interval

blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. What a language model is
#
# A **language model** gives a probability to every text. Any such probability is a product of
# next-token probabilities, by the **chain rule**:
#
# $$P(w_1,\dots,w_T) = P(w_1)\,P(w_2\mid w_1)\cdots P(w_T\mid w_1,\dots,w_{T-1})
#   = \prod_{t=1}^T P(w_t\mid w_1,\dots,w_{t-1}).$$
#
# Nothing is assumed here. Take any table of probabilities of three tokens, say $4^3$ random numbers
# that sum to one: the product of the three conditionals is the table again.

# %%
table = np.random.default_rng(0).dirichlet(np.ones(64)).reshape(4, 4, 4)  # P(w1, w2, w3)
first = table.sum(axis=(1, 2))  # P(w1)
second = table.sum(axis=2) / first[:, None]  # P(w2 | w1)
third = table / table.sum(axis=2, keepdims=True)  # P(w3 | w1, w2)
assert np.allclose(first[:, None, None] * second[:, :, None] * third, table)

# %% [markdown]
# **What for?** Such a model ranks candidates (which of two transcripts did the speaker say?), so it
# is a part of speech recognition, spelling, translation. It writes (draw $w_1$, then $w_2$ given
# $w_1$, and so on). It compresses. And since whatever helps to guess the next word is some
# knowledge of language, the size of its error is a **benchmark** of how much we understand.
# Sections 9, 11 and 13 do each of these.
#
# The last factor is the trouble: it needs a probability for each token after each possible past.
# The **Markov assumption** of order $n-1$ keeps only the last $n-1$ tokens:
#
# $$P(w_t\mid w_1,\dots,w_{t-1}) \approx P(w_t\mid \underbrace{w_{t-n+1},\dots,w_{t-1}}_{h}).$$
#
# A 4-gram model is a Markov model of order 3.
#
# ## 2. Counting
#
# The two sentences of lecture 01, with a mark for where a text begins and one for its end. The
# model must predict the end `</s>`; it never predicts the beginning `<s>`, which only fills up the
# history of the first words.


# %%
def grams(text, n, pad=("<s>",)):
    """Every n-gram that ends in a token of the text; `text` is a list of sequences."""
    for unit in text:
        padded = pad * (n - 1) + unit
        for t in range(len(unit)):
            yield padded[t : t + n]  # history and token


toy = [("the", "cat", "drinks", "milk", "</s>"), ("the", "dog", "drinks", "water", "</s>")]
print(*grams(toy[:1], 2))
assert list(grams(["ab"], 3, pad="-")) == ["--a", "-ab"]

# %% [markdown]
# Slices work on tuples of words and on strings alike, so the same code will read characters in
# section 13. The estimate is a ratio of two counts,
#
# $$P(w\mid h) = \frac{c(hw)}{c(h)},$$
#
# where $c(h)$ counts $h$ as a history: how often any token followed it.


# %%
def histories(counts):
    """c(h) of every history h, from the counts of the grams h w."""
    totals = Counter()
    for gram, c in counts.items():
        totals[gram[:-1]] += c
    return totals


toy_counts = Counter(grams(toy, 2))
toy_totals = histories(toy_counts)


def toy_P(gram):
    return toy_counts[gram] / toy_totals[gram[:-1]]


assert toy_P(("the", "cat")) == toy_P(("drinks", "milk")) == 1 / 2
assert toy_P(("cat", "drinks")) == toy_P(("milk", "</s>")) == 1

# %% [markdown]
# **Predict before you run.** How many sentences have a probability above zero under this bigram
# model, and how much do they sum to?
#
# <details><summary>Answer</summary>
#
# Four, each with probability $\tfrac12\cdot\tfrac12$: the two that we have seen, and *the cat
# drinks water*, *the dog drinks milk*, which nobody wrote. Forgetting is how this model
# generalizes: after *drinks* it does not know who drinks. They sum to 1.
#
# </details>

# %%
found = {}
for length in range(1, 7):
    for body in itertools.product(["the", "cat", "dog", "drinks", "milk", "water"], repeat=length):
        P_text = math.prod(toy_P(gram) for gram in grams([(*body, "</s>")], 2))
        if P_text > 0:
            found[" ".join(body)] = P_text
print(found)
assert len(found) == 4
assert sum(found.values()) == 1

# %% [markdown]
# So the model is a distribution over texts **of every length**. That is what `</s>` buys. Take a
# model of two tokens with and without an end: with it, all texts together have 1. Without it, those
# of each length have 1.

# %%
for name, P_token, P_end in (("with </s>", 1 / 4, 1 / 2), ("without", 1 / 2, 1)):
    of_length = [2**length * P_token**length * P_end for length in range(50)]  # 2^length texts
    print(f"{name}: lengths 0, 1, 2 have {of_length[:3]}, all up to 49 have {sum(of_length):.3f}")
assert of_length == [1] * 50

# %% [markdown]
# ### Why a ratio of counts? It is the softmax of lecture 02, trained to the end
#
# Give each history its own scores $z$ and $\hat y = \mathrm{softmax}(z)$. Each time that $h$ is
# followed by $w$, the gradient of $-\log\hat y_w$ is $\hat y - y$. Over the whole text these add up
# to
#
# $$\frac{\partial}{\partial z}\Bigl(-\sum_w c(hw)\log\hat y_w\Bigr) = c(h)\,\hat y - c(h\,\cdot),$$
#
# which is zero where $\hat y_w = c(hw)/c(h)$. No distribution makes the training text more
# probable: it is the **maximum likelihood** estimate (MLE). We check the gradient with autograd
# once the text is here.
#
# ## 3. A real text, and how to keep score
#
# The King James Bible, lower-cased, punctuation as tokens; a text is a verse. The split is by
# chapter: we count on `train`, choose on `valid`, and look at `test` once, in section 9.


# %%
def tokens(text):
    return re.findall(r"[a-zæ]+(?:[’-][a-zæ]+)*’?|[^\sa-zæ]", text.lower())


chapters = {side: defaultdict(list) for side in ("train", "valid", "test")}
for verse in corpora.king_james():
    side = corpora.split(verse.book, verse.chapter)
    chapters[side][verse.book, verse.chapter].append(tokens(verse.text))
print(" ".join(chapters["train"]["Genesis", 1][3]))

# %% [markdown]
# The vocabulary is what `train` has twice or more. Every other word, in any side, becomes `<unk>`:
# so the model has counts for what it doesn't know.

# %%
frequency = Counter(w for chapter in chapters["train"].values() for verse in chapter for w in verse)
known = {word for word, c in frequency.items() if c >= 2}


def encode(side):
    """Per chapter, its verses as tuples of known tokens, each with its end."""
    for chapter in chapters[side].values():
        yield [(*(w if w in known else "<unk>" for w in verse), "</s>") for verse in chapter]


by_chapter = {side: list(encode(side)) for side in chapters}
text = {side: [verse for chapter in by_chapter[side] for verse in chapter] for side in chapters}

# %%
words = sorted({*known, "<unk>", "</s>"})
for side, verses in text.items():
    n_tokens, n_unknown = sum(map(len, verses)), sum(verse.count("<unk>") for verse in verses)
    rate = n_unknown / n_tokens
    print(f"{side}: {len(verses):,} verses, {n_tokens:,} tokens, {rate:.1%} <unk>")
print(f"|V| = {len(words):,}, with <unk> and </s>")

# %%
counts = {n: Counter(grams(text["train"], n)) for n in (1, 2, 3, 4)}
totals = {n: histories(counts[n]) for n in counts}
print({n: f"{len(counts[n]):,} different {n}-grams" for n in counts})
assert all(counts[n].total() == totals[n].total() == sum(map(len, text["train"])) for n in counts)


# %% [markdown]
# The check that was promised, for the history *in*: the gradient at the ratio of counts is zero,
# and elsewhere (at $z = 0$) it is what the formula says.

# %%
after_in = torch.tensor([float(c) for gram, c in counts[2].items() if gram[0] == "in"]).double()
for z in (torch.log(after_in), torch.zeros_like(after_in)):
    z.requires_grad_()
    (-(after_in * torch.log_softmax(z, dim=0)).sum()).backward()
    y_hat = torch.softmax(z.detach(), dim=0)
    assert torch.allclose(z.grad, after_in.sum() * y_hat - after_in, atol=1e-9)
    print(f"largest |gradient|: {z.grad.abs().max():.3f}")
assert torch.allclose(torch.softmax(torch.log(after_in), 0), after_in / totals[2]["in",])

# %% [markdown]
# ### Perplexity
#
# As in lecture 01, the score of a text is the mean $J = -\frac1T\sum_t\log P(w_t\mid h_t)$. Its
# exponential is the **perplexity**, the inverse probability per token in the geometric mean:
#
# $$\prod_{t=1}^T \Bigl(\frac{1}{P(w_t\mid h_t)}\Bigr)^{1/T} = \exp(J).$$
#
# Lower is better. It counts equally likely choices: a fair die with seven sides has perplexity 7,
# **whatever** it shows.

# %%
rolls = np.random.default_rng(0).integers(7, size=1000)
P_rolls = np.full(7, 1 / 7)[rolls]
J = -np.log(P_rolls).mean()
print(f"J = {J:.4f} = log 7, perplexity = {np.exp(J):.4f}")
assert math.isclose(np.exp(J), 7)
assert math.isclose(math.prod((1 / P_rolls) ** (1 / 1000)), 7)

# %% [markdown]
# **Predict before you run.** A loaded die shows 1 in half of all rolls, the six others equally
# often. What is the perplexity of the model that knows it? Of the model that thinks it fair? Of one
# that thinks 2 is the favorite?
#
# <details><summary>Answer</summary>
#
# $2^{1/2}\cdot 12^{1/2} = \sqrt{24} = 4.9$; exactly 7; and $12^{1/2+5/12}\cdot 2^{1/12} = 10.3$.
# The truth has the lowest perplexity there is, and a wrong belief can be worse than none.
#
# </details>

# %%
die = np.array([6, 1, 1, 1, 1, 1, 1]) / 12
beliefs = {"knows": die, "fair": np.full(7, 1 / 7), "wrong side": np.roll(die, 1)}
perplexities = {name: np.exp(-(die * np.log(q)).sum()) for name, q in beliefs.items()}
print({name: round(float(value), 2) for name, value in perplexities.items()})
assert math.isclose(perplexities["knows"], math.sqrt(24))
assert math.isclose(perplexities["fair"], 7)
for q in np.random.default_rng(0).dirichlet(np.ones(7), size=10_000):  # no belief beats the truth
    assert -(die * np.log(q)).sum() > math.log(perplexities["knows"])


# %%
def losses(P, n, text, pad=("<s>",)):
    """-log P of every token of the text, its end included, for P a function of an n-gram."""
    with np.errstate(divide="ignore"):
        return -np.log(np.array([P(gram) for gram in grams(text, n, pad)]))


def perplexity(P, n, text):
    return float(np.exp(losses(P, n, text).mean()))


uniform = perplexity(lambda gram: 1 / len(words), 1, text["valid"])
assert math.isclose(uniform, len(words))


# %%
def mle(gram):
    """c(hw)/c(h); 0 after a history that was never seen."""
    N = totals[len(gram)][gram[:-1]]
    return counts[len(gram)][gram] / N if N else 0.0


assert mle(("the", "midst")) == 321 / totals[2]["the",]
assert mle(("chariots", "midst", "the")) == 0  # *chariots midst* was never seen
unigram = perplexity(mle, 1, text["valid"])
print(f"valid: uniform {uniform:,.0f}, word frequency {unigram:.0f}")

# %% [markdown]
# ### When two perplexities may be compared
#
# Only if both models predict the same tokens from the same vocabulary. Turn more words into `<unk>`
# and the perplexity of the *same* text falls: guessing "some rare word" is easy.

# %%
valid_tokens = [w for chapter in chapters["valid"].values() for v in chapter for w in (*v, "</s>")]
frequency["</s>"] = len(text["train"])
by_cutoff = {}
for cutoff in (2, 10, 100, 1000):
    kept = {word: c for word, c in frequency.items() if c >= cutoff}
    unknown = frequency.total() - sum(kept.values())
    P_tokens = np.array([kept.get(w, unknown) for w in valid_tokens]) / frequency.total()
    by_cutoff[cutoff] = np.exp(-np.log(P_tokens).mean())
    print(
        f"words seen {cutoff:>4} times or more: |V| = {len(kept) + 1:>5}, {by_cutoff[cutoff]:.0f}"
    )
assert math.isclose(by_cutoff[2], unigram)
assert (np.diff(list(by_cutoff.values())) < 0).all()

# %% [markdown]
# Characters need no `<unk>`. That is why the table that runs through lectures 06, 08 and 14 counts
# bits per character (section 13).
#
# ## 4. What breaks: sparsity
#
# On the text that it has counted, a longer history can only help. On a text that it has not seen,
# one new $n$-gram gives probability 0, and $J = \infty$.

# %%
for n in counts:
    seen, unseen = perplexity(mle, n, text["train"]), perplexity(mle, n, text["valid"])
    print(f"n = {n}: perplexity on train {seen:6.1f}, on valid {unseen:.1f}")
    assert math.isinf(unseen) == (n > 1)

# %%
new = {n: np.mean([g not in counts[n] for g in grams(text["valid"], n)]) for n in counts}
possible = {
    n: np.mean([all(g in counts[n] for g in grams([verse], n)) for verse in text["valid"]])
    for n in counts
}
verse = text["valid"][0]
culprit = next(gram for gram in grams([verse], 3) if gram not in counts[3])
print(" ".join(verse))
print("P = 0, because `train` has no", culprit)

# %%
figure, axes = plt.subplots()
for share, color, label, place in (
    (new, blue, "n-grams never seen in train", (2.3, 0.62)),
    (possible, red, "verses with P > 0", (1.8, 0.42)),
):
    axes.plot(list(share), list(share.values()), "o-" if share is new else "s--", color=color)
    axes.annotate(label, place, color=color)
axes.set(xlabel="n", ylabel="share of the validation text", xticks=list(counts), ylim=(-0.03, 1.03))
axes.set_title("From n = 3 on, nearly every new verse is impossible")
figures.show(
    figure,
    "Share of validation n-grams never seen in train: "
    + ", ".join(f"{new[n]:.0%} for n={n}" for n in counts)
    + "; share of validation verses with probability above zero: "
    + ", ".join(f"{possible[n]:.0%}" for n in counts),
)
assert new[3] > 0.25
assert possible[3] < 0.1

# %% [markdown]
# More text does not cure it: there are $\lvert V\rvert^3$ trigrams, and most of those that we did
# see were seen once, so others that we didn't see must be about as likely.

# %%
for n in counts:
    once = sum(c == 1 for c in counts[n].values()) / len(counts[n])
    share = len(counts[n]) / len(words) ** n
    print(f"n = {n}: {share:.0e} of all possible n-grams are seen; of these {once:.0%} once")

# %% [markdown]
# ## 5. Add δ to every count
#
# The first cure: pretend that every token was seen $\delta$ times more often after every history,
#
# $$P(w\mid h) = \frac{c(hw) + \delta}{c(h) + \delta\lvert V\rvert}.$$
#
# Over all $w$ the numerators add up to the denominator. $\delta = 1$ is Laplace's rule.


# %%
def add_delta(delta):
    def P(gram):
        c, N = counts[len(gram)][gram], totals[len(gram)][gram[:-1]]
        return (c + delta) / (N + delta * len(words))

    return P


def total_probability(P, history):
    return math.fsum(P((*history, word)) for word in words)


some_histories = [("in", "the"), ("it", "came"), ("chariots", "midst")]  # the last is never seen
assert totals[3][some_histories[-1]] == 0
for history in some_histories:
    assert math.isclose(total_probability(add_delta(0.1), history), 1)

# %% [markdown]
# The independent judge is `nltk.lm`. It gets the same $n$-grams, of the book of Ruth (what it makes
# of a larger text takes minutes), and we compare all words after many histories.

# %%
ruth = [verse for (book, _), c in chapters["train"].items() if book == "Ruth" for verse in c]
ruth = [(*verse, "</s>") for verse in ruth]
ruth_words = sorted({word for verse in ruth for word in verse})
ruth_counts = {n: Counter(grams(ruth, n)) for n in (1, 2, 3)}


def by_nltk(kind, order, **settings):
    model = kind(order=order, vocabulary=nltk.lm.Vocabulary(ruth_words), **settings)
    model.fit([gram for n in range(1, order + 1) for gram in grams([verse], n)] for verse in ruth)
    return model


# %%
model = by_nltk(nltk.lm.Lidstone, 2, gamma=0.1)
size = len(model.vocab)  # NLTK adds its own "<UNK>": one more than our words
assert size == len(ruth_words) + 1
ruth_totals = histories(ruth_counts[2])
for h, w in itertools.product(["the", "ruth", "boaz", "</s>"], ruth_words):  # none follows </s>
    ours = (ruth_counts[2][h, w] + 0.1) / (ruth_totals[h,] + 0.1 * size)
    assert math.isclose(ours, model.score(w, [h]))

# %% [markdown]
# Which $\delta$? Try a range on `valid`. Counts once, then all $\delta$ at once:

# %%
deltas = np.logspace(-5, 0.5, 23)
curves = {}
for n in counts:
    c = np.array([counts[n][gram] for gram in grams(text["valid"], n)])
    N = np.array([totals[n][gram[:-1]] for gram in grams(text["valid"], n)])
    P_all = (c + deltas[:, None]) / (N + deltas[:, None] * len(words))
    curves[n] = np.exp(-np.log(P_all).mean(axis=1))
best_delta = {n: float(deltas[curves[n].argmin()]) for n in curves}
print({n: f"δ = {best_delta[n]:.1g}: {curves[n].min():.0f}" for n in curves})
assert math.isclose(perplexity(add_delta(best_delta[2]), 2, text["valid"]), curves[2].min())

# %%
figure, axes = plt.subplots()
for n, style in zip(curves, ("-", "--", "-.", ":"), strict=True):
    axes.loglog(deltas, curves[n], style)
    axes.annotate(f"n = {n}", (deltas[-1], curves[n][-1]), (4, -3), textcoords="offset points")
    axes.plot(best_delta[n], curves[n].min(), "o", color="black", markersize=5)
axes.set(xlabel="δ", ylabel="perplexity on valid", xlim=(8e-6, 8))
axes.set_title("Add-δ: two words of memory are worse than one")
figures.show(
    figure,
    "Perplexity on valid against δ. Best values (black dots): "
    + ", ".join(f"n={n}: {curves[n].min():.0f} at δ={best_delta[n]:.1g}" for n in curves)
    + f". At δ=1: {', '.join(f'{curves[n][20]:.0f}' for n in curves)}.",
)
assert curves[2].min() < curves[3].min() < curves[4].min()

# %% [markdown]
# The figure says: δ must be small, and even then a trigram is worse than a bigram. Why? Add-δ gives
# **the same** probability to all words not seen after $h$, *the* and *methuselah* alike, and it
# takes this mass from what was seen. With $\delta=1$, of the 172 times that *burnt* is followed by
# *offering*, six are left:

# %%
print("  seen   add-one leaves, of the same c(h)")
for gram in (("the", "midst"), ("burnt", "offering"), ("in", "the"), ("jesus", "christ")):
    c, N = counts[2][gram], totals[2][gram[:-1]]
    print(f"{c:>6} {N * add_delta(1)(gram):>8.1f}   {' '.join(gram)}")
assert totals[2]["jesus",] * add_delta(1)(("jesus", "christ")) < counts[2]["jesus", "christ"] / 5

# %% [markdown]
# ## 6. Interpolation: ask all orders
#
# If the trigram knows nothing, the bigram may. Mix the orders, down to the uniform guess:
#
# $$P(w\mid h) = \sum_{k=0}^{n}\lambda_k P_k(w\mid h_k), \qquad \lambda_k\ge0,\ \sum_k\lambda_k=1,$$
#
# $P_0 = 1/\lvert V\rvert$ and $P_k$ the ratio of counts of order $k$. After a history never seen,
# $P_k$ has no value; we let $P_{k-1}$ stand in. A mixture of distributions is a distribution.


# %%
def components(gram):
    """P_0, ..., P_n of the last token of the gram."""
    P_k = [1 / len(words)]
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[len(gram) - k : -1]]
        P_k.append(counts[k][gram[-k:]] / N if N else P_k[-1])
    return P_k


def mixture(lam):
    return lambda gram: float(np.dot(lam, components(gram)))


for history in some_histories:
    assert math.isclose(total_probability(mixture([0.1, 0.2, 0.3, 0.4]), history), 1)

# %% [markdown]
# **Which λ?** The text that was counted would put all weight on the longest order: there it is
# never wrong. So ask `valid`. Let $r_{tk}$ be the share of order $k$ in the probability of token
# $t$; the new weight of $k$ is its mean share. This is **expectation–maximization** (EM); each
# round raises the likelihood or leaves it.
#
# $$r_{tk} = \frac{\lambda_k P_k(w_t\mid h_t)}{\sum_j \lambda_j P_j(w_t\mid h_t)}, \qquad
#   \lambda_k \leftarrow \frac1T\sum_t r_{tk}.$$


# %%
def em(P_tk, rounds=60):
    """Weights of a mixture; P_tk has shape (T, n + 1)."""
    lam, history = np.full(P_tk.shape[1], 1 / P_tk.shape[1]), []
    for _ in range(rounds):
        shares = lam * P_tk
        history.append(-np.log(shares.sum(axis=1)).mean())
        lam = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return lam, history


lam, mixed = {}, {}
for n in counts:
    lam[n], J_rounds = em(np.array([components(gram) for gram in grams(text["valid"], n)]))
    assert (np.diff(J_rounds) < 1e-12).all()  # never up
    mixed[n] = float(np.exp(J_rounds[-1]))
    print(f"n = {n}: perplexity {mixed[n]:5.1f}, λ = {np.round(lam[n], 2)}")

# %% [markdown]
# Is it the optimum? SciPy's minimizer, which knows nothing of EM, walks over $\mathrm{softmax}(z)$:

# %%
P_tk = np.array([components(gram) for gram in grams(text["valid"], 3)])
by_scipy = scipy.optimize.minimize(
    lambda z: -np.log(P_tk @ (np.exp(z) / np.exp(z).sum())).mean(), np.zeros(4)
)
print(f"EM {mixed[3]:.3f}, SciPy {np.exp(by_scipy.fun):.3f}")
assert math.isclose(mixed[3], np.exp(by_scipy.fun), rel_tol=1e-4)
lam_train, _ = em(np.array([components(gram) for gram in grams(text["train"][:3000], 3)]))
print("λ that the counted text would choose:", np.round(lam_train, 2) + 0)
assert lam_train[3] > 0.95

# %% [markdown]
# Now a third and a fourth word help. But the weights are the same after *in the*, seen thousands of
# times, as after a history seen once.
#
# ## 7. How much is a count worth? Discounting
#
# Church and Gale (1991) asked the text itself. Count bigrams in one half of the chapters; take all
# that were seen $r$ times; how often, in the mean, are they in the **other** half?

# %%
halves = [[v for chapter in by_chapter["train"][half::2] for v in chapter] for half in (0, 1)]
here, there = (Counter(grams(half, 2)) for half in halves)
scale = here.total() / there.total()  # the halves differ a little in length
n_r, seen_r = Counter(here.values()), Counter()
for gram, r in here.items():
    seen_r[r] += there[gram]
r_star = {r: scale * seen_r[r] / n_r[r] for r in range(1, 10)}
new_mass = sum(c for gram, c in there.items() if gram not in here) / there.total()
r_star[0] = scale * new_mass * there.total() / (len(words) ** 2 - len(here))
print({r: round(r_star[r], 4 if r == 0 else 2) for r in range(10)})

# %% [markdown]
# A bigram seen once comes half a time; one seen five times, four. **What is missing is half of one
# at $r=1$, and about one from there on, however large the count.** It goes to the bigrams that were
# not seen, 13% of the other half. Good and Turing could tell without the other half: $r^* =
# (r+1)\,n_{r+1}/n_r$, where $n_r$ is the number of bigrams seen $r$ times.

# %%
good_turing = {r: (r + 1) * n_r[r + 1] / n_r[r] for r in range(1, 7)}
for r in good_turing:
    assert abs(good_turing[r] - r_star[r]) < 0.12 * r_star[r]
turing_mass = n_r[1] / here.total()  # r = 0: all unseen bigrams together
print(f"mass of new bigrams: measured {new_mass:.3f}, Good-Turing's n_1/N {turing_mass:.3f}")
missing = {r: r - r_star[r] for r in range(1, 10)}
assert all(0.4 < missing[r] < 1.6 for r in missing)
assert abs(turing_mass - new_mass) < 0.02

# %%
figure, axes = plt.subplots()
axes.plot(list(missing), list(missing.values()), "o", color=blue)
axes.plot(list(good_turing), [r - good_turing[r] for r in good_turing], "x", color=red)
axes.annotate("measured in the other half", (2.6, 1.15), color=blue)
axes.annotate("Good–Turing, from this half alone", (2.6, 0.45), color=red)
axes.set(xlabel="count r of a bigram in one half", ylabel="r − r*: what is missing", ylim=(0, 1.7))
axes.set_title("The count grows ninefold; what is missing about doubles")
figures.show(
    figure,
    "What is missing of a bigram's count in the other half: "
    + ", ".join(f"{missing[r]:.2f} for r={r}" for r in missing)
    + ". Good and Turing's estimate agrees within 12% of r* for r up to 6.",
)

# %% [markdown]
# **Absolute discounting** takes the same $D$ from every count that is not zero. What that frees
# after $h$ is $D$ times the number of different followers, and it goes to the shorter history:
#
# $$P(w\mid h) = \frac{\max(c(hw) - D,\,0)}{c(h)}
#     + \frac{D\,N_{1+}(h\,\bullet)}{c(h)}\,P(w\mid h').$$
#
# So the weight of the shorter history depends on $h$: large where many different words followed,
# small where it was always the same. By hand: after $h$, *a a a b* was seen. With $D=\frac12$,
# *a* keeps $2.5/4$, *b* keeps $0.5/4$, and $1/4$ goes to $P(w\mid h')$.


# %%
def order(counts, D):
    """Counts of one length, ready for use; D[1], D[2], D[3] discount a count of 1, 2, 3 or more."""
    totals, freed = Counter(), Counter()
    for gram, c in counts.items():
        h = gram[:-1]
        totals[h] += c
        freed[h] += D[min(c, 3)]  # D times the number of followers, if all D are equal
    return counts, totals, freed, D


def interpolated(orders):
    """P of a gram's last token, from unigrams up; `orders` has one entry per length."""

    def P(gram):
        P_w = 0.0
        for k, (counts, totals, freed, D) in enumerate(orders, start=1):
            h = gram[-k:-1]
            if h not in totals:  # never seen: a longer one was not seen either
                break
            c = counts[gram[-k:]]
            P_w = (c - D[min(c, 3)] + freed[h] * P_w) / totals[h]
        return P_w

    return P


# %% [markdown]
# `D[0]` is 0, which is the formula's max. Unigrams are not discounted: every token of the
# vocabulary was seen. How large is $D$? Leaving out one token at a time, Ney, Essen and Kneser
# (1994) found $D = n_1/(n_1+2n_2)$.


# %%
def one_discount(counts):
    n = Counter(counts.values())
    D = n[1] / (n[1] + 2 * n[2])
    return [0, D, D, D]


assert one_discount(Counter("abcdee")) == [0, 4 / 6, 4 / 6, 4 / 6]  # four seen once, one twice
none = [0, 0, 0, 0]
by_hand = [order(Counter("abcc"), none), order(Counter(ha=3, hb=1), [0, 0.5, 0.5, 0.5])]
assert interpolated(by_hand)("ha") == 2.5 / 4 + 1 / 4 * 1 / 4
assert interpolated(by_hand)("hc") == 0 + 1 / 4 * 2 / 4
assert interpolated(by_hand)("xc") == 2 / 4  # a history never seen


# %%
def discounted(tables, discount=one_discount):
    """The tables of counts by order, discounted from bigrams on."""
    return [order(table, discount(table) if k else none) for k, table in enumerate(tables)]


absolute = discounted(counts.values())
for history in some_histories:
    assert math.isclose(total_probability(interpolated(absolute), history), 1)
print("D of orders 2 to 4:", [round(D[1], 2) for _, _, _, D in absolute[1:]])

# %%
by_interpolation = {n: perplexity(interpolated(absolute[:n]), n, text["valid"]) for n in counts}
print("fixed λ:            ", {n: round(mixed[n], 1) for n in counts})
print("absolute discounting:", {n: round(by_interpolation[n], 1) for n in counts})

# %% [markdown]
# A weight that knows its history helps the bigram. With four words, one $D$ does worse than fixed
# weights that were tuned on `valid`; section 9 finds two things that are missing.
#
# And on Ruth, against NLTK, for all words after 30 histories of two words:

# %%
model = by_nltk(nltk.lm.AbsoluteDiscountingInterpolated, 3, discount=0.6)
ours = interpolated(discounted(ruth_counts.values(), lambda _: [0, 0.6, 0.6, 0.6]))
pairs = [gram[:-1] for gram in list(ruth_counts[3])[:29]] + [("boaz", "boaz")]
for h, w in itertools.product(pairs, ruth_words):
    assert math.isclose(ours((*h, w)), model.score(w, h))
assert ("boaz", "boaz") not in histories(ruth_counts[3])


# %% [markdown]
# ## 8. Backoff, and how it goes wrong
#
# The notes' other cure: if a 4-gram was not seen, use the 3-gram, and so on. Taken literally, it
# fails. The words seen after $h$ already have all of the mass, and the others get some on top. The
# **stupid backoff** of Brants et al. (2007) does that on purpose, with a factor 0.4:
#
# $$S(w\mid h) = \begin{cases} c(hw)/c(h) & c(hw) > 0\\ 0.4\;S(w\mid h') & \text{otherwise.}
#   \end{cases}$$


# %%
def stupid(factor, counts, totals):
    def S(gram):
        if c := counts[len(gram)][gram]:
            return c / totals[len(gram)][gram[:-1]]
        return factor * S(gram[1:])

    return S


model = by_nltk(nltk.lm.StupidBackoff, 3, alpha=0.4)
ours = stupid(0.4, ruth_counts, {n: histories(ruth_counts[n]) for n in ruth_counts})
for h, w in itertools.product(pairs, ruth_words):
    assert math.isclose(ours((*h, w)), model.score(w, h))

# %%
sample = random.Random(0).sample(sorted({g[:-1] for g in grams(text["valid"], 3)}), 100)
S = stupid(0.4, counts, totals)
sums = np.array([total_probability(S, history) for history in sample])
print(f"sum over all words: from {sums.min():.2f} to {sums.max():.2f}, mean {sums.mean():.2f}")
assert (abs(sums - 1) > 0.01).mean() > 0.9

# %%
for factor in (0.4, 1, 4, 16):
    score = perplexity(stupid(factor, counts, totals), 3, text["valid"])
    print(f"factor {factor}: so-called perplexity {score:.1f}")
assert score < 20

# %% [markdown]
# Most sums are above one; after a history never seen they are near the factor. The "perplexity" of
# such scores can be bought: with a larger factor it falls below that of any model on this page, and
# says nothing. **A perplexity means something only
# if the probabilities sum to one.** (Stupid backoff is of use where scores are only ranked, and on
# texts so large that it hardly backs off.)
#
# Katz (1987) made backoff right. Take from what was seen (here the discount $D$, in his paper Good
# and Turing's), and scale the shorter history so that the words **not** seen after $h$ get exactly
# what was freed:
#
# $$P(w\mid h) = \begin{cases} \dfrac{c(hw)-D}{c(h)} & c(hw)>0\\[2mm]
#   \alpha(h)\,P(w\mid h') & \text{otherwise,}\end{cases}\qquad
#   \alpha(h) = \frac{D\,N_{1+}(h\,\bullet)\,/\,c(h)}{1-\sum_{w:\,c(hw)>0}P(w\mid h')}.$$


# %%
def followers(orders):
    """For each history, the grams of what followed it."""
    seen = defaultdict(list)
    for counts, *_ in orders:
        for gram in counts:
            seen[gram[:-1]].append(gram)
    return seen


def backoff(orders, seen):
    @functools.cache
    def alpha(h):
        _, totals, freed, _ = orders[len(h)]
        return freed[h] / totals[h] / (1 - math.fsum(P(gram[1:]) for gram in seen[h]))

    def P(gram):
        counts, totals, _, D = orders[len(gram) - 1]
        if c := counts[gram]:
            return (c - D[min(c, 3)]) / totals[gram[:-1]]
        return P(gram[1:]) * (alpha(gram[:-1]) if gram[:-1] in totals else 1)

    return P


# %%
seen = followers(absolute)
P_backoff = backoff(absolute, seen)
for history in (*some_histories, ("and", "god", "said"), ("in", "the", "midst")):
    assert math.isclose(total_probability(P_backoff, history), 1)
by_backoff = {n: perplexity(P_backoff, n, text["valid"]) for n in counts}
print("backoff:      ", {n: round(by_backoff[n], 1) for n in counts})
print("interpolation:", {n: round(by_interpolation[n], 1) for n in counts})

# %% [markdown]
# Interpolation asks the shorter history for seen words too; backoff asks it for the others only.
# Here backoff is ahead. Is the shorter history a bad adviser?
#
# ## 9. Kneser–Ney: the shorter history must answer another question
#
# **Predict before you run.** *midst* is in the text 321 times, *begat* 221 times. In a place where
# we know nothing of the history, is *midst* the better guess?
#
# <details><summary>Answer</summary>
#
# *midst* follows *the*, always: after *the* the bigram knows it, and the unigram need not say
# anything. Elsewhere it never comes. *begat* follows 118 different words, nearly all of them names:
# a good guess after a name that we have never seen.
#
# </details>

# %%
contexts = Counter(gram[1:] for gram in counts[2])  # N1+(. w): one for each different bigram
c_w = np.array([c for gram, c in counts[1].items() if gram != ("</s>",)])
n_w = np.array([contexts[gram] for gram in counts[1] if gram != ("</s>",)])
for word in ("midst", "begat"):
    print(f"{word}: seen {counts[1][word,]} times, after {contexts[word,]} different words")
assert contexts["midst",] == 1
assert contexts.total() == len(counts[2])

# %%
figure, axes = plt.subplots()
axes.loglog(c_w, n_w, ".", color="#BBBBBB", markersize=3)
for word, shift in {
    "midst": (6, -4),
    "hosts": (8, -4),
    "lord": (8, -4),
    "begat": (-44, -2),
    "among": (-48, 2),
}.items():
    place = counts[1][word,], contexts[word,]
    low = place[1] < 0.12 * place[0]
    axes.plot(*place, "s" if low else "o", color=red if low else blue)
    axes.annotate(word, place, shift, textcoords="offset points", color=red if low else blue)
axes.set(xlabel="how often the word is seen", ylabel="after how many different words")
axes.set_title("Equally frequent words may follow one word or a hundred")
figures.show(
    figure,
    f"""Each word's count against the number of different words before it, log scales. midst: 321
    times after 1 word; hosts: {counts[1]["hosts",]} after {contexts["hosts",]}; lord:
    {counts[1]["lord",]:,} after {contexts["lord",]}. begat: 221 after {contexts["begat",]}; among:
    {counts[1]["among",]} after {contexts["among",]}.""",
)

# %% [markdown]
# So when we fall back, the question is not "how often is $w$ seen?" but "**after how many different
# words is $w$ seen?**" Kneser and Ney (1995) put these **continuation counts** in the place of the
# counts of all shorter orders; the longest keeps its own. For bigrams:
#
# $$P(w\mid h) = \frac{\max(c(hw)-D,0)}{c(h)} + \frac{D\,N_{1+}(h\,\bullet)}{c(h)}
#   \cdot\frac{N_{1+}(\bullet\,w)}{N_{1+}(\bullet\,\bullet)},$$
#
# with $N_{1+}(\bullet\,\bullet)$ the number of different bigrams. Only the tables change; the
# function of section 7 stays.


# %%
def continuations(counts):
    """For order k, the number of different tokens seen before each gram of length k."""
    return [Counter(gram[1:] for gram in counts[k + 1]) for k in range(1, len(counts))]


def kneser_ney(counts, discount, top):
    """For each n, the orders of the model: continuation counts below, of `top` the longest."""
    below = discounted(continuations(counts), discount)
    return {n: [*below[: n - 1], top[n - 1]] for n in counts}


by_pencil = {1: Counter("abcc"), 2: Counter(["-a", "ab", "bc", "cc"])}  # the text a b c c
assert continuations(by_pencil) == [Counter(a=1, b=1, c=2)]  # c: after b and after c

# %%
kn = kneser_ney(counts, one_discount, absolute)
for history in (*some_histories, ("and", "god", "said"), ("in", "the", "midst")):
    assert math.isclose(total_probability(interpolated(kn[len(history) + 1]), history), 1)
by_kn = {n: perplexity(interpolated(kn[n]), n, text["valid"]) for n in counts}
print("counts below:       ", {n: round(by_interpolation[n], 1) for n in counts})
print("continuations below:", {n: round(by_kn[n], 1) for n in counts})

# %%
model = by_nltk(nltk.lm.KneserNeyInterpolated, 3, discount=0.6)
ruth_top = discounted(ruth_counts.values(), lambda _: [0, 0.6, 0.6, 0.6])
ours = interpolated(kneser_ney(ruth_counts, lambda _: [0, 0.6, 0.6, 0.6], ruth_top)[3])
for h, w in itertools.product([*pairs[::5], ("boaz", "boaz")], ruth_words[::12]):
    assert math.isclose(ours((*h, w)), model.score(w, h))

# %% [markdown]
# **Which $D$?** The formula looked at `train` only: $n_1/(n_1+2n_2)$, one for each order. Would
# `valid` have chosen another? One $D$ for all orders, from 0.1 to 1, all at once as with $\delta$:

# %%
D_grid = np.linspace(0.1, 1, 19)


def over_discounts(n):
    """Perplexity on valid of Kneser–Ney of order n, for every D of the grid."""
    P_w = np.zeros((len(D_grid), 1))
    for k, (table, totals_k, _, _) in enumerate(kn[n], start=1):
        followed_by = Counter(gram[:-1] for gram in table)  # N1+(h .)
        short = [gram[n - k :] for gram in grams(text["valid"], n)]
        c = np.array([table[gram] for gram in short])
        N, F = (np.array([t[gram[:-1]] for gram in short]) for t in (totals_k, followed_by))
        D = D_grid[:, None] if k > 1 else 0
        mixed_in = ((c - D).clip(min=0) + D * F * P_w) / N.clip(min=1)
        P_w = np.where(N > 0, mixed_in, P_w)
    return np.exp(-np.log(P_w).mean(axis=1))


# %%
by_D = {n: over_discounts(n) for n in (2, 3, 4)}
at_half = [kn[2][0], order(counts[2], [0, 0.5, 0.5, 0.5])]
half = np.isclose(D_grid, 0.5)
assert math.isclose(by_D[2][half].item(), perplexity(interpolated(at_half), 2, text["valid"]))
for n, curve in by_D.items():
    best = D_grid[curve.argmin()]
    print(f"n = {n}: best D {best:.2f}, perplexity {curve.min():.1f}; the formula's {by_kn[n]:.1f}")
    assert by_kn[n] < 1.01 * curve.min()
    assert 0.1 < best < 1
    assert curve[0] > curve[-1]

# %%
figure, axes = plt.subplots()
for n, style in zip(by_D, ("--", "-.", ":"), strict=True):
    axes.plot(D_grid, by_D[n], style)
    axes.annotate(f"n = {n}", (D_grid[0], by_D[n][0]), (-38, -4), textcoords="offset points")
    axes.plot(D_grid[by_D[n].argmin()], by_D[n].min(), "o", color="black", markersize=5)
    axes.plot(kn[n][-1][3][1], by_kn[n], "x", color=red, markersize=9, markeredgewidth=2)
axes.annotate("● best on valid", (0.42, 108), color="black")
axes.annotate("× by the formula (at its D of the longest order)", (0.42, 98), color=red)
axes.set(xlabel="D", ylabel="perplexity on valid", xlim=(-0.02, 1.02), ylim=(38, None))
axes.set_title("The formula finds the discount without looking at valid")
figures.show(
    figure,
    "Perplexity on valid of Kneser–Ney against one D for all orders. "
    + "; ".join(
        f"n={n}: {curve[0]:.0f} at D=0.1, {curve[-1]:.0f} at D=1, best {curve.min():.1f} at "
        f"D={D_grid[curve.argmin()]:.2f}, by the formula {by_kn[n]:.1f}"
        for n, curve in by_D.items()
    )
    + ".",
)

# %% [markdown]
# Within one percent of the best in hindsight, and `valid` was not asked. Too small a $D$ costs much
# more than one too large.
#
# Why exactly this count? Kneser and Ney asked that the bigram model should return the frequency of
# each word: $\sum_h c(h)\,P(w\mid h) = c(w)$. Put the formula in. The first part gives $c(w)$ less
# $D$ for each of the $N_{1+}(\bullet\,w)$ different bigrams that end in $w$. The second gives $D$
# for each of the $N_{1+}(\bullet\,\bullet)$ bigrams, times the share of $w$. They cancel if and
# only if the share of $w$ is $N_{1+}(\bullet\,w)/N_{1+}(\bullet\,\bullet)$. With plain counts
# below, *midst* is promised too often:


# %%
def expected_count(P, word):
    return math.fsum(N * P((*h, word)) for h, N in totals[2].items())


print("        in the text   counts below   continuations below")
for word in ("midst", "lord", "begat", "within", "</s>"):
    with_counts = expected_count(interpolated(absolute[:2]), word)
    with_continuations = expected_count(interpolated(kn[2]), word)
    print(f"{word:>7} {counts[1][word,]:>11,} {with_counts:>14,.1f} {with_continuations:>21,.1f}")
    assert math.isclose(with_continuations, counts[1][word,])
    assert abs(with_counts / counts[1][word,] - 1) > 0.01

# %% [markdown]
# > **Where programs differ.** A verse's first word has one predecessor, `<s>`, so its continuation
# > count after `<s>` is 1, whatever it is. NLTK counts so, and we do; SRILM and KenLM keep the
# > plain counts for n-grams that begin with `<s>`.
#
# Section 7 measured that a count of 1 loses less than a count of 2 or 3. Chen and Goodman (1998)
# give each its own discount, from $Y = n_1/(n_1+2n_2)$:
#
# $$D_1 = 1 - 2Y\frac{n_2}{n_1},\quad D_2 = 2-3Y\frac{n_3}{n_2},\quad
#   D_{3+} = 3-4Y\frac{n_4}{n_3}.$$
#
# This is **modified Kneser–Ney**, the strongest of all n-gram models in their comparison.


# %%
def three_discounts(counts):
    n = Counter(counts.values())
    Y = n[1] / (n[1] + 2 * n[2])
    return [0] + [k - (k + 1) * Y * n[k + 1] / n[k] for k in (1, 2, 3)]


small = Counter("abcdef" + 2 * "ghi" + 3 * "jk" + 4 * "l")  # six seen once, three twice, ...
assert three_discounts(small) == [0, 1 - 1 / 2, 2 - 1, 3 - 1]  # Y is 1/2
three = discounted(counts.values(), three_discounts)
mkn = kneser_ney(counts, three_discounts, three)
by_three = {n: perplexity(interpolated(three[:n]), n, text["valid"]) for n in counts}
by_mkn = {n: perplexity(interpolated(mkn[n]), n, text["valid"]) for n in counts}
for history in some_histories:
    assert math.isclose(total_probability(interpolated(mkn[3]), history), 1)
print("discounts of the 4-grams:", [round(D, 2) for D in mkn[4][3][3][1:]])
for name, values in {
    "one discount, counts below:          ": by_interpolation,
    "three discounts, counts below:       ": by_three,
    "one discount, continuations below:   ": by_kn,
    "three discounts, continuations below:": by_mkn,
}.items():
    print(name, {n: round(value, 1) for n, value in values.items()})

# %% [markdown]
# Against the formula, term by term, from the bare list of Ruth's bigrams:

# %%
bigrams = list(grams(ruth, 2))
D = three_discounts(Counter(bigrams))
ruth_top = discounted(ruth_counts.values(), three_discounts)
ours = interpolated(kneser_ney(ruth_counts, three_discounts, ruth_top)[2])
for h, w in itertools.product(["ruth", "the", "and", "<s>"], ruth_words):
    after_h = Counter(b for a, b in bigrams if a == h)
    share = len({a for a, b in bigrams if b == w}) / len(set(bigrams))
    N_1, N_2 = (sum(c == k for c in after_h.values()) for k in (1, 2))
    freed = D[1] * N_1 + D[2] * N_2 + D[3] * (len(after_h) - N_1 - N_2)
    direct = (max(after_h[w] - D[min(after_h[w], 3)], 0) + freed * share) / after_h.total()
    assert math.isclose(ours((h, w)), direct)

# %%
by_delta = {n: float(curves[n].min()) for n in curves}
results = {
    "add-δ": by_delta,
    "fixed λ": mixed,
    "absolute, backoff": by_backoff,
    "absolute, interpolated": by_interpolation,
    "Kneser–Ney": by_kn,
    "modified Kneser–Ney": by_mkn,
}
figure, axes = plt.subplots()
heights = (86, 46.9, 49.6, 53, 43.8, 40.6)
for (name, values), mark, height in zip(results.items(), "os^vDP", heights, strict=True):
    axes.plot(list(values), list(values.values()), marker=mark, markersize=5)
    axes.annotate(name, (4.08 if height < 80 else 2.08, height), fontsize=10)
axes.set(xlabel="n", ylabel="perplexity on valid", xticks=[2, 3, 4], xlim=(1.9, 5), ylim=(38, 92))
axes.set_title("The smoothing decides what a longer history is worth")
figures.show(
    figure,
    "Perplexity on valid for n = 1 to 4. "
    + "; ".join(
        f"{name}: {', '.join(f'{v:.0f}' for v in values.values())}"
        for name, values in results.items()
    )
    + ".",
)

# %% [markdown]
# ### On the test side, once
#
# δ and λ were chosen on `valid`; the discounts come from `train`. Verses of one chapter resemble
# one another, so the bootstrap draws **chapters**, 47 of them, and every model is scored on the
# same draw: a paired interval for the ratio of two perplexities.

# %%
models = {
    "add-δ, n=2": (add_delta(best_delta[2]), 2),
    "fixed λ, n=4": (mixture(lam[4]), 4),
    "absolute, backoff, n=4": (P_backoff, 4),
    "absolute, interpolated, n=4": (interpolated(absolute), 4),
    "Kneser–Ney, n=4": (interpolated(kn[4]), 4),
    "modified Kneser–Ney, n=3": (interpolated(mkn[3]), 3),
    "modified Kneser–Ney, n=4": (interpolated(mkn[4]), 4),
}
size = np.array([sum(map(len, chapter)) for chapter in by_chapter["test"]])
lost = {
    name: np.array([losses(P, n, chapter).sum() for chapter in by_chapter["test"]])
    for name, (P, n) in models.items()
}


# %%
def pooled(loss, size):
    return np.exp(loss.sum() / size.sum())


def ratio(a, b, size):
    """Perplexity of a over that of b, on the same chapters."""
    return np.exp((a.sum() - b.sum()) / size.sum())


assert math.isclose(
    pooled(lost["add-δ, n=2"], size), perplexity(*models["add-δ, n=2"], text["test"])
)
for name, loss in lost.items():
    low, high = bootstrap_interval(pooled, loss, size)
    print(f"{name:28} {pooled(loss, size):5.1f}  [{low:.1f}, {high:.1f}]")

# %%
compared = {}
for a, b in itertools.pairwise(lost):
    low, high = bootstrap_interval(ratio, lost[b], lost[a], size)
    compared[b, a] = low, high
    change = ratio(lost[b], lost[a], size) - 1
    print(f"{b:28} {change:+6.1%}  [{low - 1:+.1%}, {high - 1:+.1%}]  against {a}")

# %%
assert compared["fixed λ, n=4", "add-δ, n=2"][1] < 0.7
assert compared["Kneser–Ney, n=4", "absolute, interpolated, n=4"][1] < 0.9
assert compared["modified Kneser–Ney, n=4", "modified Kneser–Ney, n=3"][1] < 0.96
assert compared["absolute, interpolated, n=4", "absolute, backoff, n=4"][0] > 1.03
low, high = compared["absolute, backoff, n=4", "fixed λ, n=4"]
assert low < 1 < high
for a, b in (
    ("modified Kneser–Ney, n=4", "Kneser–Ney, n=4"),
    ("fixed λ, n=4", "absolute, interpolated, n=4"),
):
    low, high = bootstrap_interval(ratio, lost[a], lost[b], size)
    print(f"{a}: [{low - 1:+.1%}, {high - 1:+.1%}] against {b}")
    assert high < 0.98

# %% [markdown]
# What the intervals carry. Each perplexity alone is uncertain by ten percent and more, for chapters
# differ in difficulty; the paired ratios are sharp, for that cancels. Kneser–Ney's counts lower the
# perplexity by a sixth, three discounts by 3%, a fourth word by 7%. And a surprise, against what is
# often said: with one discount and plain counts below, interpolation is *worse* than backoff on
# this text, and worse than fixed weights that were tuned on `valid`. The shorter history was a bad
# adviser (it praises *midst* everywhere); with continuation counts it is a good one.
#
# ### Word order, at last
#
# The question that we began with. Take each verse of `valid` and exchange two neighbors at a random
# place. Which of the two has the higher probability?

# %%
rng = random.Random(0)
both_orders = []
for verse in text["valid"]:
    t = rng.randrange(len(verse) - 2)  # `</s>` stays
    if verse[t] != verse[t + 1]:
        both_orders.append((verse, (*verse[:t], verse[t + 1], verse[t], *verse[t + 2 :])))
right = {}
for n in counts:
    loss = np.array([[losses(interpolated(mkn[n]), n, [v]).sum() for v in p] for p in both_orders])
    right[n] = np.where(np.isclose(*loss.T), 0.5, loss[:, 0] < loss[:, 1])
    print(f"n = {n}: {right[n].mean():.1%} of {len(right[n])} verses, ties counted half")

# %%
low, high = bootstrap_interval(np.mean, right[4] - right[2])
print(f"n = 4 against n = 2: [{low:+.1%}, {high:+.1%}]")
assert (right[1] == 0.5).all()  # always a tie: a bag of words
assert right[2].mean() > 0.95

# %% [markdown]
# A unigram model is as blind to order as a sum of vectors: always a tie. One word of history is
# enough for 97 verses in 100.
#
# ## 10. What the counts cost
#
# The model *is* the counts. Read the verses in random order and note how many different n-grams
# there are:

# %%
shuffled = random.Random(0).sample(text["train"], len(text["train"]))
stops = [len(shuffled) >> k for k in range(6, -1, -1)]  # 1/64, 1/32, ..., all
sizes = {}
for n in range(1, 6):
    distinct, sizes[n] = set(), []
    for start, stop in itertools.pairwise([0, *stops]):
        distinct.update(grams(shuffled[start:stop], n))
        sizes[n].append(len(distinct))
read = [sum(map(len, shuffled[:stop])) for stop in stops]
doubling = {n: sizes[n][-1] / sizes[n][-2] for n in sizes}
print("twice the text, times the entries:", {n: round(doubling[n], 2) for n in doubling})
assert all(sizes[n][-1] == len(counts[n]) for n in counts)
assert doubling[1] < 1.2 < 1.7 < doubling[4] < doubling[5] < 2

# %%
figure, axes = plt.subplots()
for n, style in zip(sizes, ("-", "--", "-.", ":", "-"), strict=True):
    axes.loglog(read, sizes[n], style, marker="os^vD"[n - 1], markersize=4)
    axes.annotate(
        f"n = {n}",
        (read[-1], sizes[n][-1]),
        (8, (-4, -4, -6, -7, 5)[n - 1]),
        textcoords="offset points",
    )
axes.set(xlabel="tokens read", ylabel="different n-grams", xlim=(1e4, 1.8e6))
axes.set_title("Words run out; long n-grams grow almost as fast as the text")
figures.show(
    figure,
    f"Different n-grams against tokens read, log scales. At {read[-1]:,} tokens: "
    + ", ".join(f"{sizes[n][-1]:,} for n={n}" for n in sizes)
    + "; the last doubling of the text multiplies them by "
    + ", ".join(f"{doubling[n]:.2f}" for n in sizes)
    + ".",
)

# %%
entries = sum(len(counts[n]) for n in counts)
model_bytes = sum(4 * (n + 1) * len(counts[n]) for n in counts)  # n token numbers and a count
text_bytes = sum(len(" ".join(verse).encode()) for verse in text["train"])
print(f"{entries:,} entries, {model_bytes / 1e6:.0f} MB; the text itself {text_bytes / 1e6:.1f} MB")
assert model_bytes > 4 * text_bytes

# %% [markdown]
# The table of a 4-gram model is larger than the text that it summarizes. (Google's Web 1T
# collection of 2006 holds 1.2 billion different 5-grams of a trillion tokens, after all with a
# count below 40 were dropped.) The usual cure is to **prune** what was seen once. In our code that
# is a discount of
# 1 for a count of 1: nothing is left of it, and all it had goes to the shorter history, so the sum
# stays one.

# %%
pruned = [
    order(table, [0, 1, *D[2:]]) if k >= 2 else (table, totals_k, freed, D)
    for k, (table, totals_k, freed, D) in enumerate(mkn[4])
]
kept = sum(
    sum(c > 1 for c in table.values()) if k >= 2 else len(table)
    for k, (table, *_) in enumerate(pruned)
)
after_pruning = perplexity(interpolated(pruned), 4, text["valid"])
all_entries = sum(len(table) for table, *_ in pruned)
share = kept / all_entries
print(f"all entries: perplexity {by_mkn[4]:.1f}; {share:.0%} of them: {after_pruning:.1f}")
assert 1 < after_pruning / by_mkn[4] < 1.1
assert math.isclose(total_probability(interpolated(pruned), ("in", "the", "midst")), 1)

# %% [markdown]
# ## 11. Writing with counts
#
# To sample a text, draw a token, append it, go on until `</s>`. The interpolation formula is itself
# a recipe: with probability (what was freed)/$c(h)$ ask the shorter history, otherwise take a
# follower of $h$ by its discounted count. No sum over the vocabulary is needed.


# %%
def sampler(orders, seen):
    @functools.cache
    def weights(h):
        counts, _, _, D = orders[len(h)]
        return list(
            itertools.accumulate(counts[gram] - D[min(counts[gram], 3)] for gram in seen[h])
        )

    def draw(history, rng):
        """One token, as a sequence of length 1, after at least n - 1 tokens."""
        for k in range(len(orders) - 1, -1, -1):
            h = history[len(history) - k :]
            _, totals, freed, _ = orders[k]
            if h in totals and rng.random() >= freed[h] / totals[h]:
                return rng.choices(seen[h], cum_weights=weights(h))[0][-1:]
        raise AssertionError("unigrams are not discounted")

    return draw


# %%
for tables in (models, absolute, three, kn):
    tables.clear()  # memory
draw, P = sampler(mkn[3], seen), interpolated(mkn[3])
rng = random.Random(0)
drawn = Counter(draw(("the", "king"), rng)[0] for _ in range(20_000))
for word, times in drawn.most_common(8):
    expected = 20_000 * P(("the", "king", word))
    print(f"{word:>8}: drawn {times}, expected {expected:.0f}")
    assert abs(times - expected) < 4 * math.sqrt(expected)


# %%
def write(draw, n, rng, start=("<s>",), end=("</s>",), longest=60):
    written = start * (n - 1)
    while len(written) < longest + n - 1 and written[-1:] != end:
        written += draw(written, rng)
    return written[n - 1 :]


written = {}
for n in mkn:
    draw, rng = sampler(mkn[n], seen), random.Random(n)
    written[n] = [write(draw, n, rng) for _ in range(120)]
    print(f"n = {n}:", " ".join(next(verse for verse in written[n] if 12 < len(verse) < 40)))

# %% [markdown]
# The longer the history, the better it reads. Is it copied? Count the 4-grams that are in `train`
# word by word: of those written, of those in real verses that no model saw, and of those written by
# the bare counts, which never fall back.

# %%
bare = [*mkn[4][:3], order(counts[4], none)]
draw, rng = sampler(bare, seen), random.Random(4)
written["counts alone"] = [write(draw, 4, rng) for _ in range(120)]
written["real"] = text["valid"]
copied = {n: np.mean([g in counts[4] for g in grams(written[n], 4)]) for n in written}
print({name: f"{share:.0%}" for name, share in copied.items()})
assert copied[1] < copied[2] < copied[3] < copied["real"] - 0.03
assert abs(copied[4] - copied["real"]) < 0.05
assert copied["counts alone"] == 1

# %% [markdown]
# Bare counts can only quote. The smoothed 4-gram model quotes about as much as a real verse does:
# its discounts know how much of a new text is new. What it lacks is a subject: no four words know
# what the verse is about.
#
# ## 12. What counts cannot see
#
# **Beyond $n-1$ words, nothing.** A chapter has its theme: a rare word, once used, comes again.
# Take the words that `train` has fewer than 200 times and that occurred earlier in this chapter,
# but not within the model's history. How often does the next token belong to them, and how often
# does the model expect it? As a control, the same with the words of another chapter.

# %%
rare = {word for (word,), c in counts[1].items() if c < 200 and word != "<unk>"}
P = interpolated(mkn[4])


def met_and_expected(chapter, source):
    """Tokens that are rare words of the verses of `source` so far; how many the model expects."""
    met, expected, theme = 0, 0.0, set()
    for verse, line in itertools.zip_longest(chapter, source[: len(chapter)], fillvalue=()):
        for gram in list(grams([verse], 4))[::4]:  # every fourth token
            past = theme.difference(gram[:-1])
            met += gram[-1] in past
            expected += math.fsum(P((*gram[:-1], word)) for word in past)
        theme |= rare.intersection(line)
    return met, expected


# %%
valid = by_chapter["valid"]
own = np.array([met_and_expected(chapter, chapter) for chapter in valid])
other = np.array(
    [met_and_expected(*pair) for pair in zip(valid, valid[28:] + valid[:28], strict=True)]
)
times = {}
for name, rows in (("of this chapter", own), ("of another", other)):
    met, expected = rows.sum(axis=0)
    times[name] = bootstrap_interval(lambda rows: rows[:, 0].sum() / rows[:, 1].sum(), rows)
    low, high = times[name]
    print(
        f"rare words {name}: {met:.0f} met, {expected:.0f} expected, "
        f"ratio {met / expected:.1f} [{low:.1f}, {high:.1f}]"
    )
assert times["of this chapter"][0] > 3
assert times["of another"][1] < 2

# %% [markdown]
# **And no word is like another.** What is counted for one word says nothing about a word of the
# same kind: *france* and *spain* are two strings again. Tell the toy model that cats sleep.

# %%
more = Counter(grams([*toy, ("the", "cat", "sleeps", "</s>")], 2))
print("P(sleeps | cat) =", more["cat", "sleeps"] / histories(more)["cat",])
print("P(sleeps | dog) =", more["dog", "sleeps"] / histories(more)["dog",])
assert more["cat", "sleeps"] > more["dog", "sleeps"] == 0

# %% [markdown]
# ## 13. Characters: the mark to beat
#
# Nothing above needs words. Take characters: 66 of them, none unknown, capitals and all. A text is
# now a chapter, each verse ends with a line break, and line breaks fill the history of the first
# characters. Every character is predicted, so the scores of all models that read characters can be
# compared, in **bits per character** $J/\log 2$.

# %%
for table in (counts, totals, mkn, pruned, bare, seen, written):
    table.clear()  # memory
chars = {side: [] for side in chapters}
for (book, chapter), verses in itertools.groupby(corpora.king_james(), key=lambda v: v[:2]):
    chars[corpora.split(book, chapter)].append("".join(v.text + "\n" for v in verses))
alphabet = sorted(set("".join(chars["train"])))
print({side: f"{sum(map(len, texts)):,} characters" for side, texts in chars.items()})
assert len(alphabet) == 66
assert set("".join(chars["valid"] + chars["test"])) <= set(alphabet)

# %%
char_counts = {n: Counter(grams(chars["train"], n, pad="\n")) for n in range(1, 9)}
below = discounted(continuations(char_counts), three_discounts)
print({n: f"{len(char_counts[n]):,}" for n in (1, 2, 4, 8)})


# %%
def char_model(n):
    top = char_counts[n]
    return interpolated([*below[: n - 1], order(top, three_discounts(top) if n > 1 else none)])


def bits(P, n, side):
    return float(losses(P, n, chars[side], pad="\n").mean() / math.log(2))


bits_valid = {}
for n in (1, 2, 3, 4, 6, 8):
    P = char_model(n)
    bits_valid[n] = bits(P, n, "valid")
    assert math.isclose(math.fsum(P("And God"[-n + 1 :][: n - 1] + x) for x in alphabet), 1)
print({n: round(value, 2) for n, value in bits_valid.items()})

# %%
of_chapter = np.array([losses(P, 8, [c], pad="\n").sum() for c in chars["test"]]) / math.log(2)
length = np.array([len(chapter) for chapter in chars["test"]])
bits_test = of_chapter.sum() / length.sum()
low, high = bootstrap_interval(lambda b, c: b.sum() / c.sum(), of_chapter, length)
print(f"test, n = 8: {bits_test:.3f} bits per character [{low:.2f}, {high:.2f}]")

# %% [markdown]
# ### The bits are real
#
# $-\log_2 P$ is the length of a code. **Arithmetic coding** gives each text a part of the interval
# from 0 to 1, as wide as its probability; any number inside it names the text, and a number takes
# at most $-\log_2 P + 2$ bits. The receiver, who has the same model, follows the number back. Here
# is the coder, in exact fractions (probabilities are rounded down to 40 binary places):


# %%
def parts(P, history):
    """For each character, where its part of [0, 1) begins and how wide it is."""
    start = Fraction(0)
    for x in alphabet:
        width = Fraction(int(P(history + x) * 2**40), 2**40)
        yield x, start, width
        start += width


def encode_text(P, n, text):
    low, width = Fraction(0), Fraction(1)
    for gram in grams([text], n, pad="\n"):
        _, start, share = next(part for part in parts(P, gram[:-1]) if part[0] == gram[-1])
        low, width = low + width * start, width * share
    n_bits = math.ceil(-math.log2(width)) + 1
    return f"{math.ceil(low * 2**n_bits):0{n_bits}b}"


# %%
def decode_text(P, n, code):
    value, text = Fraction(int(code, 2), 2 ** len(code)), "\n" * (n - 1)
    while len(text) < n or text[-1] != "\n":
        before = [part for part in parts(P, text[1 - n :]) if part[1] <= value and part[2] > 0]
        x, start, width = before[-1]
        value = (value - start) / width
        text += x
    return text[n - 1 :]


verse = chars["valid"][0].partition("\n")[0] + "\n"
code = encode_text(P, 8, verse)
information = losses(P, 8, [verse], pad="\n").sum() / math.log(2)
print(verse + code)
print(f"{8 * len(verse)} bits as bytes, {information:.1f} of information, {len(code)} sent")
assert decode_text(P, 8, code) == verse
assert information <= len(code) < information + 2.01

# %% [markdown]
# So the model is a compressor, and a model whose "probabilities" sum to more than one has no such
# code: its parts would overlap. Beside it, a general-purpose compressor, bzip2. It may first read
# as much of `train` as it can keep in view together with `test`:


# %%
def packed(text):
    return 8 * len(bz2.compress(text.encode()))


test_text = "".join(chars["test"])
before = "".join(chars["train"])[-900_000 + len(test_text) + 2_000 :]  # its blocks: 900,000 bytes
by_bzip2 = (packed(before + test_text) - packed(before)) / len(test_text)
print(f"bzip2: {by_bzip2:.2f} bits per character; 8-gram model: {bits_test:.2f}")
assert bits_test < 0.85 * by_bzip2

# %%
figure, axes = plt.subplots()
axes.plot(list(bits_valid), list(bits_valid.values()), "o-")
for n, value in bits_valid.items():
    axes.annotate(f"{value:.2f}", (n, value), (4, 6), textcoords="offset points")
axes.axhline(by_bzip2, color=red, linewidth=1)
axes.annotate("bzip2, on test", (6.6, by_bzip2 + 0.06), color=red)
axes.set(xlabel="n", ylabel="bits per character, valid", ylim=(1, 4.8), xlim=(0.8, 8.6))
axes.set_title("Each character of history helps less than the one before")
figures.show(
    figure,
    "Bits per character on valid, modified Kneser–Ney over characters: "
    + ", ".join(f"{value:.2f} for n={n}" for n, value in bits_valid.items())
    + f". bzip2 needs {by_bzip2:.2f} on test.",
)

# %% [markdown]
# **This is the mark for lecture 06**: the same chapters, every character predicted, bits per
# character on `test`. A table of counts reaches it with seven characters of
# history, and each further character costs more memory than the last. A recurrent network has a
# fixed number of weights, letters and words that may resemble one another, and no $n$. Is that
# enough?

# %%
char_entries = sum(map(len, char_counts.values()))
print(f"{char_entries:,} counts stored; bits per character on test: {bits_test:.3f}")
assert 1.7e6 < char_entries < 2e6

# %% [markdown]
# ## 14. What we showed
#
# | claim | its check |
# |---|---|
# | The chain rule assumes nothing | section 1, a random table of three tokens |
# | With `</s>` a model sums to 1 over texts of all lengths | section 2, every text enumerated |
# | The ratio of counts is where the softmax's gradient is zero | section 3, autograd, after *in* |
# | Perplexity is $\exp(J)$; 7 for a fair die with 7 sides | section 3, as a product too |
# | No belief has a lower perplexity than the truth | section 3, 10,000 beliefs |
# | A smaller vocabulary lowers the perplexity of the same text | section 3, cutoffs 2 to 1,000 |
# | From $n=2$ on, the bare counts give unseen text $J=\infty$ | section 4, measured |
# | Add-δ, mixtures, discounting, backoff, Kneser–Ney sum to one | sections 5 to 10, all words |
# | Add-δ gets worse from $n=3$ on | section 5, best of 23 δ |
# | Ours equal NLTK's: add-δ, absolute, stupid backoff, Kneser–Ney | sections 5, 7, 8, 9, on Ruth |
# | EM never raises $J$, and finds SciPy's optimum | section 6 |
# | A count is worth half of one to one less than it says | section 7, the other half |
# | Good and Turing foretell that | section 7, within 12 percent |
# | Stupid backoff does not sum to one, and can buy its score | section 8, 100 histories |
# | Kneser–Ney keeps each word's frequency | section 9, derived and summed |
# | $D = n_1/(n_1+2n_2)$ is within 1% of the best on `valid` | section 9, 19 values of $D$ |
# | Modified Kneser–Ney equals its formula | section 9, from a bare list of bigrams |
# | It is the best of ours, at $n=4$ | section 9, test, paired intervals over chapters |
# | One word of history tells a verse from a swapped one, 97 in 100 | section 9 |
# | Long n-grams grow nearly as the text does | section 10, last doubling |
# | A quarter of the entries costs 7% in perplexity | section 10, pruned |
# | Drawing by falling back draws from $P$ | section 11, 20,000 draws |
# | Bare counts can only quote | section 11, every 4-gram |
# | What came earlier in the chapter is missed, fivefold | section 12, interval and control |
# | Bits are bits: 8-gram code, decoded | section 13, arithmetic coding |
#
# Not shown: another text, or another genre than the one that we counted; larger $n$ for words; and
# whether a lower perplexity helps a task.
#
# ## Exercises
#
# In assignment **ps2_glove_ngrams**: *n-gram counts* (section 2), *perplexity* (section 3), *add-δ*
# (section 5), *interpolation* (section 6), *Kneser–Ney for bigrams* (section 9).
#
# ## Sources
#
# - C. Shannon, *A Mathematical Theory of Communication* (1948), sections 2 and 3: n-gram models of
#   English, and samples of them.
# - F. Jelinek, R. Mercer, *Interpolated Estimation of Markov Source Parameters from Sparse Data*
#   (1980): fixed weights; A. Dempster, N. Laird, D. Rubin, *Maximum Likelihood from Incomplete Data
#   via the EM Algorithm* (1977).
# - I. J. Good, *The Population Frequencies of Species and the Estimation of Population Parameters*
#   (1953); K. Church, W. Gale, *A Comparison of the Enhanced Good–Turing and Deleted Estimation
#   Methods* (1991): the two halves.
# - S. Katz, *Estimation of Probabilities from Sparse Data* (1987): backoff with α.
# - H. Ney, U. Essen, R. Kneser, *On Structuring Probabilistic Dependences in Stochastic Language
#   Modelling* (1994): absolute discounting and its $D$.
# - R. Kneser, H. Ney, *Improved Backing-off for m-gram Language Modeling* (1995).
# - S. Chen, J. Goodman, *An Empirical Study of Smoothing Techniques for Language Modeling* (1998),
#   section 3: modified Kneser–Ney.
# - T. Brants et al., *Large Language Models in Machine Translation* (2007), section 4: stupid
#   backoff; T. Brants, A. Franz, *Web 1T 5-gram Version 1* (LDC, 2006).
# - R. Kuhn, R. De Mori, *A Cache-Based Natural Language Model for Speech Recognition* (1990): a
#   cure for what section 12 measures.
# - I. Witten, R. Neal, J. Cleary, *Arithmetic Coding for Data Compression* (1987).
