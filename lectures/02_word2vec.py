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
# # 02 Word2vec: learning the vectors
#
# Lecture 01 gave every word two vectors, turned their dot products into a prediction $P(o\mid c)$,
# and wrote down a number $J(\theta)$ that is small when the predictions are good. It left a
# question open: **how do we find $\theta$?** There are half a million numbers in it, and no formula
# gives them.
#
# **After this lecture you can**
#
# - derive every gradient of the naive-softmax loss, and prove each step with a computer;
# - say what skip-gram and CBOW predict, and where their gradients differ;
# - say why nobody takes full-gradient steps here, and why $\theta$ may not start at zero;
# - write Adam, train both models on real text, and say how much the result can be trusted.
#
# **You need** lecture 01, the chain rule, NumPy. **Time**: 90 minutes to read; all cells together
# run in under a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $\lvert V\rvert$, $d$ | numbers | words in the vocabulary; length of a word's vector |
# | $V$, $U$ | $\lvert V\rvert\times d$ | input vectors $v_w$, output vectors $u_w$, as rows |
# | $c$, $o$ | row numbers | the center word; an outside word |
# | $m$, $n$ | numbers | window: words to each side; words that are really there, $n\le 2m$ |
# | $v_c$, $u_o$ | $d$ | the center's input vector; the outside word's output vector |
# | $\hat v$ | $d$ | mean of the context words' input vectors (CBOW) |
# | $z$ | $\lvert V\rvert$ | scores, $U v_c$ or $U\hat v$ (lecture 01 wrote $x$) |
# | $\hat y$, $y$ | $\lvert V\rvert$ | predicted, $\mathrm{softmax}(z)$; observed, 1 at $o$ |
# | $x$ | $\lvert V\rvert$ | how often each word stands in the window |
# | $X$ | $\lvert V\rvert\times\lvert V\rvert$ | the counts of lecture 01 |
# | $T$ | number | positions in the text, each the center of one window |
# | $\theta$, $\alpha$ | all of $V$, $U$; number | the parameters; the learning rate |
#
# Code writes `v_c`, `y_hat`, `v_hat`. What is called `grad_x` is $\partial J/\partial x$, of $x$'s
# shape.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

from collections import Counter
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from scipy.stats import rankdata, spearmanr

from lectures import corpora, figures
from lectures.intervals import bootstrap_interval

blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. One pair, by hand
#
# Three words, and a center whose scores happen to be $z = (\log 2, 0, 0)$. Then $e^z = (2, 1, 1)$,
# the sum is 4, and $\hat y = (\frac12, \frac14, \frac14)$. If the outside word is the first,
# $J = -\log\frac12 = \log 2$.
#
# **Predict before you run.** The gradient of $J$ with respect to the scores says how $J$ changes
# when one score rises a little. What are its three signs? What is its sum?
#
# <details><summary>Answer</summary>
#
# Raising the right word's score helps, so its entry is negative; the other two are positive. Their
# sum is 0: adding the same number to all scores changes no probability. Next section: the gradient
# is $\hat y - y = (-\frac12, \frac14, \frac14)$.
#
# </details>


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))  # stable, as in lecture 01
    return e / e.sum(axis=-1, keepdims=True)


y_hat = softmax(np.array([np.log(2), 0, 0]))
print("ŷ =", y_hat, " ŷ − y =", y_hat - [1, 0, 0])
assert np.isclose(-np.log(y_hat[0]), np.log(2))

# %% [markdown]
# ## 2. Two judges
#
# Every formula below faces two judges that know nothing of it. **Central differences** move one
# number at a time: $\partial f/\partial x \approx (f(x+h) - f(x-h))/2h$, with an error that shrinks
# as $h^2$. **Autograd** is PyTorch's automatic chain rule; we give it the loss in PyTorch's own
# functions, never our gradient. All in float64. We also insist that the numbers compared are away
# from zero: two formulas that both give 0 agree about nothing.


# %%
def central_difference(f, x, h=1e-5):
    slope = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slope[i] = (f(x + step) - f(x - step)) / (2 * h)
    return slope


# %%
def judge(name, ours, f, f_torch, x):
    """Is `ours` the gradient of `f` at `x`? `f_torch` is the same function, written in PyTorch."""
    leaf = torch.tensor(x, requires_grad=True)
    f_torch(leaf).backward()
    assert ours.shape == x.shape
    assert np.abs(ours).min() > 1e-4, "too near zero to judge"
    np.testing.assert_allclose(ours, central_difference(f, x), rtol=1e-5)
    np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-9)
    print(f"{name}: {ours.size} numbers, both judges agree")


# %% [markdown]
# ## 3. The naive-softmax loss
#
# One center $c$, one outside word $o$:
#
# $$J = -\log P(o\mid c) = -\log\frac{\exp(u_o^\top v_c)}{\sum_{w}\exp(u_w^\top v_c)}
#     = -z_o + \log\sum_w e^{z_w}, \qquad z = U v_c .$$
#
# The chain is $(v_c, U) \to z \to e = \exp(z) \to S = \sum_w e_w \to J = -z_o + \log S$. We walk it
# backwards, one link at a time, on a random example with seven words.

# %%
random = np.random.default_rng(0)
n_words, d, o = 7, 4, 2
U, v_c = random.normal(size=(n_words, d)), random.normal(size=d)

z = U @ v_c  # scores, (7,)
e = np.exp(z)  # (7,)
S = e.sum()  # a number
J = -z[o] + np.log(S)

o_torch, U_torch, v_torch = torch.tensor(o), torch.tensor(U), torch.tensor(v_c)
assert np.isclose(J, F.cross_entropy(U_torch @ v_torch, o_torch).item())

# %% [markdown]
# **Link 1: $J$ as a function of $S$.** Only $\log S$ depends on it, so $\partial J/\partial S =
# 1/S$.

# %%
grad_S = 1 / S
judge(
    "∂J/∂S",
    np.array([grad_S]),
    lambda s: float(-z[o] + np.log(s[0])),
    lambda s: -torch.tensor(z[o]) + torch.log(s[0]),
    np.array([S]),
)

# %% [markdown]
# **Link 2: through the sum.** $S = \sum_w e_w$, so $\partial S/\partial e_w = 1$ and $\partial
# J/\partial e_w = 1/S$: the same number for every word. (The other path from $z$ to $J$, the term
# $-z_o$, does not pass through $e$.)

# %%
grad_e = grad_S * np.ones(n_words)
judge(
    "∂J/∂e",
    grad_e,
    lambda e: float(-z[o] + np.log(e.sum())),
    lambda e: -torch.tensor(z[o]) + torch.log(e.sum()),
    e,
)

# %% [markdown]
# **Link 3: to the scores.** Two paths meet in $z$. Through $e$: $\partial e_w/\partial z_w = e_w$
# turns $1/S$ into $e_w/S = \hat y_w$. Directly: $-z_o$ gives $-1$ at $o$, which is $-y$. Together
#
# $$\frac{\partial J}{\partial z} = \hat y - y .$$
#
# Predicted minus observed: the error that every gradient of this lecture is made of.

# %%
y = np.eye(n_words)[o]
y_hat = softmax(z)
np.testing.assert_allclose(grad_e * e, y_hat)  # the path through e is the softmax

grad_z = y_hat - y
judge(
    "∂J/∂z",
    grad_z,
    lambda z: float(-z[o] + np.log(np.exp(z).sum())),
    lambda z: F.cross_entropy(z, o_torch),
    z,
)

# %% [markdown]
# **Link 4: to the center's vector.** $z_w = u_w^\top v_c$, so $\partial z_w/\partial v_c = u_w$,
# and $v_c$ feeds every score. Sum over all of them:
#
# $$\frac{\partial J}{\partial v_c} = \sum_w (\hat y_w - y_w)\,u_w
#   = -\underbrace{u_o}_{\text{observed}}
#     + \underbrace{\textstyle\sum_w \hat y_w u_w}_{\text{expected}}
#   = U^\top(\hat y - y).$$
#
# The model names the vector that it expects to see; the step $-\partial J/\partial v_c$ is
# *observed minus expected*: it pulls $v_c$ toward $u_o$ and away from the mean of all $u_w$ under
# the model. When the two are equal, $v_c$ rests.


# %%
def loss(v_c, o, U):
    z = U @ v_c
    return float(-z[o] + np.log(np.exp(z).sum()))


expected = sum(y_hat[w] * U[w] for w in range(n_words))
grad_v = U.T @ (y_hat - y)
np.testing.assert_allclose(grad_v, -U[o] + expected)
judge(
    "∂J/∂v_c",
    grad_v,
    lambda v: loss(v, o, U),
    lambda v: F.cross_entropy(U_torch @ v, o_torch),
    v_c,
)

# %% [markdown]
# **Link 5: to the output vectors, row by row.** $u_w$ is in one score only, and $\partial
# z_w/\partial u_w = v_c$. For the word that was there and for those that were not:
#
# $$\frac{\partial J}{\partial u_o} = (\hat y_o - 1)\,v_c, \qquad
#   \frac{\partial J}{\partial u_w} = \hat y_w\,v_c \quad (w\neq o).$$
#
# A step downhill moves $u_o$ toward $v_c$, far if it was a surprise ($\hat y_o$ small), and every
# other $u_w$ away, in proportion to the probability that it wrongly claimed. All rows lie along
# $v_c$:
#
# $$\frac{\partial J}{\partial U} = (\hat y - y)\,v_c^\top .$$


# %%
def with_row(w, row):
    changed = U.copy()
    changed[w] = row
    return changed


def with_row_torch(w, row):
    return torch.stack([row if k == w else U_torch[k] for k in range(n_words)])


# %%
for name, w, ours in [
    ("∂J/∂u_o", o, (y_hat[o] - 1) * v_c),
    ("∂J/∂u_w, w = 5", 5, y_hat[5] * v_c),
]:
    judge(
        name,
        ours,
        lambda row, w=w: loss(v_c, o, with_row(w, row)),
        lambda row, w=w: F.cross_entropy(with_row_torch(w, row) @ v_torch, o_torch),
        U[w],
    )

# %% [markdown]
# All of $U$ at once, first with the loop that the two formulas describe, then as one outer product.

# %%
looped = np.zeros_like(U)
for w in range(n_words):
    for k in range(d):
        looped[w, k] = (y_hat[w] - 1 if w == o else y_hat[w]) * v_c[k]

grad_U = np.outer(y_hat - y, v_c)
np.testing.assert_allclose(grad_U, looped)
judge(
    "∂J/∂U",
    grad_U,
    lambda U: loss(v_c, o, U),
    lambda U: F.cross_entropy(U @ v_torch, o_torch),
    U,
)

# %% [markdown]
# Five links in four lines. This is the function that ps1 asks you to write.


# %%
def naive_softmax(v_c, o, U):
    """J = −log P(o|c), ∂J/∂v_c of shape (d,), ∂J/∂U of shape (|V|, d)."""
    y_hat = softmax(U @ v_c)
    error = y_hat.copy()
    error[o] -= 1  # ŷ − y
    return -np.log(y_hat[o]), U.T @ error, np.outer(error, v_c)


for ours, by_hand in zip(naive_softmax(v_c, o, U), (J, grad_v, grad_U), strict=True):
    np.testing.assert_allclose(ours, by_hand)

# %% [markdown]
# **Predict before you run.** How many rows of $U$ does one observed pair move? How many of $V$?
#
# <details><summary>Answer</summary>
#
# All $\lvert V\rvert$ rows of $U$, because each $\hat y_w > 0$; one row of $V$, the center's. A
# pair is one event in the text and costs work for every word of the language. Lecture 03 is about
# that cost.
#
# </details>

# %%
print("rows of U with a gradient:", np.count_nonzero(np.abs(grad_U).sum(axis=1)), "of", n_words)
assert (np.abs(grad_U).sum(axis=1) > 0).all()

# %% [markdown]
# ## 4. Skip-gram: one center predicts its window
#
# A window has one center and up to $2m$ outside words; at the text's edge there are fewer. Take
# "the cat sat", $m = 2$: the window of *the* is {cat, sat}, that of *cat* is {the, sat}.


# %%
def windows(text, m):
    """For each position: its word, and the words at most m positions away."""
    for t, c in enumerate(text):
        yield c, text[max(0, t - m) : t] + text[t + 1 : t + 1 + m]


print(list(windows(["the", "cat", "sat"], m=2)))
assert list(windows([0, 1, 2, 3], m=1)) == [(0, [1]), (1, [0, 2]), (2, [1, 3]), (3, [2])]
assert list(windows([0, 1, 2], m=2)) == [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])]
assert [0, 1, 2][1 - 2 : 1] == []  # t = 1, m = 2 without max: the left neighbor is lost

# %% [markdown]
# Why `max(0, t - m)`? With $t - m = -1$, Python's slice `text[-1:t]` counts from the end and is
# empty: the first words would lose their left neighbors without an error message.
#
# The window's loss is a sum over its outside words, so its gradients are sums too. Loop first:


# %%
def skipgram_loop(V, U, c, outside):
    """J of one window, its gradients with respect to V and U."""
    J, grad_V, grad_U = 0.0, np.zeros_like(V), np.zeros_like(U)
    for o in outside:
        J_o, grad_v, grad_U_o = naive_softmax(V[c], o, U)
        J += J_o
        grad_V[c] += grad_v  # the center's row, and no other
        grad_U += grad_U_o
    return J, grad_V, grad_U


# %% [markdown]
# All $n$ pairs share $v_c$, hence $z$ and $\hat y$. Let $x_w$ count how often $w$ is in the window;
# then the $n$ errors $\hat y - y$ add up to $n\hat y - x$, and one softmax serves them all:


# %%
def skipgram(V, U, c, outside):
    y_hat = softmax(U @ V[c])
    x = np.bincount(outside, minlength=len(U))  # repeated words count twice
    error = len(outside) * y_hat - x
    grad_V = np.zeros_like(V)
    grad_V[c] = U.T @ error
    return -(x * np.log(y_hat)).sum(), grad_V, np.outer(error, V[c])


# %%
V = random.normal(size=(n_words, d))
c, outside = 3, [2, 5, 5, 0]  # 5 stands on both sides
J, grad_V, grad_U = skipgram(V, U, c, outside)
for ours, looped in zip((J, grad_V, grad_U), skipgram_loop(V, U, c, outside), strict=True):
    np.testing.assert_allclose(ours, looped, atol=1e-12)


# %%
V_torch = torch.tensor(V)


def skipgram_torch(v, U):
    return F.cross_entropy((U @ v).expand(4, -1), torch.tensor(outside), reduction="sum")


judge(
    "skip-gram ∂J/∂v_c",
    grad_V[c],
    lambda v: skipgram(np.vstack([V[:c], v[None], V[c + 1 :]]), U, c, outside)[0],
    lambda v: skipgram_torch(v, U_torch),
    V[c],
)
judge(
    "skip-gram ∂J/∂U",
    grad_U,
    lambda U: skipgram(V, U, c, outside)[0],
    lambda U: skipgram_torch(V_torch[c], U),
    U,
)
assert not np.delete(grad_V, c, axis=0).any()  # all other rows of V stay

# %% [markdown]
# ## 5. CBOW: the window predicts its center
#
# The continuous bag of words turns the arrow: the input vectors of the $n$ context words are
# averaged, and their mean $\hat v$ predicts the center. The roles stay: $v$ goes in, $u$ is
# predicted.
#
# $$\hat v = \frac1n\sum_{j} v_{w_j}, \qquad
#   J = -\log P(c\mid \text{context}) = -u_c^\top \hat v + \log\sum_w \exp(u_w^\top\hat v).$$
#
# With $\hat v$ in the place of $v_c$ and $c$ in that of $o$ this is the loss of section 3. So two
# of three gradients are known: $\partial J/\partial\hat v = U^\top(\hat y - y)$ and $\partial
# J/\partial U = (\hat y - y)\,\hat v^\top$. The third is one more link: each $v_{w_j}$ enters $\hat
# v$ with weight $1/n$, so **each place in the window** sends $\frac1n\,\partial J/\partial\hat v$
# back to its word, and a word that stands in two places gets it twice.
#
# > **The notes say** $\hat v = \frac1{2m}\sum_j v_{w_j}$. **Right is** $\frac1n$: at the text's
# > edges there are fewer than $2m$ words, and a mean divides by what is there. The context `[2, 6]`
# > below ($m=2$, $n=2$) is the check.
#
# > **The notes say** the loss is a sum over the corpus here, and a mean ($\frac1T$) for skip-gram.
# > Both have the same minimum; but the gradient of the sum is $T$ times longer, so $\alpha$ means
# > another thing. We use means from section 6 on.


# %%
def cbow(V, U, c, context):
    v_hat = V[context].mean(axis=0)
    J, grad_v_hat, grad_U = naive_softmax(v_hat, c, U)
    grad_V = np.zeros_like(V)
    for w in context:
        grad_V[w] += grad_v_hat / len(context)
    return J, grad_V, grad_U


def cbow_torch(V, U, c, context):
    v_hat = F.embedding_bag(torch.tensor([context]), V, mode="mean")[0]
    return F.cross_entropy(U @ v_hat, torch.tensor(c))


# %%
c, context = 3, [2, 5, 5, 0]
v_hat = V[context].mean(axis=0)
J, grad_V, grad_U = cbow(V, U, c, context)

J_hat, grad_v_hat, _ = naive_softmax(v_hat, c, U)
judge(
    "CBOW ∂J/∂v̂",
    grad_v_hat,
    lambda v: loss(v, c, U),
    lambda v: F.cross_entropy(U_torch @ v, torch.tensor(c)),
    v_hat,
)
judge(
    "CBOW ∂J/∂U",
    grad_U,
    lambda U: cbow(V, U, c, context)[0],
    lambda U: cbow_torch(V_torch, U, c, context),
    U,
)

# %% [markdown]
# For $\partial J/\partial V$ only the context's rows are away from zero; the others must be zero
# exactly. *5* stands twice, so its row is twice that of *2*. One window at the text's edge is
# judged too: $n = 2$, not 4.


# %%
def judge_context(context):
    rows = sorted(set(context))
    grad_V = cbow(V, U, c, context)[1]

    def put(V, rows_of_V, index):
        V = V.clone() if torch.is_tensor(V) else V.copy()
        V[index] = rows_of_V
        return V

    judge(
        f"CBOW ∂J/∂v, context {context}",
        grad_V[rows],
        lambda part: cbow(put(V, part, rows), U, c, context)[0],
        lambda part: cbow_torch(put(V_torch, part, rows), U_torch, c, context),
        V[rows],
    )
    assert not np.delete(grad_V, rows, axis=0).any()


judge_context([2, 5, 5, 0])
judge_context([2, 6])
np.testing.assert_allclose(grad_V[5], 2 * grad_V[2])

# %% [markdown]
# **What breaks without care.** `grad_V[context] += g` looks like the loop, and isn't: NumPy reads
# the rows, adds, and writes back, so a repeated row is written twice and added once. It is a
# frequent mistake in published solutions of this exercise. `np.add.at` adds once per index.

# %%
g = grad_v_hat / len(context)
trap, cure = np.zeros_like(V), np.zeros_like(V)
trap[context] += g
np.add.at(cure, context, g)

np.testing.assert_allclose(cure, grad_V)
np.testing.assert_allclose(trap[5], grad_V[5] / 2)  # half of it is lost

# %% [markdown]
# ## 6. A text, and many windows at once
#
# The text is the Wikipedia sample of lecture 01. Every softmax costs work for each word of the
# vocabulary, so we keep the words that occur at least ten times. The rest are dropped **before**
# windows are formed, as word2vec does: a window reaches over the gap.

# %%
articles = corpora.wikipedia()
count = Counter(word for article in articles for word in article)
words = [word for word, n in count.most_common() if n >= 10]
index = {word: i for i, word in enumerate(words)}
text = [[index[word] for word in article if word in index] for article in articles]

T = sum(map(len, text))
print(f"|V| = {len(words):,} of {len(count):,} words; {T / count.total():.0%} of the text is kept")
assert (len(words), T) == (5_209, 387_754)

# %% [markdown]
# All windows become two arrays: `center` of shape $(T,)$ and `context` of shape $(T, 2m)$, with −1
# where the text has no word. They must say what `windows` says:

# %%
m = 5


def window_arrays(article):
    padded = np.pad(article, m, constant_values=-1)
    view = np.lib.stride_tricks.sliding_window_view(padded, 2 * m + 1)
    return view[:, m], np.delete(view, m, axis=1)


parts = [window_arrays(article) for article in text]
center = np.concatenate([c for c, _ in parts])
context = np.concatenate([o for _, o in parts])

for t, (c, outside) in enumerate(windows(text[0], m)):
    assert center[t] == c
    assert context[t][context[t] >= 0].tolist() == outside
assert (context >= 0).any(axis=1).all()  # no window is empty

# %% [markdown]
# Both models do one thing: some hidden vectors $h$ (the $v_c$'s, or the $\hat v$'s) must predict
# some words. Pair $k$ says that row `row[k]` of $h$ has to predict word `col[k]`. The loss is the
# **mean over pairs**, and the error of a row with $n$ pairs is $n\hat y - x$, as in section 4.


# %%
def softmax_loss(h, U, row, col):
    """Mean loss per pair, and its gradients with respect to h (rows, d) and U (|V|, d)."""
    n = np.bincount(row, minlength=len(h)).astype(h.dtype)[:, None]
    z = h @ U.T  # (rows, |V|)
    z -= z.max(axis=1, keepdims=True)
    observed = z[row, col].sum()
    e = np.exp(z, out=z)  # in place: this array is the large one
    S = e.sum(axis=1, keepdims=True)
    J = ((n * np.log(S)).sum() - observed) / len(row)
    e *= n / S  # n ŷ
    np.subtract.at(e, (row, col), e.dtype.type(1))  # − x, repeats counted
    e /= len(row)
    return float(J), e @ U, e.T @ h


# %% [markdown]
# Skip-gram: windows with the same center share $v_c$, so their pairs share one row of $h$.
# CBOW: every window has its own $\hat v$, and nothing can be shared.


# %%
def skipgram_batch(V, U, batch):
    seen = context[batch] >= 0
    c, row = np.unique(center[batch], return_inverse=True)
    J, grad_h, grad_U = softmax_loss(
        V[c], U, np.repeat(row, seen.sum(axis=1)), context[batch][seen]
    )
    grad_V = np.zeros_like(V)
    grad_V[c] = grad_h  # `=` is right: np.unique leaves no repeats
    return J, grad_V, grad_U


# %%
def cbow_batch(V, U, batch):
    seen = context[batch] >= 0
    n = seen.sum(axis=1, keepdims=True)
    v_hat = (V[context[batch]] * seen[..., None]).sum(axis=1) / n.astype(V.dtype)
    J, grad_h, grad_U = softmax_loss(v_hat, U, np.arange(len(batch)), center[batch])
    grad_V = np.zeros_like(V)
    share = (grad_h / n).astype(V.dtype)
    np.add.at(grad_V, context[batch][seen], np.repeat(share, n[:, 0], axis=0))
    return J, grad_V, grad_U


# %% [markdown]
# They must equal the sums of sections 4 and 5, window by window. The batch below holds an article's
# first windows (cut by its edge) and windows from elsewhere.


# %%
def start(d, seed=0, dtype=np.float32):
    """V and U at random, small: every score is near 0."""
    random = np.random.default_rng(seed)
    shape = (len(words), d)
    return [random.normal(0, 0.5 / np.sqrt(d), shape).astype(dtype) for _ in range(2)]


V, U = start(d=8, dtype=np.float64)
batch = np.r_[0:12, 5_000:5_012]
pairs = (context[batch] >= 0).sum()
assert pairs < 2 * m * len(batch)  # some windows are cut
assert len(set(center[batch])) < len(batch)  # some centers repeat

# %%
for one, many, divide in [(skipgram, skipgram_batch, pairs), (cbow, cbow_batch, len(batch))]:
    total = [0.0, np.zeros_like(V), np.zeros_like(U)]
    for t in batch:
        for k, part in enumerate(one(V, U, center[t], context[t][context[t] >= 0])):
            total[k] = total[k] + part / divide
    for ours, summed in zip(many(V, U, batch), total, strict=True):
        np.testing.assert_allclose(ours, summed, atol=1e-12)
    print(many.__name__, "equals the sum over its windows")

# %% [markdown]
# ## 7. Gradient descent, and why the full gradient is too costly
#
# Stand at $\theta$, look at the slope of $J$, and take a step downhill:
#
# $$\theta \leftarrow \theta - \alpha\,\nabla_\theta J(\theta).$$
#
# > **The notes say** $\theta - \alpha\,\Delta_\theta J(\theta)$. **Right is** $\nabla$ (nabla), the
# > vector of partial derivatives. $\Delta$ (delta) is a difference, or the Laplacian: a sum of
# > second derivatives, a single number by which no vector $\theta$ can be moved.
#
# What does one step cost? A window of CBOW needs three products with a $|V|\times d$ matrix: the
# scores $U\hat v$, the gradient $U^\top(\hat y-y)$, and $(\hat y-y)\hat v^\top$. That is $3|V|d$
# multiply-adds; the full gradient needs it for each of the $T$ windows before $\theta$ moves once.

# %%
d = 50
per_window = 3 * len(words) * d
print(f"one window: {per_window:,} multiply-adds")
print(f"one step on the full gradient: {per_window * T:.1e}, as many as {T // 512} steps on 512")

# %% [markdown]
# Counts are a theory of cost; a clock tests it. 4,096 windows hold 64 times the work of 64. We time
# the processor (best of five, so that other programs matter little) and assert a factor of at
# least 5, which holds on a busy machine too.


# %%
def seconds(batch, V, U):
    best = np.inf
    for _ in range(5):
        began = process_time()
        cbow_batch(V, U, batch)
        best = min(best, process_time() - began)
    return best


V, U = start(d)
shuffled = np.random.default_rng(0).permutation(T)
small_text = shuffled[:4_096]
assert seconds(small_text, V, U) > 5 * seconds(small_text[:64], V, U)

# %% [markdown]
# **Stochastic gradient descent** (SGD) steps on the gradient of a few windows drawn at random. On
# average it is the full gradient; each draw is wrong, and it is wrong soon rather than right
# late. To compare, let 4,096 windows be the whole text, and spend the work of one full
# gradient: (a) on one full step, with the best of twelve learning rates; (b) on 64 steps of 64
# windows, with one learning rate.
#
# **Predict before you run.** How much of the loss, 8.56 at the start, does each remove?
#
# <details><summary>Answer</summary>
#
# About 0.03 and 1.4. The start is almost flat (section 8 says why), so a single step, however well
# it is aimed and measured, gets nowhere. Sixty-four rough ones can turn with the ground.
#
# </details>

# %%
at_start, grad_V, grad_U = cbow_batch(V, U, small_text)
one_full_step = min(
    cbow_batch(V - alpha * grad_V, U - alpha * grad_U, small_text)[0]
    for alpha in 2.0 ** np.arange(12)
)

for batch in np.split(small_text, 64):
    _, grad_V, grad_U = cbow_batch(V, U, batch)
    V -= 10 * grad_V
    U -= 10 * grad_U
many_small_steps = cbow_batch(V, U, small_text)[0]

print(f"start {at_start:.2f}, one full step {one_full_step:.2f}, 64 of SGD {many_small_steps:.2f}")
assert abs(at_start - np.log(len(words))) < 0.01
assert at_start - many_small_steps > 3 * (at_start - one_full_step)

# %% [markdown]
# That the batches' mean gradient is the full one is worth a check, since (b) rests on it:

# %%
V, U = start(d=8, dtype=np.float64)
mean = [0.0, 0.0, 0.0]
for batch in np.split(small_text[:512], 8):
    for k, part in enumerate(cbow_batch(V, U, batch)):
        mean[k] = mean[k] + part / 8
for full, averaged in zip(cbow_batch(V, U, small_text[:512]), mean, strict=True):
    np.testing.assert_allclose(averaged, full, atol=1e-12)

# %% [markdown]
# **A way out for skip-gram alone.** Its loss depends on the text only through the counts $X_{co}$
# of lecture 01, so a full gradient needs one softmax per *word*, not per position: 74 times fewer
# here. Lecture 04 (GloVe) starts from this. On a text of millions of words with $|V|$ in the
# hundred thousands it still is far too much for one step. We use it now, on a vocabulary of 100.


# %%
def skipgram_counts(V, U, X):
    """Mean loss per pair and its gradients, from the counts X of shape (|V|, |V|)."""
    y_hat = softmax(V @ U.T)
    error = (X.sum(axis=1, keepdims=True) * y_hat - X) / X.sum()
    return -(X * np.log(y_hat)).sum() / X.sum(), error @ U, error.T @ V


X = np.zeros((100, 100))  # the hundred most frequent words
both = (center[:, None] < 100) & (context >= 0) & (context < 100)
row = np.repeat(center, both.sum(axis=1))
np.add.at(X, (row, context[both]), 1)
assert (X == X.T).all()  # o is in the window of c as often as c in that of o
print(f"{X.sum():,.0f} pairs among 100 words; {T / len(words):.0f} positions per word of V")

# %%
V, U = start(d=8, dtype=np.float64)
near = np.flatnonzero((center < 100) & (context < 100).all(axis=1) & (context >= 0).all(axis=1))
few = np.zeros((100, 100))
np.add.at(few, (np.repeat(center[near], 2 * m), context[near].ravel()), 1)
by_counts = skipgram_counts(V[:100], U[:100], few)
total = [0.0, 0.0, 0.0]
for t in near:
    for k, part in enumerate(skipgram(V[:100], U[:100], center[t], context[t])):
        total[k] = total[k] + part / (2 * m * len(near))
for ours, summed in zip(by_counts, total, strict=True):
    np.testing.assert_allclose(ours, summed, atol=1e-12)

# %% [markdown]
# ## 8. The saddle at zero
#
# Where to start? Zero looks innocent: no word is preferred. At $U=V=0$ all scores are 0, so
# $\hat y_w = 1/|V|$ and the loss is $\log|V|$. The error $\hat y-y$ is not zero. The gradients are:
#
# $$\frac{\partial J}{\partial v_c} = U^\top(\hat y-y) = 0\cdot(\hat y - y) = 0,\qquad
#   \frac{\partial J}{\partial U} = (\hat y-y)\,v_c^\top = (\hat y-y)\cdot 0 = 0 .$$
#
# Each waits for the other to be non-zero. This holds **for every single window**, so SGD's noise
# is of no help: it is noise in $\hat y - y$, and it is multiplied by zero.
#
# > **The notes say** that gradient descent hardly gets out of saddle points and that SGD is the
# > cure. **Right is**: at a saddle where every window's gradient is zero, SGD stands as still as
# > full gradient descent. The cure is where one starts. The next cell is the check.

# %%
zero = np.zeros((100, 8))
J, grad_V, grad_U = skipgram_counts(zero, zero, X)
assert np.isclose(J, np.log(100))
assert not grad_V.any()
assert not grad_U.any()

V, U = np.zeros((2, 100, 8))
for t in near[:200]:  # 200 steps of SGD, one window each, both models in turn
    for model in (skipgram, cbow):
        _, grad_V, grad_U = model(V, U, center[t], context[t])
        V -= grad_V
        U -= grad_U
assert not V.any()
assert not U.any()
print("after 400 steps of SGD from zero, θ is still exactly zero")

# %% [markdown]
# A gradient of zero is a minimum, a maximum, or a saddle: down in some directions, up in others.
# The second derivatives decide. For small scores, $\log\sum_w e^{z_w} \approx \log|V| + \frac1{|V|}
# \sum_w z_w$. Put this into the mean of $-z_o + \log\sum_w e^{z_w}$ over all pairs, with $z_w =
# u_w\cdot v_c$: near zero, $J \approx \log|V| + \sum_{c,w} M_{cw}\,u_w\cdot v_c$ with $M_{cw} =
# \frac{1}{N}\left(\frac{n_c}{|V|} - X_{cw}\right)$, where $n_c$ are the pairs of center $c$ and $N$
# all pairs (lecture 01 used the letter $M$ for $\log(1+X)$). Such a product has as many ways down
# as up: move $u_w$ and $v_c$ apart instead of together and the sign flips. Precisely: **the
# Hessian's eigenvalues are $\pm$ the singular values of $M$**, each $d$ times. Judge: PyTorch's
# Hessian, on four words.

# %%
X_4 = torch.tensor(X[10:14, 10:14])  # four frequent words


def loss_at(theta):
    V, U = theta.reshape(2, 4, 2)  # d = 2
    return -(X_4 * F.log_softmax(V @ U.T, dim=1)).sum() / X_4.sum()


hessian = torch.autograd.functional.hessian(loss_at, torch.zeros(16, dtype=torch.float64)).numpy()
eigenvalues = np.linalg.eigvalsh(hessian)
M = ((X_4.sum(dim=1, keepdim=True) / 4 - X_4) / X_4.sum()).numpy()
singular = np.repeat(np.linalg.svd(M, compute_uv=False), 2)
np.testing.assert_allclose(eigenvalues, np.sort(np.r_[singular, -singular]), atol=1e-12)
print(f"eigenvalues from {eigenvalues[0]:.3f} to {eigenvalues[-1]:+.3f}")
assert eigenvalues[0] < -0.01 < 0.01 < eigenvalues[-1]

# %% [markdown]
# So a tiny push is enough. A step near zero is $V \leftarrow V - \alpha MU$, $U \leftarrow U -
# \alpha M^\top V$. If a column of $V$ is the first left singular vector of $M$, and that of $U$
# minus the right one, the step multiplies both by $1+\alpha\sigma_1$ ($\sigma_1$ is the largest
# singular value of $M$); along the other pairs, growth is slower. A push 100 times smaller waits
# $\log 100 / \log(1+\alpha\sigma_1)$ steps longer, and then goes the same way. That way is the
# first pair of singular vectors of a table of counts: the SVD of lecture 01 returns.
#
# **Predict before you run.** Starts with random numbers of size $10^{-2}$, $10^{-4}$, $10^{-6}$
# and 0: which of the four losses falls, and how do the curves differ?
#
# <details><summary>Answer</summary>
#
# All but the last. The three that fall have the same shape, shifted by the same wait each time.
#
# </details>


# %%
def descend(V, U, steps=500, alpha=1.0):
    losses = []
    for _ in range(steps):
        J, grad_V, grad_U = skipgram_counts(V, U, X)
        losses.append(J)
        V, U = V - alpha * grad_V, U - alpha * grad_U
    return np.array(losses), V, U


push = np.random.default_rng(0).normal(size=(2, 100, 8))
curves = {size: descend(*(size * push))[0] for size in (1e-2, 1e-4, 1e-6, 0.0)}

# %%
M = (X.sum(axis=1, keepdims=True) / 100 - X) / X.sum()
left, (sigma_1, sigma_2, *_), right = np.linalg.svd(M)
wait = np.log(100) / np.log(1 + sigma_1)
escape = [int(np.argmax(curves[size] < np.log(100) - 0.1)) for size in (1e-2, 1e-4, 1e-6)]
print(f"predicted wait {wait:.0f} steps; measured {np.diff(escape)}")
print(f"σ₁ / σ₂ = {sigma_1 / sigma_2:.0f}")
assert sigma_1 > 4 * sigma_2
np.testing.assert_allclose(np.diff(escape), wait, rtol=0.05)
np.testing.assert_allclose(curves[0.0], np.log(100))

_, V, U = descend(*(1e-6 * push), steps=200)  # on its way out
assert abs(np.linalg.svd(V)[0][:, 0] @ left[:, 0]) > 0.9999
assert abs(np.linalg.svd(U)[0][:, 0] @ right[0]) > 0.9999

# %% [markdown]
# The curves end on a second plateau. Its height is no accident: it is the loss of a model that
# ignores the center and knows only how frequent each word is.

# %%
frequency = X.sum(axis=0) / X.sum()
only_frequency = -(frequency * np.log(frequency)).sum()
assert all(abs(curves[size][-1] - only_frequency) < 0.05 for size in (1e-2, 1e-4, 1e-6))

fig, ax = plt.subplots()
styles = [("10⁻²", blue, "-"), ("10⁻⁴", green, "--"), ("push 10⁻⁶", red, "-.")]
styles.append(("push 0", "black", ":"))
for (size, losses), (label, color, line) in zip(curves.items(), styles, strict=True):
    ax.plot(losses, line, color=color)
    x = int(np.argmax(losses < 4.2)) if size else 440
    ax.annotate(label, (x, losses[x]), (6, 6), textcoords="offset points", color=color)
ax.axhline(only_frequency, color="gray", linewidth=1)
ax.annotate(
    "only the words' frequencies", (150, only_frequency), (0, -16), textcoords="offset points"
)
ax.set(xlabel="step of gradient descent (α = 1)", ylabel="loss per pair (nats)", ylim=(3.4, 4.8))
ax.set_title("From zero, nothing moves; a tiny push is enough")
figures.show(
    fig,
    f"""Loss against step for four starts. From exactly zero it stays at log 100 = 4.61 for all 500
    steps. With random pushes of 0.01, 0.0001 and 0.000001 it leaves that height after {escape[0]},
    {escape[1]} and {escape[2]} steps and settles near {only_frequency:.2f}, the loss of a model
    that knows only the words' frequencies.""",
)

# %% [markdown]
# **Random, or only non-zero?** Give every number the same value and the gradient is not zero, but
# all $d$ columns of $V$ and $U$ receive the same gradient forever: eight dimensions do the work of
# one. Randomness breaks the tie.

# %%
_, V, U = descend(np.full((100, 8), 0.1), np.full((100, 8), 0.1), steps=100)
print("from equal numbers, rank of V:", np.linalg.matrix_rank(V, tol=1e-8))
assert np.linalg.matrix_rank(V, tol=1e-8) == 1
assert not np.allclose(V, 0.1)  # it did move

# %% [markdown]
# **Didn't word2vec start at zero?** The program of 2013 sets $U=0$ and draws $V$ at random. That is
# not the saddle: $\partial J/\partial U = (\hat y-y)v_c^\top$ is non-zero at once. Only
# $\partial J/\partial V = U^\top(\hat y-y)$ waits, for one step. One zero is harmless, two are not.

# %%
random_V = 0.1 * push[0]
_, grad_V, grad_U = skipgram_counts(random_V, zero, X)
assert not grad_V.any()
assert grad_U.any()

_, grad_V, _ = skipgram_counts(random_V, zero - grad_U, X)
assert grad_V.any()  # after one step, V moves too

# %% [markdown]
# ## 9. Adam beside SGD
#
# SGD has one learning rate for all numbers in $\theta$. Here that hurts. The second plateau above
# suggests why: along the direction of word frequency the loss is steep ($\sigma_1$), and along the
# next, where the center begins to matter, about five times flatter ($\sigma_2$). A rate that suits
# the second may be too large for the first. (We show below that SGD diverges at a large $\alpha$,
# not along which direction.)
#
# Adam (Kingma and Ba 2015) divides each number's step by the size that its gradients had lately.
# The paper's letters $m$ and $v$ are taken here, so we write $a$ and $b$; $g_t$ is the
# gradient at step $t$, and all operations go number by number:
#
# $$a_t = \beta_1 a_{t-1} + (1-\beta_1) g_t, \qquad b_t = \beta_2 b_{t-1} + (1-\beta_2) g_t^2,$$
# $$\hat a_t = \frac{a_t}{1-\beta_1^t},\qquad \hat b_t = \frac{b_t}{1-\beta_2^t},\qquad
#   \theta_t = \theta_{t-1} - \alpha\,\frac{\hat a_t}{\sqrt{\hat b_t}+\varepsilon}.$$
#
# $a$ and $b$ start at 0 and are too small at first; the hats repair that exactly: the weights
# $(1-\beta)\beta^{t-i}$ of the past gradients sum to $1-\beta^t$.


# %%
class Adam:
    """Algorithm 1 of Kingma and Ba (2015); changes the arrays in `theta` in place."""

    def __init__(self, theta, alpha, beta=(0.9, 0.999), epsilon=1e-8):
        self.theta, self.alpha, self.beta, self.epsilon = theta, alpha, beta, epsilon
        self.a = [np.zeros_like(x) for x in theta]
        self.b = [np.zeros_like(x) for x in theta]
        self.t = 0

    def step(self, gradients):
        self.t += 1
        (beta_1, beta_2), t = self.beta, self.t
        for x, g, a, b in zip(self.theta, gradients, self.a, self.b, strict=True):
            a += (1 - beta_1) * (g - a)
            b += (1 - beta_2) * (g * g - b)
            a_hat, b_hat = a / (1 - beta_1**t), b / (1 - beta_2**t)
            x -= self.alpha * a_hat / (np.sqrt(b_hat) + self.epsilon)


# %% [markdown]
# Judge: `torch.optim.Adam`, given the same CBOW gradients, compared after each of thirty steps.

# %%
ours = start(d=4, dtype=np.float64)
theirs = [torch.tensor(x, requires_grad=True) for x in ours]
adam, oracle = Adam(ours, alpha=0.01), torch.optim.Adam(theirs, lr=0.01)
first_move = -ours[1].copy()
for t in range(30):
    _, *gradients = cbow_batch(*ours, shuffled[32 * t : 32 * (t + 1)])
    for x, g in zip(theirs, gradients, strict=True):
        x.grad = torch.tensor(g)
    adam.step(gradients)
    oracle.step()
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y.detach().numpy(), rtol=1e-9, atol=1e-12)
    if t == 0:
        first_move += ours[1]
        first_gradient = gradients[1]
print("thirty steps, each equal to torch.optim.Adam")

# %% [markdown]
# **Predict before you run.** By how much does Adam's *first* step move a number whose gradient is
# 0.003? And one whose gradient is −0.00003?
#
# <details><summary>Answer</summary>
#
# By $-\alpha$ and $+\alpha$: at $t=1$, $\hat a_1=g$ and $\hat b_1=g^2$, so the step is
# $\alpha\,g/|g|$. Size drops out, only the sign is left (until $|g|$ is as small as
# $\varepsilon$).
#
# </details>

# %%
large = np.abs(first_gradient) > 1e-5
np.testing.assert_allclose(first_move[large], -0.01 * np.sign(first_gradient[large]), rtol=2e-3)

# %% [markdown]
# Now both on the same loss: skip-gram, the same start, the same 60 batches of 512 windows. Each may
# choose among three learning rates. We compute in float64 and stop early for a reason: at the
# largest $\alpha$ that SGD bears, a rounding error grows by about 40 % with every step. After 60 it
# is still below the digits printed here; in float32, or after 100, your digits would not be ours.


# %%
def train_60(optimizer, alpha):
    V, U = start(d, dtype=np.float64)
    adam, losses = Adam([V, U], alpha), []
    for batch in np.split(shuffled[: 60 * 512], 60):
        J, *gradients = skipgram_batch(V, U, batch)
        losses.append(J)
        if optimizer == "Adam":
            adam.step(gradients)
        else:
            V -= alpha * gradients[0]
            U -= alpha * gradients[1]
        if J > 10:
            break  # it diverges
    return losses, V, U


# %%
grid = {"SGD": (10, 20, 40), "Adam": (0.01, 0.02, 0.04)}
runs = {(name, alpha): train_60(name, alpha) for name in grid for alpha in grid[name]}


def final(key):
    return np.mean(runs[key][0][-10:])


best = {name: min(((name, alpha) for alpha in grid[name]), key=final) for name in grid}
assert best == {"SGD": ("SGD", 20), "Adam": ("Adam", 0.02)}
for (name, alpha), (losses, *_) in runs.items():
    print(
        f"{name:4} α = {alpha:<5}: "
        + ("diverges" if losses[-1] > 10 else f"{final((name, alpha)):.2f}")
    )

# %% [markdown]
# Is the difference larger than chance? Take 2,000 windows that neither run has seen, compute both
# losses on each, and draw these windows again and again with replacement: the **paired bootstrap**.
# If the interval of the mean difference leaves out 0, other windows would hardly reverse the
# order. (It says nothing about other seeds or texts.)


# %%
def loss_per_window(V, U, batch):
    z = V[center[batch]] @ U.T
    log_S = np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) + z.max(axis=1)
    seen = context[batch] >= 0
    observed = np.take_along_axis(z, np.where(seen, context[batch], 0), axis=1)
    return log_S - (observed * seen).sum(axis=1) / seen.sum(axis=1)


unseen = shuffled[-2_000:]
assert not set(unseen) & set(shuffled[: 60 * 512])
on_unseen = {name: loss_per_window(*runs[best[name]][1:], unseen) for name in grid}
gain = on_unseen["SGD"] - on_unseen["Adam"]
low, high = bootstrap_interval(np.mean, gain)
print(f"SGD − Adam on unseen windows: {gain.mean():.2f} nats per pair, [{low:.2f}, {high:.2f}]")
assert low > 0.3

# %%
fig, ax = plt.subplots()
for (name, alpha), (losses, *_) in runs.items():
    color, line = (blue, "--") if name == "SGD" else (red, "-")
    is_best = (name, alpha) == best[name]
    ax.plot(losses, line, color=color, linewidth=2.2 if is_best else 0.8)
    if is_best:
        ax.annotate(f"{name}\nα = {alpha}", (60.5, final((name, alpha)) - 0.14), color=color)
    if losses[-1] > 10:
        ax.annotate(f"SGD, α = {alpha}, diverges", (len(losses) + 1, 8.8), color=color)
ax.axhline(np.log(len(words)), color="gray", linewidth=1)
ax.annotate("log |V| = 8.56", (46, np.log(len(words)) + 0.06))
ax.set(xlabel="step (512 windows each); thin: the other α", ylabel="loss per pair (nats)")
ax.set(xlim=(-2, 71), ylim=(6.4, 9.2), title="In 60 steps, Adam gets where SGD does not")
figures.show(
    fig,
    f"""Skip-gram loss against step, 60 steps from log |V| = 8.56. SGD's best rate (α =
    {best["SGD"][1]}) ends at {final(best["SGD"]):.1f}; α = 40 diverges. Adam's best (α =
    {best["Adam"][1]}) ends at {final(best["Adam"]):.1f}. On 2,000 unseen windows Adam's loss is
    lower by {gain.mean():.2f} nats, 95 % interval {low:.2f} to {high:.2f}.""",
)

# %% [markdown]
# SGD cannot take a larger $\alpha$ without diverging, and at a smaller one it is slower. More steps
# would bring it down too; Adam is no better model, it is there earlier. From here on we use it.

# %% [markdown]
# ## 10. Training both models
#
# Batches of windows in random order, Adam, a learning rate that falls linearly to zero. Skip-gram
# reads the text three times with large batches, since windows that share a center share a softmax;
# CBOW reads it once.
#
# From here on, a **ritual** opens every training run of this course. It has three questions. *Do
# the gradients pass both judges?* (Sections 3 to 6.) *Is the first loss near $\log|V|$?* (Printed
# first, asserted after both runs.) *Can it learn one batch by heart?* A loss that falls on the
# whole text does not prove much: knowing the words' frequencies is enough for that. But 64 windows
# with different contexts, read again and again, can be known exactly, since the model has far more
# numbers than they have answers. Then the loss goes to 0, or there is a bug.


# %%
def train(model, batch_size, epochs, alpha, d=50):
    random = np.random.default_rng(1)
    V, U = start(d)
    adam, losses, steps = Adam([V, U], alpha), [], T // batch_size * epochs
    for _ in range(epochs):
        order = random.permutation(T)
        for batch in np.split(order[: T // batch_size * batch_size], T // batch_size):
            adam.alpha = alpha * (1 - len(losses) / steps)
            J, *gradients = model(V, U, batch)
            adam.step(gradients)
            losses.append(J)
    return V, U, losses


# %%
V, U = start(50)
adam, one_batch = Adam([V, U], alpha=0.05), np.arange(64)
for _ in range(100):
    J, *gradients = cbow_batch(V, U, one_batch)
    adam.step(gradients)
print("CBOW, one batch of 64 windows, 100 steps: loss under 0.05")
assert J < 0.05

# %%
V_sg, U_sg, losses_sg = train(skipgram_batch, batch_size=8_192, epochs=3, alpha=0.1)
print(f"skip-gram: from {losses_sg[0]:.2f} to {np.mean(losses_sg[-10:]):.2f} nats per pair")

# %%
V_cb, U_cb, losses_cb = train(cbow_batch, batch_size=512, epochs=1, alpha=0.05)
print(f"CBOW: from {losses_cb[0]:.2f} to {np.mean(losses_cb[-10:]):.2f} nats per window")

# %%
frequency = np.bincount(center) / T
only_frequency = -(frequency * np.log(frequency)).sum()
assert only_frequency < np.log(len(words)) - 1
for losses in (losses_sg, losses_cb):
    assert abs(losses[0] - np.log(len(words))) < 0.01
    assert np.mean(losses[-10:]) < only_frequency - 0.2
print(f"log |V| = {np.log(len(words)):.2f}; knowing only the frequencies: {only_frequency:.2f}")

# %%
fig, ax = plt.subplots()
ax.plot(np.linspace(0, 3, len(losses_sg)), losses_sg, "-", color=red)
ax.plot(np.linspace(0, 1, len(losses_cb)), losses_cb, "-", color=blue, linewidth=0.7)
ax.annotate("skip-gram, per pair", (2.3, 6.13), color=red)
ax.annotate("CBOW, per window", (1.04, 5.85), color=blue)
levels = {"log |V|": np.log(len(words)), "only the words' frequencies": only_frequency}
for label, height in levels.items():
    ax.axhline(height, color="gray", linewidth=1)
    ax.annotate(f"{label}: {height:.2f}", (3, height + 0.05), ha="right")
ax.set(xlabel="passes over the text", ylabel="loss (nats)", ylim=(5.4, 8.9))
ax.set_title("Frequency is learned first; what is below it is context")
figures.show(
    fig,
    f"""Loss against passes over the text. Both models start at log |V| = 8.56 and fall quickly to
    {only_frequency:.2f}, what word frequency alone can give, then slowly below it: skip-gram to
    {np.mean(losses_sg[-10:]):.2f} nats per pair in three passes, CBOW to
    {np.mean(losses_cb[-10:]):.2f} nats per window in one.""",
)

# %% [markdown]
# Both curves fall below the lower gray line: the words around a place do say something about it.
# The small steps down after one and two passes are not insight: from there on skip-gram is asked
# about windows that it has trained on. Up to one pass, every window is new.
#
# **The curves do not say that CBOW is better.** Skip-gram predicts one neighbor from one word, CBOW
# one word from up to ten, an easier task. Losses of different tasks are not comparable; in section
# 12 both are asked the same questions.
#
# ## 11. Reading the neighbors
#
# A word's neighbors are the vectors at the smallest angle, by cosine. Training adds up rounding
# errors in an order that depends on the processor, so your cosines may differ from ours by up to
# about $10^{-4}$. A ranking with a closer call could come out otherwise on your machine; the
# assertion keeps us from printing one.


# %%
def unit(E):
    return E / np.linalg.norm(E, axis=1, keepdims=True)


assert np.allclose(np.linalg.norm(unit(V_sg), axis=1), 1, atol=1e-5)


def neighbors(E, word, k=5):
    cosine = unit(E) @ unit(E)[index[word]]
    cosine[index[word]] = -1  # not the word itself
    order = np.argsort(-cosine)[: k + 1]
    assert index[word] not in order
    assert (-np.diff(cosine[order])).min() > 1e-4, (
        "a close call: another machine may rank otherwise"
    )
    return [words[i] for i in order[:k]]


# %%
for word in ["france", "physics", "river", "music", "oil", "language", "war", "father"]:
    print(f"{word:8} skip-gram: {', '.join(neighbors(V_sg, word))}")
    print(f"{'':8} CBOW:      {', '.join(neighbors(V_cb, word))}")

# %% [markdown]
# A map shows more words and fewer dimensions: 20 words on four topics, their 50 numbers reduced to
# the two that vary most (principal components, an SVD as in lecture 01). We chose the words, so the
# map illustrates; the next section measures.

# %%
topics = {
    "places": "france spain italy germany europe",
    "sciences": "physics mathematics biology science sociology",
    "family": "mother son daughter wife sister",
    "spaceflight": "moon spacecraft apollo crew rocket",
}
shown = [(word, topic) for topic, line in topics.items() for word in line.split()]
E = unit(V_sg)[[index[word] for word, _ in shown]]
cosine = E @ E.T - 2 * np.eye(len(E))
own = sum(shown[i][1] == shown[j][1] for i, j in enumerate(cosine.argmax(axis=1)))
print(f"nearest of the other {len(E) - 1} is of the same topic: {own} of {len(E)}")
assert own >= 18

# %%
A, s, _ = np.linalg.svd(E - E.mean(axis=0), full_matrices=False)
x, y = (A * s)[:, :2].T
fig, ax = plt.subplots(figsize=(7, 4.6))
for topic, color, mark in zip(topics, (blue, red, green, "black"), "osD^", strict=True):
    rows = [i for i, (_, t) in enumerate(shown) if t == topic]
    ax.scatter(x[rows], y[rows], color=color, marker=mark, s=24)
    for i in rows:
        ax.annotate(shown[i][0], (x[i], y[i]), (5, -4), textcoords="offset points", color=color)
ax.margins(x=0.16)
ax.set(xlabel="first principal component", ylabel="second principal component")
ax.set_title("Words on one topic stand together")
figures.show(
    fig,
    f"""Map of 20 words on four topics (places, sciences, family, spaceflight), skip-gram vectors
    projected on two principal components. Each topic has its own region; for {own} of 20
    words the nearest of the others is of the same topic.""",
)

# %% [markdown]
# ## 12. Do people agree?
#
# For WordSim-353, Finkelstein et al. (2002) asked people how *related* two words are; for
# SimLex-999, Hill et al. (2015) asked how *similar* (coffee and cup are related, not similar). We
# rank the pairs in our vocabulary by cosine and compare with the ranking by people: **Spearman's
# correlation**, which is the ordinary correlation of the ranks. Judge: SciPy's.


# %%
def spearman(a, b):
    return np.corrcoef(rankdata(a), rankdata(b))[0, 1]


vectors = {
    "skip-gram V": V_sg,
    "skip-gram U": U_sg,
    "skip-gram mean": (V_sg + U_sg) / 2,
    "CBOW V": V_cb,
    "CBOW U": U_cb,
    "CBOW mean": (V_cb + U_cb) / 2,
}


# %%
def ask(rated):
    """The people's ratings of the pairs in the vocabulary, and each model's cosines."""
    known = [(index[a], index[b], x) for a, b, x in rated if a in index and b in index]
    first, second, people = map(np.array, zip(*known, strict=True))
    units = {name: unit(E) for name, E in vectors.items()}
    return people, {name: (E[first] * E[second]).sum(axis=1) for name, E in units.items()}


people, model = ask(corpora.wordsim353())
print(f"{len(people)} of WordSim's 353 pairs are in the vocabulary")
for cosine in model.values():
    assert np.isclose(spearman(cosine, people), spearmanr(cosine, people).statistic)

# %% [markdown]
# 179 pairs are a small sample: with others the number would be another. The bootstrap says how far:
# draw 179 pairs with replacement, 2,000 times, and keep the middle 95 % of the correlations.

# %%
score = {name: spearman(cosine, people) for name, cosine in model.items()}
interval = {name: bootstrap_interval(spearman, cosine, people) for name, cosine in model.items()}
for name, (low, high) in interval.items():
    print(f"{name:15} {score[name]:.2f}  [{low:.2f}, {high:.2f}]")
    assert low > 0.1  # more than chance

# %%
fig, ax = plt.subplots(figsize=(7, 3.2))
for k, (name, (low, high)) in enumerate(interval.items()):
    color, mark = (red, "o") if name.startswith("skip") else (blue, "s")
    ax.plot([low, high], [-k, -k], "-", color=color, linewidth=2)
    ax.plot(score[name], -k, mark, color=color, markersize=8)
ax.set_yticks(-np.arange(len(interval)), list(interval))
ax.axvline(0, color="gray", linewidth=1)
ax.set(xlabel="Spearman correlation with people, 95 % interval", xlim=(-0.05, 0.7))
ax.set_title("All six agree with people, within wide intervals")
figures.show(
    fig,
    "Spearman correlation with WordSim-353 and its 95 % interval. "
    + "; ".join(f"{n}: {score[n]:.2f}, {a:.2f} to {b:.2f}" for n, (a, b) in interval.items())
    + ". All intervals lie above 0 and they overlap.",
)

# %% [markdown]
# ## 13. Which vectors do we keep?
#
# Training leaves two vectors per word, $v^*$ and $u^*$ (the star: after the last step). The notes
# keep $v^*$, as the word2vec program does; GloVe
# keeps $u+v$; $(u+v)/2$ has the same angles. Is one better? Overlapping intervals do **not**
# answer: some pairs are hard for all six. The paired difference does: the same resampled pairs for
# both.


# %%
def difference(a, b, people):
    return spearman(a, people) - spearman(b, people)


def compare(name_a, name_b, rated):
    people, model = ask(rated)
    a, b = model[name_a], model[name_b]
    return difference(a, b, people), *bootstrap_interval(difference, a, b, people)


# %%
tests = {"WordSim": corpora.wordsim353(), "SimLex": corpora.simlex999()}
pairs = [
    ("skip-gram mean", "skip-gram V"),
    ("skip-gram U", "skip-gram V"),
    ("CBOW mean", "CBOW V"),
    ("CBOW U", "CBOW V"),
    ("skip-gram V", "CBOW V"),
]
compared = {(*pair, test): compare(*pair, tests[test]) for pair in pairs for test in tests}
for (a, b, test), (mean, low, high) in compared.items():
    print(f"{a} − {b}, {test}: {mean:+.2f} [{low:+.2f}, {high:+.2f}]")

# %%
decided = [key for key, (_, low, high) in compared.items() if not low < 0 < high]
print("intervals without 0:", decided)
assert decided == [("skip-gram V", "CBOW V", "SimLex")]
assert compared[decided[0]][0] > 0

# %% [markdown]
# **V, U or their mean: no difference that we can detect.** All eight intervals contain 0, one of
# them (skip-gram's mean on WordSim) barely. That is no evidence of equality: a mean may well gain
# 0.05 or 0.1, and more pairs or more training runs might show it. So why keep $v$? Half the memory,
# one vector per word, and nothing measured against it here. If you have room for both, the mean is
# a fair choice.
#
# **Skip-gram or CBOW?** On SimLex, skip-gram's V leads by an interval without 0; on WordSim the
# interval contains it. Where nothing differs, one 95 % interval in twenty leaves out 0 all the
# same, and we looked at ten. Also, skip-gram read the text three times, CBOW once. These numbers do
# not carry "skip-gram beats CBOW".
#
# ## 14. Analogies, and what they do not show
#
# *man* is to *king* as *woman* is to what? In letters: $p$ is to $q$ as $r$ is to what? The famous
# answer adds and subtracts: look for the word nearest to $v_q - v_p + v_r$ (Mikolov et al. 2013c).
# One detail is easy to miss: **the three words of the question are excluded from the answers.**
# What if they are not? And how much comes from the subtraction? The control never reads $p$ and
# $q$: it answers with the nearest neighbor of $r$ (Linzen 2016).
#
# **Predict before you run.** Without the exclusion, which word is returned most often?
#
# <details><summary>Answer</summary>
#
# $r$, the word that you started from: the offset $v_q - v_p$ is too short to reach another word.
#
# </details>

# %%
groups = corpora.analogies().values()
questions = [words_of for group in groups for words_of in group if set(words_of) <= set(index)]
p, q, r, answer = np.array([[index[word] for word in words_of] for words_of in questions]).T
print(f"{len(questions):,} of 19,544 questions are in the vocabulary")


def nearest(E, target, excluded=()):
    cosine = target @ E.T
    for word in excluded:
        cosine[np.arange(len(cosine)), word] = -np.inf
    return cosine.argmax(axis=1)


# %%
def analogies(E):
    E = unit(E)
    offset = E[q] - E[p] + E[r]
    return {
        "q − p + r, all words allowed": nearest(E, offset),
        "q − p + r, p, q, r excluded": nearest(E, offset, (p, q, r)),
        "r alone, p, q, r excluded": nearest(E, E[r], (p, q, r)),
    }


replies = {name: analogies(vectors[name]) for name in ("skip-gram V", "skip-gram mean")}
for name in replies:
    for rule, reply in replies[name].items():
        print(f"{name:14} {rule:28} {(reply == answer).mean():4.0%} right")

# %%
for name in replies:
    raw = replies[name]["q − p + r, all words allowed"]
    print(f"{name}: of all replies {(raw == r).mean():.0%} are r, {(raw == q).mean():.0%} are q")
    assert ((raw == q) | (raw == r)).mean() > 0.8


# %%
def gain(one, other):
    """Share of right replies of `one` minus that of `other`, with its paired interval."""
    difference = (one == answer).astype(float) - (other == answer)
    return difference.mean(), *bootstrap_interval(np.mean, difference)


gains = {}
for name in replies:
    free, excluded, alone = replies[name].values()
    gains[name] = gain(excluded, free), gain(excluded, alone)
    for what, (mean, low, high) in zip(("exclusion", "offset"), gains[name], strict=True):
        print(f"{name:14} the {what:9} adds {mean:+.0%} [{low:+.0%}, {high:+.0%}]")

# %%
assert all(exclusion[1] > 0.04 for exclusion, _ in gains.values())  # the exclusion: a large gain
assert gains["skip-gram V"][1][2] < 0.01  # with V, the offset gains nothing to speak of
assert gains["skip-gram mean"][1][1] > 0  # with the mean, it gains something

# %% [markdown]
# What this shows. Without the exclusion, the arithmetic returns a word of the question about nine
# times out of ten. With it, a few questions in a hundred come out right. But with the vectors $v$,
# a control that never reads $p$ and $q$ does no worse: there the exclusion did **all** the work.
# With the mean of $u$ and $v$ the offset adds about three questions in a hundred. (The questions
# share words, so the true intervals are wider than these.)
#
# What it does not show: that relations *are* directions. On billions of words the scores are far
# higher and the offset does contribute, yet exclusion and plain nearness still do part of the
# work (Linzen 2016; Rogers et al. 2017). Quote an analogy score with its control, or not at all.
#
# ## 15. What we showed
#
# | claim | its check |
# |---|---|
# | $\partial J/\partial z = \hat y - y$ | section 3, links 1 to 3, both judges |
# | $\partial J/\partial v_c = U^\top(\hat y-y)$ is expected minus observed | section 3, link 4 |
# | $\partial J/\partial U$: rows $o$ and $w\ne o$; loop equals outer product | section 3, link 5 |
# | one pair moves every row of $U$ | section 3, counted |
# | a window's pairs share one softmax | section 4, equal to the loop over pairs |
# | CBOW sends $\frac1n\,\partial J/\partial\hat v$ to each place | section 5; repeats, an edge |
# | `grad[rows] += g` loses repeats | section 5, half of it |
# | the batch functions equal the derivation | section 6, summed window by window |
# | 64 small steps beat one full step at equal work | section 7, against the best of 12 rates |
# | skip-gram's full gradient needs counts only | section 7, equal to the sum over windows |
# | at $U=V=0$ the gradient is exactly 0, for SGD too | section 8, 400 steps |
# | it is a saddle: eigenvalues $\pm$ singular values of $M$ | section 8, PyTorch's Hessian |
# | a push 100 times smaller waits $\log 100/\log(1+\alpha\sigma_1)$ steps | section 8, within 5 % |
# | equal numbers stay rank 1; word2vec's own start moves | section 8 |
# | our Adam is `torch.optim.Adam` | section 9, thirty steps |
# | after 60 steps Adam's loss is lower than SGD's | section 9, paired interval, unseen windows |
# | training starts at $\log\lvert V\rvert$ and ends below frequency | section 10 |
# | our trainer can learn one batch by heart | section 10, 64 windows |
# | cosines agree with people | section 12, intervals above 0 |
# | $v$, $u$ or mean: no difference we can detect | section 13, paired intervals |
# | in analogies the exclusion does most or all of the work | section 14, control and intervals |
#
# Not shown: anything about other seeds or larger texts; and whether one pair must cost work for all
# $\lvert V\rvert$ words. It need not: that is lecture 03.
#
# ## Exercises
#
# In assignment **ps1_word2vec**: *naive-softmax loss and gradients* (section 3), *windows for
# skip-gram and CBOW* (sections 4 and 5), *SGD step* (section 7), *negative-sampling loss and
# gradients* (the same chain with a sigmoid; lecture 03), *neighbors on real text* (sections 10 and
# 11, with a trainer that is given).
#
# ## Sources
#
# - T. Mikolov, K. Chen, G. Corrado, J. Dean, *Efficient Estimation of Word Representations in
#   Vector Space* (2013a), sections 3.1 (CBOW), 3.2 (skip-gram) and 4 (analogies; the words of
#   the question are discarded in the search).
# - T. Mikolov, I. Sutskever, K. Chen, G. Corrado, J. Dean, *Distributed Representations of Words
#   and Phrases and their Compositionality* (2013b), section 2, equations 1 and 2.
# - T. Mikolov, W. Yih, G. Zweig, *Linguistic Regularities in Continuous Space Word Representations*
#   (2013c): the offset method.
# - The program word2vec.c (2013), function `InitNet`: `syn1neg` ($U$) zero, `syn0` ($V$) random.
# - X. Rong, *word2vec Parameter Learning Explained* (2014), sections 1 (CBOW) and 2 (skip-gram).
# - D. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization* (2015), Algorithm 1; section 3
#   on the correction of the start.
# - J. Pennington, R. Socher, C. Manning, *GloVe* (2014), section 4.2: the sum of both vectors.
# - L. Finkelstein et al., *Placing Search in Context: The Concept Revisited* (2002): WordSim-353.
# - F. Hill, R. Reichart, A. Korhonen, *SimLex-999: Evaluating Semantic Models with (Genuine)
#   Similarity Estimation* (2015).
# - B. Efron, *Bootstrap Methods: Another Look at the Jackknife* (1979).
# - T. Linzen, *Issues in Evaluating Semantic Spaces Using Word Analogies* (2016).
# - A. Rogers, A. Drozd, B. Li, *The (Too Many) Problems of Analogical Reasoning with Word Vectors*
#   (2017).
