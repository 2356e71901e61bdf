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
# # 12 Attention: every word may look at every other
#
# A recurrent network reads one word after the other. Word $n$ waits until $n-1$ others are read,
# and what the first word says has to pass through all of them; lecture 07 measured what gets lost
# on the way. **Must it? Can every word look at every other one directly, all at once? And what does
# a network lack that has only that?**
#
# **After this lecture you can**
#
# - count the steps between two words in a graph of computation, for an RNN, for windows and for
#   attention;
# - say what query, key and value are, write self-attention and its gradient, and prove both;
# - say how it differs from a layer with fixed weights;
# - name three things it cannot do alone (order, non-linearity, not reading the future), show each
#   failure, and cure it;
# - tell which way round a mask is, by a test of behavior.
#
# **You need** lectures 06 and 07 (RNN, product of Jacobians) and, for language models, 05.
# **Time**: 75 minutes to read; all cells together run in under a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $n$, $d$ | numbers | positions in the text; length of every vector |
# | $x_i$, $X$ | $d$, $n\times d$ | input vector of position $i$; all of them, one a row |
# | $Q$, $K$, $V$ | $d\times d$ | weights of queries, keys, values |
# | $q_i$, $k_i$, $v_i$ | $d$ | query $Qx_i$, key $Kx_i$, value $Vx_i$ |
# | $e_{ij}$, $\alpha_{ij}$ | numbers | score and weight: $i$ asks (query), $j$ is asked (key) |
# | $\text{output}_i$ | $d$ | $\sum_j\alpha_{ij}v_j$ |
# | $p_i$ | $d$ | vector of position $i$, added to $x_i$ |
# | $\omega_m$, $\lambda_m$ | numbers | frequency and period of the pair of columns $m$ |
# | $R_s$ | $d\times d$ | the map $p_i\mapsto p_{i+s}$ |
# | $w$, $L$ | numbers | width of a window; number of layers |
# | $g_i$, $J$ | $d$, number | $\partial J/\partial\text{output}_i$; a loss |
#
# Capital $Q,K,V$ are weights, small $q,k,v$ vectors of the text. In code, `q` holds all $q_i$ as
# rows: $q_i = Qx_i$ is row $i$ of $XQ^\top$.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import re
from collections import Counter
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from scipy.special import softmax
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lectures import corpora, figures
from lectures.gradient_check import judge
from lectures.intervals import bootstrap_interval

torch.set_num_threads(1)
blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. What is wrong with recurrence: counted
#
# Two numbers describe how a network reads $n$ words:
#
# - the **interaction distance**: how many products with weights (or with other vectors) lie on the
#   *shortest* path from the first word to a result that has also seen the last;
# - the **sequential steps**: how many lie on the *longest* path. However many processors there are,
#   they have to be taken one after the other.
#
# No need to argue about either: autograd keeps the graph of everything that was computed. Walk it
# back from a result to $x_1$, and count the matrix products (`Mm` in the name of the node).


# %%
def path_lengths(result, x_1):
    """Matrix products on the shortest and on the longest path from x_1 to result."""
    known = {}

    def walk(node):
        if node is None or hasattr(node, "variable"):  # a constant; a leaf
            return (0, 0) if node is not None and node.variable is x_1 else None
        if node not in known:
            found = [ends for child, _ in node.next_functions if (ends := walk(child))]
            one = "Mm" in node.name()
            known[node] = found and (min(a for a, _ in found) + one, max(b for _, b in found) + one)
        return known[node]

    return walk(result.grad_fn)


# %%
def rnn(x, W_e, W_h):
    h = torch.zeros_like(x[0])
    for x_t in x:
        h = torch.tanh(h @ W_h + x_t @ W_e)
    return h  # h_n


def windows(x, W, w=5):
    x = torch.cat(x)
    while len(x) > 1:  # each layer: every output reads w neighbors
        x = torch.tanh(x.unfold(0, w, 1).flatten(1) @ W)
    return x


def attention(x, Q, K, V):
    x = torch.cat(x)
    alpha = torch.softmax((x @ Q) @ (x @ K).T, dim=1)
    return alpha @ (x @ V)


# %% [markdown]
# The last of these three is what this lecture is about; sections 3 and 4 derive it. Each result has
# seen all $n$ words: $h_n$, the top of the windows, every row of attention.
#
# **Predict before you run.** From 9 words to 65: how do the three counts grow?
#
# <details><summary>Answer</summary>
#
# The RNN's distance is $n$, that of windows of width 5 is $(n-1)/4$, and attention's does not grow:
# 2 on the shortest path (make the value, take the average), 3 on the longest (make the key, compare
# it, take the average).
#
# </details>

# %%
generator = torch.Generator().manual_seed(0)
d, counts = 4, {}
for n in (5, 9, 17, 33, 65):
    x = [torch.randn(1, d, generator=generator, requires_grad=True) for _ in range(n)]
    W = torch.randn(7, d, d, generator=generator)
    results = rnn(x, W[0], W[1]), windows(x, W[2:7].flatten(0, 1)), attention(x, *W[:3])
    counts[n] = [path_lengths(result, x[0]) for result in results]
    print(f"n = {n:2}: (shortest, longest): RNN {counts[n][0]}, windows {counts[n][1]}, "
          f"attention {counts[n][2]}")  # fmt: skip
    assert counts[n] == [(n, n), ((n - 1) // 4, (n - 1) // 4), (2, 3)]

# %% [markdown]
# Two troubles of the RNN, both in the first column. **Distance**: a word's influence passes through
# $n$ products, and lecture 07 showed what that does. **Waiting**: the $n$ steps cannot be done side
# by side, neither forward nor backward. (A sum of $n$ terms is one step in this count. Adders
# arranged as a tree need $\log_2 n$; that is far from $n$.)
#
# ## 2. The first cure: word windows
#
# Let every position read a window of $w$ words around it. All positions can do so at once. But how
# far does it see? The first layer sees $w$ words. In the next one the outermost of $w$ neighbors
# bring $\frac{w-1}2$ more words on each side, so that each further layer adds $w-1$:
#
# $$\text{receptive field} = 1 + L(w-1),\qquad w=5:\ 5,\ 9,\ 13,\dots$$
#
# Measured by autograd: let one output in the middle be $J$, and see **which inputs get a
# gradient**.


# %%
def layers_of_windows(n, w, L):
    """The L + 1 layers of a stack of windows, each (1, 1, n), from the input up."""
    layers = [torch.rand(1, 1, n, generator=generator, requires_grad=True)]
    for _ in range(L):
        weights = torch.rand(1, 1, w, generator=generator) + 0.1
        layers.append(torch.tanh(F.conv1d(layers[-1], weights, padding=w // 2) / w))
    return layers


def reached(w, L, n=41):
    """For each layer, which of its n numbers the middle of the top depends on: (L + 1, n)."""
    layers = layers_of_windows(n, w, L)
    gradients = torch.autograd.grad(layers[-1][0, 0, n // 2], layers)
    return np.array([gradient[0, 0].numpy() != 0 for gradient in gradients])


for w in (3, 5, 7):
    fields = [int(reached(w, L)[0].sum()) for L in (1, 2, 3, 4)]
    print(f"w = {w}: one to four layers see {fields} words")
    assert fields == [1 + L * (w - 1) for L in (1, 2, 3, 4)]

# %%
verse = "In the beginning God created the heaven and the earth. And the earth".split()
depends = reached(w=5, L=3, n=13)
fig, ax = plt.subplots(figsize=(7, 3.6))
for layer, row in enumerate(depends):
    ax.scatter(np.flatnonzero(~row), [layer] * (~row).sum(), s=70, fc="white", ec="gray")
    ax.scatter(np.flatnonzero(row), [layer] * row.sum(), s=70, c=blue)
    ax.annotate(f"{row.sum()}", (13, layer), va="center", color=blue)
    for j in np.flatnonzero(row) if layer < 3 else []:
        for i in np.flatnonzero(depends[layer + 1]):
            if abs(i - j) <= 2:
                ax.plot([j, i], [layer, layer + 1], "-", color=blue, linewidth=0.5, zorder=0)
ax.annotate("how many", (12.55, 3.35), color=blue, annotation_clip=False)
ax.set_xticks(range(13), verse, rotation=40, ha="right")
ax.set_yticks(range(4), ["input", "layer 1", "layer 2", "layer 3"])
ax.set(xlim=(-0.6, 13.5), ylim=(-0.4, 3.6))
ax.grid(visible=False)
ax.set_title("Three layers of windows of five see thirteen words")
figures.show(
    fig,
    f"""Stack of three layers over 13 words of Genesis 1. The middle output of layer 3 depends on
    {depends[2].sum()} positions of layer 2, {depends[1].sum()} of layer 1 and {depends[0].sum()} of
    the input: each layer of width 5 adds 4.""",
)

# %% [markdown]
# So windows help with waiting, and only by a factor with distance. How many layers would join the
# two ends of a real text?

# %%
chapters = {side: corpora.king_james_chapters(side) for side in ("train", "valid", "test")}
texts = {
    "verse": [verse.text.split() for verse in corpora.king_james()],
    "chapter": [text.split() for side in chapters.values() for text in side],
}
for unit in texts:
    lengths = [len(text) for text in texts[unit]]
    for name, n in (("median", int(np.median(lengths))), ("longest", max(lengths))):
        print(f"{name:7} {unit:7}: {n:4} words, {int(np.ceil((n - 1) / 4)):3} layers of width 5")

# %% [markdown]
# ## 3. A dictionary that answers every question
#
# A Python `dict` holds pairs of **key** and **value**. A **query** that equals a key gets its
# value; any other query gets a `KeyError`. Make it soft, in three moves:
#
# 1. queries and keys become vectors, and "equals" becomes a score: $e_j = q\cdot k_j$;
# 2. softmax makes of the scores weights that sum to 1: $\alpha_j = e^{e_j}/\sum_l e^{e_l}$;
# 3. the answer is the weighted mean of *all* values: $\text{output} = \sum_j \alpha_j v_j$.
#
# By hand: three keys are the axes, the values 8, 4 and 0, and the query is $(\ln 2, 0, 0)$. The
# scores are $\ln 2, 0, 0$, their exponentials $2, 1, 1$, the weights
# $\frac12,\frac14,\frac14$, and the answer $\frac12\cdot8+\frac14\cdot4+\frac14\cdot0 = 5$.

# %%
prices = {"apple": 8.0, "pear": 4.0, "plum": 0.0}
keys, values = np.eye(3), np.array([*prices.values()])


def soft_lookup(q, keys, values):
    e = keys @ q
    alpha = np.exp(e) / np.exp(e).sum()
    return alpha @ values


print("asked with (ln 2, 0, 0):", round(soft_lookup([np.log(2), 0, 0], keys, values), 6))
assert np.isclose(soft_lookup([np.log(2), 0, 0], keys, values), 5)

# %% [markdown]
# Long query vectors make it hard again: softmax of 50 times a score is nearly 0 or 1, and the soft
# lookup gives what the `dict` gives. A query of zeros prefers nothing and gets the plain mean, and
# one halfway between two keys gets halfway between their values. And unlike a `dict`, **it has a
# slope**: how the answer changes with query, keys and values. So it can be trained.

# %%
for key, name in zip(keys, prices, strict=True):
    assert np.isclose(soft_lookup(50 * key, keys, values), prices[name])
assert np.isclose(soft_lookup([0, 0, 0], keys, values), np.mean(values))
assert np.isclose(soft_lookup([50, 50, 0], keys, values), (8 + 4) / 2)
print("hard queries: equal to the dict; no preference: the mean; halfway: halfway")

# %% [markdown]
# ## 4. Self-attention
#
# Now let every word of a text ask, and every word be asked: queries, keys and values all come from
# the same vectors, $x_1,\dots,x_n$. So that a word can look for something other than it offers, and
# hand over something else again, each role has its weights:
#
# $$q_i = Qx_i,\quad k_j = Kx_j,\quad v_j = Vx_j,$$
# $$e_{ij} = q_i^\top k_j,\qquad \alpha_{ij} = \frac{\exp e_{ij}}{\sum_l \exp e_{il}},\qquad
#   \text{output}_i = \sum_j \alpha_{ij}v_j .$$
#
# First with loops, letter by letter as it stands there.


# %%
def self_attention_loops(X, Q, K, V):
    output = np.zeros_like(X)
    for i in range(len(X)):
        e_i = [(Q @ X[i]) @ (K @ x_j) for x_j in X]
        total = sum(np.exp(e_ij) for e_ij in e_i)
        for e_ij, x_j in zip(e_i, X, strict=True):
            output[i] += np.exp(e_ij) / total * (V @ x_j)
    return output


# %% [markdown]
# Then without. $e_{ij}$ is the product of row $i$ of `q` and row $j$ of `k`, so all scores are one
# matrix product; the softmax runs over $j$, along each **row**; and all weighted means are a second
# product. Nothing waits for a neighbor.


# %%
def self_attention(X, Q, K, V):
    """output (n, d) and α (n, n)."""
    q, k, v = X @ Q.T, X @ K.T, X @ V.T  # (n, d)
    e = q @ k.T  # (n, n)
    alpha = softmax(e, axis=1)
    return alpha @ v, alpha


random = np.random.default_rng(0)
n, d = 6, 4
X = random.normal(size=(n, d))
Q, K, V = random.normal(0, 0.7, (3, d, d))
output, alpha = self_attention(X, Q, K, V)
np.testing.assert_allclose(output, self_attention_loops(X, Q, K, V), rtol=1e-12)

# %% [markdown]
# Judge: `torch.nn.functional.scaled_dot_product_attention`. Its name says the one difference: it
# divides the scores by $\sqrt d$, unless told otherwise. Lecture 13 measures why; until then, where
# we train, we take the division over as given.

# %%
q, k, v = (torch.tensor(X @ W.T) for W in (Q, K, V))
oracle = F.scaled_dot_product_attention(q, k, v, scale=1.0)
np.testing.assert_allclose(output, oracle, rtol=1e-12)
divided, _ = self_attention(X, Q / np.sqrt(d), K, V)
np.testing.assert_allclose(divided, F.scaled_dot_product_attention(q, k, v), rtol=1e-12)
print("equal to torch's: with scale 1, and with 1/√d where Q is divided by √d")

# %% [markdown]
# What breaks: the softmax along the other axis. Shapes agree, nothing complains, and the result is
# no mean of anything. The test is one line: each row of $\alpha$ sums to 1.

# %%
wrong = softmax((X @ Q.T) @ (X @ K.T).T, axis=0)
print("row sums, right:", alpha.sum(axis=1).round(6), " wrong axis:", wrong.sum(axis=1).round(1))
assert np.allclose(alpha.sum(axis=1), 1)
assert not np.allclose(wrong.sum(axis=1), 1, atol=0.1)

# %% [markdown]
# ## 5. Its gradient
#
# Let $g_i = \partial J/\partial\text{output}_i$ arrive from above, and walk back. The values:
# $\text{output}_i$ holds $v_j$ with weight $\alpha_{ij}$, and $\alpha_{ij}$ with factor $v_j$, so
#
# $$\frac{\partial J}{\partial v_j} = \sum_i\alpha_{ij}\,g_i,\qquad
#   \frac{\partial J}{\partial\alpha_{ij}} = g_i^\top v_j .$$
#
# Through the softmax of row $i$, whose derivative is
# $\partial\alpha_{il}/\partial e_{ij} = \alpha_{il}([l=j]-\alpha_{ij})$:
#
# $$\frac{\partial J}{\partial e_{ij}}
#   = \alpha_{ij}\Big(g_i^\top v_j - \sum_l\alpha_{il}\,g_i^\top v_l\Big)
#   = \alpha_{ij}\; g_i^\top\big(v_j - \text{output}_i\big).$$
#
# It reads well: a score rises if its value would be **better than the present mean**, in proportion
# to the weight that it already has. The rest is two linear maps:
# $\partial J/\partial q_i = \sum_j \frac{\partial J}{\partial e_{ij}}k_j$ and
# $\partial J/\partial k_j = \sum_i \frac{\partial J}{\partial e_{ij}}q_i$; then
# $\partial J/\partial Q = \sum_i\frac{\partial J}{\partial q_i}x_i^\top$, likewise $K$ and $V$. And
# $x_i$ has three uses, as query, key and value: their gradients add up.


# %%
def self_attention_gradient(X, Q, K, V, g):
    """Gradients of J with respect to X, Q, K, V, where g (n, d) is ∂J/∂output."""
    q, k, v = X @ Q.T, X @ K.T, X @ V.T
    output, alpha = self_attention(X, Q, K, V)
    grad_v = alpha.T @ g
    grad_e = alpha * (g @ v.T - (g * output).sum(axis=1, keepdims=True))
    grad_q, grad_k = grad_e @ k, grad_e.T @ q
    grad_X = grad_q @ Q + grad_k @ K + grad_v @ V
    return grad_X, grad_q.T @ X, grad_k.T @ X, grad_v.T @ X


# %%
target = random.normal(size=(n, d))
parts = {"X": X, "Q": Q, "K": K, "V": V}
grads = self_attention_gradient(X, Q, K, V, output - target)  # J = ½‖output − target‖²
for (name, part), ours in zip(parts.items(), grads, strict=True):

    def J(part, name=name):
        return ((self_attention(**parts | {name: part})[0] - target) ** 2).sum() / 2

    def J_torch(part, name=name):
        tensors = {key: torch.tensor(value) for key, value in parts.items()} | {name: part}
        q, k, v = (tensors["X"] @ tensors[W].T for W in "QKV")
        output = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return ((output - torch.tensor(target)) ** 2).sum() / 2

    judge(name, ours, J, J_torch, part)

# %% [markdown]
# Compare lecture 07. There the gradient of a word $k$ steps back was a product of $k$ Jacobians.
# Here $\partial J/\partial v_j$ is *one* factor $\alpha_{ij}$, whatever $|i-j|$ is. It can be
# small, too: if the network chooses to look elsewhere.
#
# ## 6. Weights that are computed from the text
#
# A dense layer across positions also connects every word with every other:
# $\text{output}_i = \sum_j w_{ij}v_j$. What is the difference to $\sum_j\alpha_{ij}v_j$? **$w_{ij}$
# is learned once and is the same for every text; $\alpha_{ij}$ is computed anew from the words**
# (the notes: *dynamic connectivity*). A connection of the dense layer knows neither what stands at
# $j$ nor what $i$ is looking for.
#
# A task in which that counts is the `dict` itself. A text is six entries, each a letter with a
# number (`c=2 h=0 a=3 …`), and then one of the letters is asked for; the answer is its number. Let
# both kinds of layer learn it, with all else equal.


# %%
def attend(W, asking, x, may_attend=None):
    """output (…, m, d) and α (…, m, n): vectors `asking` look at vectors x; e_ij is over √d."""
    Q, K, V = W
    e = (asking @ Q.T) @ (x @ K.T).mT / x.shape[-1] ** 0.5
    if may_attend is not None:
        e = e.masked_fill(~may_attend, -torch.inf)
    alpha = e.softmax(dim=-1)
    return alpha @ (x @ V.T), alpha


W, x = torch.randn(3, 8, 8, generator=generator), torch.randn(2, 5, 8, generator=generator)
q, k, v = (x @ part.T for part in W)
torch.testing.assert_close(attend(W, x, x)[0], F.scaled_dot_product_attention(q, k, v))


# %%
def fit(model, batch_loss, steps, rate=0.01):
    """Adam with a rate that falls to 0. Returns the losses of all steps."""
    adam, losses = torch.optim.Adam(model.parameters(), lr=rate), []
    for step in range(steps):
        adam.param_groups[0]["lr"] = rate * (1 - step / steps)
        adam.zero_grad()
        loss = batch_loss(model)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return np.array(losses)


def matrices(count, d, scale=1.0):
    """`count` random d × d matrices, a parameter of shape (count, d, d)."""
    return nn.Parameter(scale * torch.randn(count, d, d) / d**0.5)


def feed_forward(d):
    return nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d))


# %%
class Recall(nn.Module):
    """Six entries and a letter that is asked for; mixes positions by attention or by fixed w."""

    def __init__(self, kind, d=32, entries=6):
        super().__init__()
        self.kind, self.W, self.output = kind, matrices(3, d), nn.Linear(d, 4)
        self.letter, self.number, self.asked = (nn.Embedding(k, d) for k in (10, 4, 10))
        self.w, self.more = nn.Parameter(torch.randn(1, entries + 1)), feed_forward(d)

    def forward(self, letters, numbers, asked):
        entries = self.letter(letters) + self.number(numbers)
        question = self.asked(asked)[:, None]
        x = torch.cat([entries, question], dim=1)
        if self.kind == "attention":
            return self.output(attend(self.W, question, x)[0][:, 0])
        mixed = (self.w @ (x @ self.W[2].T))[:, 0]
        return self.output(self.more(mixed) if self.kind == "dense, feed-forward" else mixed)


# %%
def recall_texts(entries=6, size=64):
    letters = torch.rand(size, 10).argsort(dim=1)[:, :entries]  # different ones
    numbers, chosen = torch.randint(4, (size, entries)), torch.randint(entries, (size, 1))
    return (letters, numbers, letters.gather(1, chosen)[:, 0]), numbers.gather(1, chosen)[:, 0]


def recall_loss(model):
    text, answer = recall_texts()
    return F.cross_entropy(model(*text), answer)


def right(model, text, answer):
    with torch.no_grad():
        return (model(*text).argmax(dim=1) == answer).float().mean().item()


# %%
recalled = {}
for kind in ("dense", "dense, feed-forward", "attention"):
    torch.manual_seed(0)
    model = Recall(kind)
    fit(model, recall_loss, steps=500)
    recalled[kind] = right(model, *recall_texts(size=4_000))
for entries in (3, 9):
    recalled[entries] = right(model, *recall_texts(entries, size=4_000))
assert max(recalled["dense"], recalled["dense, feed-forward"]) < 0.55
assert min(recalled["attention"], recalled[3], recalled[9]) > 0.97
print("right answers: dense under 55%, with a feed-forward network after it as well;")
print("attention over 97%, also with 3 and with 9 entries, which it never saw")

# %% [markdown]
# With six numbers from four kinds, naming the one that occurs most often is right for 47% (all
# $4^6$ cases counted): that is what fixed weights reach. Their sum holds all the numbers and no
# trace of *which* belonged to the letter that is asked for. And a dense layer has as many weights
# as positions: with nine entries it could not even be asked. Attention has none that depend on $n$.
#
# Here are the weights of the trained layer for two texts that differ in *one letter, the question*.

# %%
entries = torch.tensor([[0, 1, 2, 3, 4, 5]]), torch.tensor([[3, 1, 0, 2, 1, 3]])
with torch.no_grad():
    x = model.letter(entries[0]) + model.number(entries[1])
    looks = [attend(model.W, model.asked(torch.tensor([[a]])), x)[1][0, 0] for a in range(6)]
for a in (1, 4):
    print(f"asked for letter {a}: weights", looks[a].numpy().round(1))
    assert looks[a].argmax() == a
assert min(look.max() for look in looks) > 0.9

# %% [markdown]
# ## 7. First barrier: order
#
# Nothing in the formulas says *where* a word stands. $e_{ij}$ depends on $x_i$ and $x_j$ alone, and
# a sum over $j$ does not care in which order it is taken. So if the words are permuted, by a
# permutation matrix $P$, the outputs are permuted alike and otherwise the same:
#
# $$\text{attention}(PX) = P\;\text{attention}(X)\qquad\text{(\textbf{permutation equivariance})}.$$
#
# Proof: row $i$ of $PX$ is $x_{\pi(i)}$; so $e'_{ij} = e_{\pi(i)\pi(j)}$, likewise $\alpha'$, and
# $\sum_j\alpha_{\pi(i)\pi(j)}v_{\pi(j)}$ is $\text{output}_{\pi(i)}$, since $\pi(j)$ runs through
# all positions once. Checked for all 720 orders of six words, with ours and with torch's:

# %%
for order in permutations(range(n)):
    order = list(order)
    np.testing.assert_allclose(self_attention(X[order], Q, K, V)[0], output[order], rtol=1e-9)
    q, k, v = (torch.tensor(X[order] @ W.T) for W in (Q, K, V))
    oracle = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    np.testing.assert_allclose(oracle, output[order], rtol=1e-9)

vectors = {word: random.normal(size=d) for word in "moses said unto the lord".split()}
for text in ("the lord said unto moses", "moses said unto the lord"):
    words = text.split()
    said = self_attention(np.array([vectors[word] for word in words]), Q, K, V)[0]
    print(f"{text}: said → {said[words.index('said')].round(3)}")

# %% [markdown]
# Who speaks? The word *said* cannot tell. To be sure that this costs something, take a task that is
# about nothing but order: a text of eight letters with one *a* and one *b* among others; is the
# *a* first? To a text there belongs the one with *a* and *b* exchanged, which has the same letters
# and the opposite answer. A network without order gives both the same answer, so **whatever its
# weights are, it is right in exactly half of the cases**.
#
# The cure: add to each $x_i$ a vector $p_i$ that says "position $i$". Two ways to get such vectors.
#
# ### Sinusoids
#
# Vaswani et al. (2017, section 3.5): for each pair of columns $m = 0,\dots,\frac d2-1$ one
# frequency,
#
# $$p_{i,2m} = \sin(\omega_m i),\qquad p_{i,2m+1} = \cos(\omega_m i),\qquad
#   \omega_m = 10000^{-2m/d}.$$
#
# For $d=4$ the frequencies are 1 and $\frac1{100}$, and $p_0 = (0,1,0,1)$,
# $p_1 = (0.841, 0.540, 0.010, 1.000)$. It is the idea of a number's digits: the last changes
# fastest.


# %%
def frequencies(d):
    return 10_000.0 ** (-np.arange(0, d, 2) / d)


def sinusoids(positions, d):
    """p_i for each i of `positions` (any real numbers), shape (…, d)."""
    angle = np.asarray(positions, dtype=float)[..., None] * frequencies(d)
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(*angle.shape[:-1], d)


print(sinusoids(range(2), d=4).round(3))
np.testing.assert_allclose(
    sinusoids(1, d=4), [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)], rtol=1e-12
)

# %% [markdown]
# An independent judge: hands of clocks. Each hand starts upright and is turned by $\omega_m$ at
# every step, by a multiplication with one complex number; no sine of a large angle is ever taken.

# %%
hand, turn = np.ones(32, dtype=complex), np.exp(1j * frequencies(64))
for i in range(1_000):
    p_i = sinusoids(i, d=64)
    np.testing.assert_allclose(p_i[0::2], hand.imag, atol=1e-9)
    np.testing.assert_allclose(p_i[1::2], hand.real, atol=1e-9)
    hand = hand * turn
print("a thousand positions: equal to 32 hands that are turned step by step")

# %%
P = sinusoids(range(100), d=64)
fig, ax = plt.subplots(figsize=(7, 4.4))
image = ax.imshow(P, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
fig.colorbar(image, label="entry of $p_i$")
ax.grid(visible=False)
ax.set(xlabel="column (pairs of sine and cosine, fast to slow)", ylabel="position i")
ax.set_title("Each pair of columns is a clock with its own period")
figures.show(
    fig,
    f"""Matrix of sinusoids, 100 positions by 64 columns. Columns 0 and 1 swing with a period of
    {2 * np.pi:.1f} positions, columns 20 and 21 with one of
    {2 * np.pi / frequencies(64)[10]:.0f}; from column 40 on, with periods over
    {2 * np.pi / frequencies(64)[20]:,.0f}, hardly anything changes within 100 positions.""",
)

# %% [markdown]
# **Periodicity.** Pair $m$ comes back after $\lambda_m = 2\pi/\omega_m$ positions, from 6.3 to (for
# $d=64$) 47,000. All pairs together do not come back, no more than hour, minute and second hands
# do: among ten thousand positions no two vectors are equal.

# %%
period = 2 * np.pi / frequencies(64)
print(f"shortest period {period[0]:.1f}, longest {period[-1]:,.0f}")
for m in range(32):
    pair = slice(2 * m, 2 * m + 2)
    back = sinusoids(np.arange(50) + period[m], d=64)[:, pair]
    np.testing.assert_allclose(back, P[:50, pair], atol=1e-9)
far = sinusoids(range(10_000), d=64)
nearest = np.linalg.norm(far[1:] - far[0], axis=1).min()
assert nearest > 1  # and by the next cell, what holds of p_0 holds of every p_i

# %% [markdown]
# **A shift is a linear map.** By the sum rules for sine and cosine,
#
# $$\begin{pmatrix}\sin\omega(i+s)\\ \cos\omega(i+s)\end{pmatrix} =
#   \begin{pmatrix}\cos\omega s & \sin\omega s\\ -\sin\omega s & \cos\omega s\end{pmatrix}
#   \begin{pmatrix}\sin\omega i\\ \cos\omega i\end{pmatrix},
#   \qquad\text{so}\quad p_{i+s} = R_s\,p_i$$
#
# with an $R_s$ that turns each pair and **does not depend on $i$**. Two things follow. $R_s$ turns,
# so it keeps lengths and distances; and $p_i^\top p_j = \sum_m\cos\omega_m(i-j)$: how alike two
# positions are depends on their distance only.


# %%
def shift(s, d):
    """R_s: the (d, d) matrix with R_s p_i = p_{i+s} for every i."""
    R = np.zeros((d, d))
    for m, omega in enumerate(frequencies(d)):
        c, sn = np.cos(omega * s), np.sin(omega * s)
        R[2 * m : 2 * m + 2, 2 * m : 2 * m + 2] = [[c, sn], [-sn, c]]
    return R


for s in (-20, -1, 1, 7, 300):
    moved = sinusoids(np.arange(100) + s, d=64)
    np.testing.assert_allclose(P @ shift(s, 64).T, moved, atol=1e-9)
np.testing.assert_allclose(shift(5, 64) @ shift(5, 64).T, np.eye(64), atol=1e-12)
distance = np.arange(100)[:, None] - np.arange(100)
np.testing.assert_allclose(
    P @ P.T, np.cos(distance[..., None] * frequencies(64)).sum(axis=-1), atol=1e-9
)

# %% [markdown]
# This gives attention an easy way to say "the word before me": ask with $q_i = \beta R_{-1}p_i =
# \beta\,p_{i-1}$, and let the keys be $k_j = p_j$. No training needed; $Q = \beta R_{-1}$, $K = I$:

# %%
p = sinusoids(range(2_000), d=64)
_, alpha_before = self_attention(p, 12 * shift(-1, 64), np.eye(64), np.eye(64))
print(
    f"weight on the position before, i = 1 … 1999: at least {np.diag(alpha_before, -1).min():.4f}"
)
assert np.diag(alpha_before, -1).min() > 0.99

# %% [markdown]
# ### Learned positions
#
# Or let $p_1,\dots,p_{n_{\max}}$ be parameters, a row for each position, trained like word vectors.
# More freedom, and a hard end: position $n_{\max}+1$ has no row.
#
# Now the task. One query, of a fixed vector, looks at the whole text; a feed-forward network
# (section 8) decides.


# %%
class WhichFirst(nn.Module):
    def __init__(self, kind, d=32, n=8):
        super().__init__()
        self.E, self.W, self.question = nn.Embedding(8, d), matrices(3, d), matrices(1, d)
        self.more, self.output = feed_forward(d), nn.Linear(d, 2)
        sinus = torch.tensor(sinusoids(range(n), d), dtype=torch.float32)
        learned = nn.Parameter(torch.randn(n, d) / 2)
        self.p = {"none": torch.zeros(n, d), "sinusoids": sinus, "learned": learned}[kind]

    def forward(self, letters):
        asking = self.question[:, :1].expand(len(letters), -1, -1)
        output, _ = attend(self.W, asking, self.E(letters) + self.p)
        return self.output(self.more(output[:, 0]))


# %%
def first_texts(n=8, size=64):
    letters, place = torch.randint(2, 8, (size, n)), torch.rand(size, n).argsort(dim=1)[:, :2]
    letters.scatter_(1, place, torch.tensor([[0, 1]]).expand(size, 2))  # a is 0, b is 1
    return (letters,), (place[:, 0] < place[:, 1]).long()


def first_loss(model):
    text, answer = first_texts()
    return F.cross_entropy(model(*text), answer)


(letters,), answer = first_texts(size=2_000)
swapped = torch.where(letters < 2, 1 - letters, letters)
which_first = {}
for kind in ("none", "sinusoids", "learned"):
    torch.manual_seed(1)
    model = WhichFirst(kind)
    fit(model, first_loss, steps=500)
    both = torch.cat([letters, swapped]), torch.cat([answer, 1 - answer])
    which_first[kind] = right(model, both[:1], both[1])
print(f"right without positions: {which_first['none']:.1%} of {len(both[1])}; with: over 95%")
assert abs(which_first["none"] - 0.5) < 0.01
assert min(which_first["sinusoids"], which_first["learned"]) > 0.95

# %% [markdown]
# ### The same on real text: thou hast, he hath
#
# In the English of the King James Bible the form of *have* agrees with its subject: *thou hast*,
# *he hath*, *I, ye, they have*. Cover the form, and predict it from up to twelve words before and
# twelve after. It takes content (is there a *thou*?) and order (is it the one that *has*?). Three
# networks:
#
# - **fixed weights** $w_{j-i}$, one for each place before or after the verb: a dense layer;
# - **attention without positions**, asked by the covered verb;
# - **attention with positions**: the same, with a learned $p_{j-i}$ for each place. (Positions may
#   be counted from anywhere. With a single query, its own place is a natural zero.)

# %%
forms, reach = ["have", "hast", "hath"], 12
covered = {"train": [], "unseen": []}
for verse in corpora.king_james():
    words = re.findall(r"[a-z]+|[,;:.?!]", verse.text.lower())
    side = "train" if corpora.split(verse.book, verse.chapter) == "train" else "unseen"
    for i in (i for i, word in enumerate(words) if word in forms):
        padded = ["<none>"] * reach + words + ["<none>"] * reach
        around = [*padded[i : i + reach], "<have>", *padded[i + reach + 1 : i + 2 * reach + 1]]
        covered[side].append((verse, around, forms.index(words[i])))

# %%
frequency = Counter(word for _, around, _ in covered["train"] for word in around)
vocabulary = ["<none>", "<rare>", *sorted({w for w, c in frequency.items() if c >= 5} - {"<none>"})]
index = {word: k for k, word in enumerate(vocabulary)}
texts, answers = {}, {}
for side, items in covered.items():
    texts[side] = torch.tensor([[index.get(word, 1) for word in around] for _, around, _ in items])
    answers[side] = torch.tensor([answer for *_, answer in items])
    print(f"{side:6} {len(items):5,} covered:", *(f"{form} {(answers[side] == k).sum()}"
          for k, form in enumerate(forms)))  # fmt: skip


# %%
class Agreement(nn.Module):
    def __init__(self, kind, d=32):
        super().__init__()
        self.kind, self.E = kind, nn.Embedding(len(vocabulary), d)
        self.W, self.output = matrices(3, d), nn.Linear(d, len(forms))
        self.w = nn.Parameter(torch.full((1, 2 * reach + 1), 1 / reach))
        self.p = nn.Parameter(torch.randn(2 * reach + 1, d) / 3)
        self.E.weight.data /= 2

    def look(self, words):
        """What the covered verb gets, (texts, d), and its weights, (texts, places)."""
        x, there = self.E(words), (words > 0)[:, None]
        if self.kind == "fixed weights":
            weights = self.w * there
            return (weights @ (x @ self.W[2].T))[:, 0], weights[:, 0]
        x = x + self.p if self.kind == "with positions" else x
        output, alpha = attend(self.W, x[:, [reach]], x, there)
        return output[:, 0], alpha[:, 0]

    def forward(self, words):
        return self.output(self.look(words)[0])


# %%
def agreement_loss(model):
    some = torch.randint(len(answers["train"]), (64,))
    return F.cross_entropy(model(texts["train"][some]), answers["train"][some])


hits = {}
for kind in ("fixed weights", "without positions", "with positions"):
    torch.manual_seed(0)
    model = Agreement(kind)
    fit(model, agreement_loss, steps=500)
    with torch.no_grad():
        guess = model(texts["unseen"]).argmax(dim=1)
    hits[kind] = (guess == answers["unseen"]).numpy().astype(float)

# %% [markdown]
# How sure are we, with 663 forms? The paired bootstrap of lecture 02:

# %%
shares = {kind: hit.mean() for kind, hit in hits.items()}
order_gain = bootstrap_interval(np.mean, hits["with positions"] - hits["without positions"])
fixed_gain = bootstrap_interval(np.mean, hits["with positions"] - hits["fixed weights"])
assert (answers["unseen"] == 0).float().mean() < 0.53
assert 0.75 < shares["without positions"] < 0.86
assert min(shares["fixed weights"], shares["with positions"]) > 0.9
assert order_gain[0] > 0.05
assert abs(shares["with positions"] - shares["fixed weights"]) < 0.04
assert fixed_gain[0] < 0.02
print("always 'have': 53%; attention without positions: about four fifths;")
print("with positions: over 90%, and the interval of the gain lies above 5 points")

# %% [markdown]
# Order is worth over five points in a hundred. **And the fixed weights?** They reach over 90% as
# well, and no gain of attention over them can be claimed from these numbers: the subject nearly
# always stands right before its verb, or a word or two further, and weights for those places are
# soon learned. Section 6 said what fixed weights cannot do; here one need not be able to do it.
#
# What the attention layer does instead can be read off. Six of the unseen verses, one a row; a cell
# is a word, and its shade the weight that the covered verb gives it.

# %%
asked_for = {  # place: the word with the largest weight
    ("Genesis", 21, 6): "god",
    ("Genesis", 7, 4): "i",
    ("Isaiah", 26, 12): "thou",
    ("Genesis", 27, 38): "thou",
    ("Genesis", 21, 7): "would",
    ("Proverbs", 3, 30): "if",
}
first_at = {}
for row, (verse, *_) in enumerate(covered["unseen"]):
    first_at.setdefault(verse[:3], row)
rows = [first_at[place] for place in asked_for]
with torch.no_grad():
    maps = model.look(texts["unseen"][rows])[1].numpy()
for row, weights, word in zip(rows, maps, asked_for.values(), strict=True):
    assert covered["unseen"][row][1][weights.argmax()] == word
    assert weights.max() > 0.35
    assert hits["with positions"][row]

# %%
shown = slice(reach - 5, reach + 4)
fig, ax = plt.subplots(figsize=(7, 3.6))
ax.imshow(maps[:, shown], cmap="Blues", vmin=0, vmax=1, aspect="auto")
for y, (row, weights) in enumerate(zip(rows, maps[:, shown], strict=True)):
    _, around, answer = covered["unseen"][row]
    for x, word in enumerate(around[shown]):
        label = {"<none>": "", "<have>": f"[{forms[answer]}]"}.get(word, word)
        ax.text(x, y, label, ha="center", va="center", fontsize=8.5,
                color="white" if weights[x] > 0.5 else "black")  # fmt: skip
labels = [f"{verse.book} {verse.chapter}:{verse.verse}"
          for verse in (covered["unseen"][row][0] for row in rows)]  # fmt: skip
ax.set_yticks(range(len(rows)), labels)
ax.set_xticks(range(9), range(-5, 4))
ax.set(xlabel="place, counted from the covered verb")
ax.grid(visible=False)
fig.suptitle("The verb looks at the word that decides its form", fontweight="bold")
figures.show(
    fig,
    """Six unseen verses as rows of words around a covered form of have, shaded by attention weight.
    The largest share, over a third, lies on: god, 1 place before hath; i, 1 before have; thou, 2
    before hast, across the word also; thou, 1 after hast, in a question; would, 1 before have; and
    if, 2 before have (if he have).""",
)

# %% [markdown]
# In *thou also [hast]* it reaches across *also*; in a question it looks at the *thou* that follows.
# In *who would [have]* and *if he [have]* it looks past the subject, at the word that takes away
# the ending. No layer of fixed weights has two different rows here.
#
# > **A map is not a reason.** It shows where the values came from, not what was done with them, and
# > other weights may give the same answer (Jain and Wallace 2019; Wiegreffe and Pinter 2019 reply).
# > To learn what a prediction depends on, change the input and look.

# %% [markdown]
# ## 8. Second barrier: no non-linearity
#
# Attention's output is a weighted mean of the values: it lies *between* them, in every column. A
# second layer takes means of those means. With $\alpha^{(1)}$ and $\alpha^{(2)}$ the weights of two
# layers,
#
# $$\text{output}^{(2)} = \alpha^{(2)}\big(\alpha^{(1)}XV_1^\top\big)V_2^\top
#   = \underbrace{(\alpha^{(2)}\alpha^{(1)})}_{\text{rows sum to 1}}\,X\,(V_2V_1)^\top ,$$
#
# **another weighted mean of another linear map**. No layer makes of its vectors what a hidden layer
# makes of them.

# %%
layers = random.normal(0, 0.7, (2, 3, d, d))
first, alpha_1 = self_attention(X, *layers[0])
second, alpha_2 = self_attention(first, *layers[1])
together, values = alpha_2 @ alpha_1, X @ (layers[1, 2] @ layers[0, 2]).T
np.testing.assert_allclose(second, together @ values, rtol=1e-9)
np.testing.assert_allclose(together.sum(axis=1), 1)
assert (together > 0).all()
assert (second > values.min(axis=0)).all()
assert (second < values.max(axis=0)).all()
print("two layers: one weighted mean, of one linear map")

# %% [markdown]
# **One word on its own** shows it best. It can attend only to itself, $\alpha=1$, and the output is
# $Vx$: linear, however many layers are stacked. So attention cannot compute the XOR of two features
# of a word (say, *plural* and *negated*). For a linear $z$,
# $z(0,0) + z(1,1) = z(0,1) + z(1,0)$; and XOR wants both terms on the left negative and both on the
# right positive.
#
# The cure: after attention, apply **the same small network to each position by itself**, the
# **feed-forward** network
#
# $$\text{FF}(y) = W_2\,\text{ReLU}(W_1y+b_1)+b_2 .$$
#
# Attention moves information between positions; the feed-forward network works on it within one.


# %%
class Stack(nn.Module):
    """Layers of attention, with or without a feed-forward network; the last position decides."""

    def __init__(self, layers, ff, d=16):
        super().__init__()
        self.W = nn.ParameterList([matrices(3, d) for _ in range(layers)])
        self.more = nn.ModuleList([feed_forward(d) if ff else nn.Identity() for _ in range(layers)])
        self.output = nn.Linear(d, 1)

    def forward(self, x):
        for W, more in zip(self.W, self.more, strict=True):
            x = more(attend(W, x, x)[0])
        return self.output(x[:, -1])[:, 0]


torch.manual_seed(0)
stack, x = Stack(2, ff=True), torch.randn(1, 5, 16)
rows = torch.stack([stack.more[0](x_i) for x_i in x[0]])
torch.testing.assert_close(stack.more[0](x[0]), rows)  # each position by itself

# %%
bits = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
xor = (bits[:, 0] != bits[:, 1]).float()
f_0, f_1, f_2, f_3 = torch.randn(4, 16) / 3
one_word = (f_0 + bits[:, :1] * f_1 + bits[:, 1:] * f_2)[:, None]  # (4 texts, 1 position, 16)


def xor_right(inputs, layers, ff, starts=3):
    """How many of the four cases are right after training, for each of several starts."""
    found = []
    for seed in range(starts):
        torch.manual_seed(seed)
        model = Stack(layers, ff)
        fit(model, lambda m: F.binary_cross_entropy_with_logits(m(inputs), xor), 300, rate=0.02)
        with torch.no_grad():
            found.append(((model(inputs) > 0) == xor.bool()).sum().item())
    return found


alone, cured = xor_right(one_word, layers=4, ff=False), xor_right(one_word, layers=1, ff=True)
print("XOR within a word: four layers of attention, at most 3 of 4; one with feed-forward: 4 of 4")
assert max(alone) <= 3
assert min(cured) == 4

# %% [markdown]
# **The XOR of two words**: bits $a$ and $b$ stand at positions 1 and 2, and position 3 asks. Now
# the weights do depend on the text. One layer fails all the same. Its score is
#
# $$z = \frac{\sum_j \exp(e_{3j})\,(u^\top v_j + c)}{\sum_j\exp(e_{3j})} ,$$
#
# with $u$ and $c$ from the output layer; the denominator is positive, so the numerator decides, and
# the numerator is a sum of **one term for each position**, $N(a,b) = N_1(a)+N_2(b)+N_3$. Again
# $N(0,0)+N(1,1) = N(0,1)+N(1,0)$.
#
# **Predict before you run.** Do two layers of attention, without feed-forward, fail too?
#
# <details><summary>Answer</summary>
#
# No. At the second layer the keys are means that hold $a$ and $b$ already, the scores are products
# of them, and the softmax is not linear either. The *weights* can do what the *values* cannot.
#
# </details>

# %%
position = torch.randn(3, 16) / 3
words = torch.stack([f_1, f_2])[bits]  # (4 texts, 2 positions, 16)
two_words = torch.cat([words, f_3.expand(4, 1, 16)], dim=1) + position
with torch.no_grad():
    model = Stack(1, ff=False)
    Q, K, V = model.W[0]
    e = ((two_words[:, -1:] @ Q.T) @ (two_words @ K.T).mT)[:, 0] / 16**0.5
    N = (e.exp() * model.output(two_words @ V.T)[..., 0]).sum(dim=1)
    torch.testing.assert_close(N / e.exp().sum(dim=1), model(two_words))
torch.testing.assert_close(N[0] + N[3], N[1] + N[2])
results = {key: xor_right(two_words, *key) for key in ((1, False), (1, True), (2, False))}
print("XOR of two words: one layer, at most 3 of 4; with feed-forward, or with two layers: 4 of 4")
assert max(results[1, False]) <= 3
assert min(results[1, True]) == 4
assert max(results[2, False]) == 4

# %% [markdown]
# > **The notes say** that self-attention has no non-linearities. **Right is**: it passes *values*
# > on linearly, so no function of one position's vector but a linear one. The *weights* are a
# > non-linear function of the text, and with two layers that solves a XOR across words. Checks: the
# > two cells above.
#
# ## 9. Third barrier: the future
#
# A language model predicts word $i+1$ from the words up to $i$. All predictions of a text can be
# trained at once if row $i$ does not see what it has to predict. The **mask**:
#
# $$e_{ij} = \begin{cases} q_i^\top k_j & j\le i\\ -\infty & j>i\end{cases}
#   \qquad\text{so that } \alpha_{ij} = 0 \text{ for } j>i .$$
#
# > **The notes say** $e_{ij} = q_i^\top k_j$ for $i<j$ and $-\infty$ for $i\ge j$. **Right is**
# > $-\infty$ where $j>i$: $i$ is the query, and sees itself and the past. The notes' formula lets
# > each word see *only* its future, and the last row sees nothing: the softmax of $-\infty$ alone
# > is 0/0, not a number.

# %%
past = torch.ones(n, n).tril().bool()  # [i, j] is True where j ≤ i
X_t, W_t = torch.tensor(X), torch.tensor(random.normal(0, 0.7, (3, d, d)))
masked, alpha = attend(W_t, X_t, X_t, past)
print(alpha.numpy().round(2))
assert (alpha[~past] == 0).all()
assert torch.allclose(alpha.sum(dim=1), torch.ones(n).double())
_, alpha_notes = attend(W_t, X_t, X_t, torch.ones(n, n).triu(1).bool())
print("the notes' formula, first and last row:", alpha_notes[[0, -1]].numpy().round(2).tolist())
assert alpha_notes[-1].isnan().all()
assert alpha_notes[0, 0] == 0

# %% [markdown]
# The tests are tests of behavior. **Change the future, and no earlier output moves**; the Jacobian
# says the same for small changes: $\partial\text{output}_i/\partial x_j = 0$ for $j>i$, and not for
# $j\le i$. And what makes training fast: **one pass over $n$ words gives what $n$ passes over its
# beginnings give.**


# %%
def leaks(layer, n=6, d=4):
    """For which pairs (i, j) output i moves when x_j is changed, shape (n, n)."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    table = torch.zeros(n, n, dtype=torch.bool)
    for j in range(n):
        changed = x.clone()
        changed[j] += 1
        table[:, j] = (layer(changed) != layer(x)).any(dim=1)
    return table


def causal(x):
    return attend(W_t, x, x, past[: len(x), : len(x)])[0]


assert (leaks(causal) == past).all()
jacobian = torch.autograd.functional.jacobian(causal, X_t).abs().sum(dim=(1, 3))
assert ((jacobian > 0) == past).all()
for i in range(1, n + 1):
    torch.testing.assert_close(causal(X_t[:i])[-1], masked[i - 1])
assert leaks(lambda x: attend(W_t, x, x)[0]).all()
print("with the mask, output i depends on x_j exactly where j ≤ i; without, everywhere")

# %% [markdown]
# ### Which way round?
#
# Torch has two functions that take a boolean mask, and **they read it in opposite ways**:
#
# | function | `True` means | the causal mask is |
# |---|---|---|
# | `F.scaled_dot_product_attention(…, attn_mask)` | may attend | `tril()` |
# | `nn.MultiheadAttention(…, attn_mask)` | is masked | `triu(1)` |
#
# Both are right with their own, and equal to ours. With the other's mask, the first lets the past
# see the future, and no shape, type or error tells. `leaks` does.


# %%
def by_function(x, mask):
    q, k, v = (x @ part.T for part in W_t)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


module = nn.MultiheadAttention(d, num_heads=1, bias=False, dtype=torch.float64)
with torch.no_grad():
    module.in_proj_weight.copy_(W_t.flatten(0, 1))  # Q, K, V, one below the other
    module.out_proj.weight.copy_(torch.eye(d))


def by_module(x, mask):
    with torch.no_grad():
        return module(x, x, x, attn_mask=mask, need_weights=False)[0]


future = ~past  # triu(1)
for layer, mask, other in ((by_function, past, future), (by_module, future, past)):
    torch.testing.assert_close(layer(X_t, mask), masked)
    assert (leaks(lambda x, f=layer, m=mask: f(x, m)) == past).all()
    assert (leaks(lambda x, f=layer, m=other: f(x, m)) & future).any()
    print(f"{layer.__name__}: right with its own mask; with the other's, the future leaks")

# %% [markdown]
# ### A language model that reads the answer
#
# Characters of the King James Bible, as in lecture 06. The model is one of everything: positions,
# one layer of attention, a feed-forward network, scores for the next character. It is trained on
# windows of 64 characters, with the mask and without it, all else equal.

# %%
chars = sorted(set("".join(chapters["train"])))
code = {char: k for k, char in enumerate(chars)}
stream = {side: torch.tensor([code[c] for c in "".join(chapters[side])])
          for side in ("train", "valid")}  # fmt: skip
span, longest = 64, 192


class LanguageModel(nn.Module):
    def __init__(self, kind, masked=True, layers=1, d=64):
        super().__init__()
        self.masked, self.E, self.output = (
            masked,
            nn.Embedding(len(chars), d),
            nn.Linear(d, len(chars)),
        )
        self.W = nn.ParameterList([matrices(3, d) for _ in range(layers)])
        self.more = nn.ModuleList([feed_forward(d) for _ in range(layers)])
        sinus = torch.tensor(sinusoids(range(longest), d), dtype=torch.float32)
        learned = nn.Parameter(torch.randn(longest, d) / 2)
        self.p = {"none": torch.zeros(longest, d), "sinusoids": sinus, "learned": learned}[kind]
        self.E.weight.data /= 2
        for W in self.W:
            W.data[:2] *= 2

    def forward(self, ids):
        x = self.E(ids) + self.p[: ids.shape[1]]
        for W, more in zip(self.W, self.more, strict=True):
            q, k, v = (x @ part.T for part in W)
            x = more(F.scaled_dot_product_attention(q, k, v, is_causal=self.masked))
        return self.output(x)


# %%
def windows_of(side, length, count):
    """Inputs and targets (the inputs, one ahead), both (count, length)."""
    begin = torch.randint(len(stream[side]) - length, (count, 1))
    ids = stream[side][begin + torch.arange(length + 1)]
    return ids[:, :-1], ids[:, 1:]


def bits(model, ids, targets):
    """-log2 P of each target, same shape."""
    scores = model(ids)
    return F.cross_entropy(scores.mT, targets, reduction="none") / np.log(2)


def trained_model(kind, masked=True, layers=1):
    torch.manual_seed(0)
    model = LanguageModel(kind, masked, layers)
    fit(model, lambda m: bits(m, *windows_of("train", span, 32)).mean(), steps=250)
    return model


unmasked, masked = trained_model("learned", masked=False), trained_model("learned")

# %% [markdown]
# **Predict before you run.** A uniform guess costs $\log_2 66 = 6.04$ bits per character, and the
# best guess from one predecessor 3.26 (lecture 06). What does the model without a mask reach on
# unseen chapters? And if it is asked honestly: given 20, 30, 40 or 50 characters, what comes next?
#
# <details><summary>Answer</summary>
#
# Under 0.1 bits: the next character stands in its input, and it has learned to look at position
# $i+1$. Asked honestly there is nothing at position $i+1$, and it does worse than a uniform guess.
#
# </details>

# %%
torch.manual_seed(1)
ids, targets = windows_of("valid", longest, 400)


def in_training(model):
    """Bits at the positions whose next character is in the window as well."""
    with torch.no_grad():
        return bits(model, ids[:, :span], targets[:, :span])[:, :-1].mean().item()


def asked_honestly(model):
    """Bits of the character after the end of what is given."""
    with torch.no_grad():
        ends = [bits(model, ids[:, :t], targets[:, :t])[:, -1].mean() for t in (20, 30, 40, 50)]
    return torch.stack(ends).mean().item()


assert in_training(unmasked) < 0.1
assert asked_honestly(unmasked) > 6.5
assert 3 < in_training(masked) < 3.5
assert abs(asked_honestly(masked) - in_training(masked)) < 0.15
print("without mask: under 0.1 bits as trained; over 6.5 asked honestly, worse than uniform")
print("with mask: between 3 and 3.5 bits, and the same when asked honestly")

# %% [markdown]
# A loss that is too good to be true is the first sign of a mask that leaks. The map is the second.


# %%
def weights_of(model, text):
    ids = torch.tensor([[code[char] for char in text]])
    with torch.no_grad():
        x = model.E(ids) + model.p[: len(text)]
        see = torch.ones(len(text), len(text)).tril(0 if model.masked else len(text)).bool()
        return attend(model.W[0], x, x, see)[1][0].numpy()


line = "In the beginning God created"
fig, axes = plt.subplots(1, 2, figsize=(7, 4.1))
letters = [char.replace(" ", "␣") for char in line]
for ax, model, name in zip(axes, (unmasked, masked), ("no mask", "mask"), strict=True):
    ax.imshow(weights_of(model, line), cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(line)), letters, fontsize=6.5)
    ax.set_yticks(range(len(line)), letters, fontsize=6.5)
    ax.grid(visible=False)
    ax.set(xlabel="position asked, j")
    ax.set_title(name, fontweight="normal")
axes[0].set(ylabel="position asking, i")
fig.suptitle("Without a mask every position looks at the one after it", fontweight="bold")
ahead = np.diag(weights_of(unmasked, line), 1)
assert ahead.min() > 0.8
assert np.triu(weights_of(masked, line), 1).max() == 0
figures.show(
    fig,
    """Two maps of attention weights for the 28 characters of "In the beginning God created", asking
    positions as rows. Without a mask over 80% of each row's weight lies at j = i + 1, the answer.
    With the mask everything above the diagonal is 0; the weight lies on the diagonal and to its
    left.""",
)

# %% [markdown]
# ## 10. Past the training length
#
# All these models saw 64 positions in training. What happens at position 65? For learned positions
# the honest answer is an error: a table of 64 rows has no more.

# %%
table = nn.Embedding(64, 8)
try:
    table(torch.tensor(64))
    raise AssertionError("a row that does not exist")
except IndexError as error:
    print("IndexError:", error)

# %% [markdown]
# > **The notes say** that sinusoids "maybe can extrapolate to longer sequences as the periods
# > restart", and that learned positions cannot. **Right is**: sinusoids are *defined* everywhere,
# > and weights set by hand can use them everywhere (section 7: one before me, to position 1,999).
# > Whether *trained* weights can is a question for a measurement.
#
# Here it is: 400 windows of 192 characters from unseen chapters, bits by position, for sinusoids,
# for learned positions with 128 more rows that training never touched, and for no positions at all.
# (The last is not blind to order. With the mask, word $i$ sees $i$ words, and that alone is not
# permutation equivariant: section 9's `leaks`.)

# %%
by_position = {}
for kind in ("sinusoids", "learned", "none"):
    model = masked if kind == "learned" else trained_model(kind)
    with torch.no_grad():
        by_position[kind] = bits(model, ids, targets).numpy()  # (windows, positions)


def past_the_end(table):
    """Bits per character at positions 65 to 192, less those at 17 to 64."""
    return table[:, span:].mean() - table[:, 16:span].mean()


for kind, table in by_position.items():
    low, high = bootstrap_interval(past_the_end, table, resamples=500)
    least, most = {"sinusoids": (0.2, 9), "learned": (0.1, 2), "none": (-0.1, 0.1)}[kind]
    print(f"{kind:9}: " + (f"over {least} bits more" if least > 0 else "the same, within 0.1 bits"))
    assert least < low < high < most
gain = by_position["none"][:, 16:span] - by_position["sinusoids"][:, 16:span]
assert bootstrap_interval(np.mean, gain.mean(axis=1))[0] > 0.05

# %%
fig, ax = plt.subplots()
middle = np.arange(longest).reshape(-1, 8).mean(axis=1) + 1
styles = (("sinusoids", red, "o-"), ("learned", blue, "s--"), ("none", green, "^-."))
for kind, color, line in styles:
    ax.plot(middle, by_position[kind].mean(axis=0).reshape(-1, 8).mean(axis=1), line, color=color,
            markersize=4)  # fmt: skip
ax.axvline(span + 0.5, color="gray", linewidth=1)
ax.axhline(np.log2(len(chars)), color="gray", linewidth=1, linestyle=":")
ax.annotate("uniform: 6.04", (2, 6.1), color="gray")
ax.annotate("trained up to here", (span - 1, 5.6), ha="right", color="gray")
for kind, color, _ in styles:
    ax.annotate({"none": "no positions"}.get(kind, kind), (193, by_position[kind][:, -8:].mean()),
                color=color, annotation_clip=False, va="center")  # fmt: skip
ax.set(xlabel="position in the text", ylabel="bits per character, unseen", ylim=(2.8, 6.6))
ax.set(xlim=(0, 225), xticks=range(0, 193, 32))
ax.set_title("Past the training length, positions do harm")
figures.show(
    fig,
    """Bits per character against position to 192, trained on 64. Up to 64 the three lie between 3
    and 3.6. Past 64, sinusoids cost over 0.2 bits more and learned positions, whose rows were never
    trained, over 0.1 more; the model without positions stays where it was, within 0.1 bits.""",
)

# %% [markdown]
# Within 64 positions, sinusoids help: the interval of their gain over no positions lies above 0.05
# bits. Past them, either kind is worse than having none. The weights met slow columns that ran only
# a small part of their periods, and what comes after is as new to them as a row never trained. So
# **train at the length that you will use**. (Later models went the way that $R_s$ suggests and let
# positions enter the scores as distances: Press et al. 2022, Su et al. 2024.)
#
# ## 11. The price
#
# $n$ rows of $n$ scores: attention's work grows with the **square** of the length. Counted by torch
# while it runs (one multiplication and one addition each): $3nd^2$ for queries, keys and values,
# $2n^2d$ for scores and means; the RNN needs $2nd^2$ in all. Beyond $n\approx d$ the square rules.

# %%
d = 64
W = torch.randn(3, d, d)
for n in (64, 512, 4_096):
    x = [torch.randn(1, d) for _ in range(n)]
    work = []
    for layer, weights in ((rnn, W[:2]), (attention, W)):
        with FlopCounterMode(display=False) as counter:
            layer(x, *weights)
        work.append(counter.get_total_flops() // 2)
    print(f"n = {n:5}: RNN {work[0] / 1e6:7.1f} million, attention {work[1] / 1e6:7.1f} million")
    assert work == [2 * n * d**2, 3 * n * d**2 + 2 * n**2 * d]

# %% [markdown]
# Yet on a processor that does thousands of products at once, the work is not the time: the RNN's
# $n$ steps wait for each other. The next cell measures it where there is a GPU, a forward and a
# backward pass through torch's own `nn.RNN` and through attention ($d=512$, 16 texts). Continuous
# integration has none and does not re-prove it.


# %%
def seconds(layer, n, device, d=512, texts=16):
    """Best of five forward and backward passes over texts of n words."""
    x = torch.randn(texts, n, d, device=device, requires_grad=True)
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    best = np.inf
    for _ in range(5):
        began.record()
        layer(x).sum().backward()
        ended.record()
        torch.cuda.synchronize()
        best = min(best, began.elapsed_time(ended) / 1e3)
    return best


# %% tags=["gpu", "nbval-skip"]
if torch.cuda.is_available():
    print(torch.cuda.get_device_name())
    recurrent = nn.RNN(512, 512, batch_first=True).cuda()
    project = nn.Linear(512, 3 * 512, bias=False).cuda()
    layers = {
        "RNN": lambda x: recurrent(x)[0],
        "attention": lambda x: F.scaled_dot_product_attention(*project(x).chunk(3, dim=-1)),
    }
    for n in (128, 512, 2_048, 8_192):
        times = {name: seconds(layer, n, "cuda") for name, layer in layers.items()}
        print(f"n = {n:5}:", *(f"{name} {1e3 * t:8.2f} ms " for name, t in times.items()))
else:
    print("No CUDA device here: nothing was measured.")

# %% [markdown]
# ## 12. What is still missing
#
# Three barriers, three cures: positions, a feed-forward network, a mask. Together they make a
# language model, and a modest one: close to the best guess from one predecessor. One layer looks
# once. A second could look with what the first has found, as in section 8's XOR. So let us stack
# two.

# %%
deep = trained_model("sinusoids", layers=2)
with torch.no_grad():
    two = bits(deep, ids, targets).numpy()[:, 16:span].mean(axis=1)
one = by_position["sinusoids"][:, 16:span].mean(axis=1)
low, high = bootstrap_interval(np.mean, two - one)
assert low > 0.15
print("two layers: worse than one by more than 0.15 bits per character")

# %% [markdown]
# It gets **worse**. The second layer receives means of what the first one mixed, and what a
# position's own word was is gone, unless the weights happen to keep it. And there is a second thing
# that one layer cannot do: it takes *one* mean for each word. A verb that looks for its subject and
# for its object at once gets a mixture of both. **How can a word look for several things, and how
# can many such layers be stacked and trained?** Lecture 13 answers both; what comes out is the
# transformer.
#
# ## 13. What we showed
#
# | claim | its check |
# |---|---|
# | RNN: $n$ steps apart and in a row; windows $(n-1)/4$; attention 2 and 3 | section 1, the graph |
# | $L$ windows of width $w$ see $1+L(w-1)$ | section 2, which inputs have a gradient |
# | A soft lookup becomes the `dict` for hard queries | section 3, by hand; every key |
# | Loops, matrices and torch are one function | section 4, with and without $1/\sqrt d$ |
# | The gradient for $X,Q,K,V$ | section 5, both judges |
# | Fixed weights cannot recall what is asked for; attention can, at other lengths too | section 6 |
# | Without positions outputs are permuted as the words are | section 7, all 720 orders |
# | Without positions a question of order is a coin toss | section 7, texts in exchanged pairs |
# | Sinusoids: periods, a linear map per shift, likeness by distance | section 7, clocks, $R_s$ |
# | By hand, "one before me" works at 2,000 positions | section 7 |
# | In agreement, positions gain over 5 points; fixed weights do as well | section 7, intervals |
# | Stacked attention is one weighted mean | section 8 |
# | XOR in a word fails at any depth, of two words in one layer; feed-forward cures | section 8 |
# | Masked: the past is untouched; one pass is $n$ passes | section 9, `leaks`, Jacobian |
# | The notes' mask gives not-a-number | section 9 |
# | Torch's two masks are opposite | section 9, both ways round |
# | Without a mask a language model reads the answer | section 9, 0.1 bits; 6.5 asked honestly |
# | Past the training length both kinds of position fail | section 10, intervals |
# | Attention's work is quadratic | section 11, torch's counter |
# | Two bare layers are worse than one | section 12, interval |
#
# Not shown: the time on a GPU, unless the cell in section 11 has an output with a device's name.
#
# ## Exercises
#
# In assignment **ps6_transformer**: sinusoidal positions (section 7), the causal mask (9), scaled
# dot-product attention (4). By yourself: which $Q$ and $K$ make each position look at the one two
# places *after* it? Why does swapping two words other than the asking one never change its output?
#
# ## Sources
#
# - A. Vaswani et al., *Attention Is All You Need*, NeurIPS (2017): sections 3.2.1 (attention), 3.3
#   (feed-forward), 3.5 (positions), Table 1 (path lengths, sequential operations, work).
# - D. Bahdanau, K. Cho, Y. Bengio, *Neural Machine Translation by Jointly Learning to Align and
#   Translate*, ICLR (2015): attention over a source.
# - M. Minsky, S. Papert, *Perceptrons* (1969): XOR and sums of one-place terms.
# - S. Jain, B. Wallace, *Attention is not Explanation*, NAACL (2019); S. Wiegreffe, Y. Pinter,
#   *Attention is not not Explanation*, EMNLP (2019).
# - A. Haviv et al., *Transformer Language Models without Positional Encodings Still Learn
#   Positional Information*, Findings of EMNLP (2022).
# - O. Press, N. Smith, M. Lewis, *Train Short, Test Long*, ICLR (2022); J. Su et al., *RoFormer*,
#   Neurocomputing 568 (2024): distances in the scores.
# - C. Manning et al., Stanford CS224N, *Self-Attention and Transformers* (notes, 2023).
# - PyTorch's documentation of `scaled_dot_product_attention` and `nn.MultiheadAttention`.
