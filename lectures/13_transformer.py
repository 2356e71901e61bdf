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
# # 13 The transformer: attention made into a network
#
# Lecture 12 gave every word a direct look at every other, and cured what attention lacks: order,
# non-linearity, a way not to see the future. It ended with two failures. A verb that looks for its
# subject and its object at once gets a mixture of both; and two layers, stacked, were worse than
# one. **How can a word look for several things, how can many layers be stacked, and how does one
# stack write a text while it reads another?**
#
# **After this lecture you can**
#
# - write attention with matrices, in several heads, and say which transposes stand where;
# - derive the $\sqrt{d/h}$, and measure what happens without it;
# - say what residual connections and layer normalization do to the gradient, by depth;
# - build encoder and decoder layers that equal PyTorch's, in values and in gradients;
# - test a mask so that one read the wrong way round cannot pass;
# - assemble an encoder–decoder and put it through the ritual before training.
#
# **You need** lectures 07 (gradient through depth) and 12 (queries, keys, values, masks,
# positions). **Time**: 90 minutes to read; all cells together run in under a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $d$, $h$, $N$ | numbers | width of a position's vector; number of heads; layers |
# | $m$ | number | inner width of the feed-forward network |
# | $T$, $S$ | numbers | positions that ask, and positions that are asked (lecture 12's $n$) |
# | $x_i$, $X$ | $d$, $T\times d$ | a position's vector; all of them, one a **row** |
# | $Q$, $K$, $V$ | $d\times d$ | of queries, keys, values; $Q_l$, of head $l$: $d\times d/h$ |
# | $q_i$, $k_j$, $v_j$ | $d/h$ | query, key, value, within one head |
# | $e_{ij}$, $\alpha_{ij}$ | $T\times S$ | score and weight; $i$ asks, $j$ is asked |
# | $w$, $A$ | number, $S\times S$ | $d/h$; the softmax's Jacobian (section 2) |
# | $Y$ | $d\times d$ | weights of the output |
# | $H$, $Z$ | $S\times d$, $T\times d$ | vectors of encoder and decoder, rows $h_j$ and $z_i$ |
# | $\gamma$, $\beta$, $\varepsilon$ | $d$, $d$, number | layer norm's gain and bias; $10^{-5}$ |
# | $W_1$, $W_2$, $b_1$, $b_2$ | $d\times m$, $m\times d$, $m$, $d$ | feed-forward network |
# | $E$, $U$ | $\lvert V\rvert\times d$ | input and output vectors of words or characters, as ever |
# | $J$, $G$ | number, $T\times d$ | a loss; a gradient sent back into an output |
#
# $K$ is a matrix here; $V$ is one too, and $\lvert V\rvert$ still a number of words. $h$ alone is
# the number of heads, and $h_j$ with an index a vector, as in the notes.

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import re
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from lectures import corpora, figures
from lectures.gradient_check import judge
from lectures.intervals import bootstrap_interval

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # for every comparison; what we train is float32
blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. $Kx_i$ or $XK$: one transpose, said once
#
# Two positions, $x_1=(1,0)$ and $x_2=(1,1)$, and a matrix that makes keys of them. Written for one
# vector, as a column, the key is $k_i = Kx_i$, as in lecture 12. Written for all of them, as rows
# of $X$, the keys are the rows of $XK$. Both formulas stand in the notes, side by side. They cannot
# hold for the same $K$:
#
# $$\text{row } i \text{ of } XK \;=\; x_i^\top K \;=\; (K^\top x_i)^\top .$$
#
# **Predict before you run.** $K=\begin{pmatrix}1&2\\0&1\end{pmatrix}$. What are $Kx_1$ and $Kx_2$,
# and what are the rows of $XK$? Which error do you get if you mix them up?
#
# <details><summary>Answer</summary>
#
# $Kx_1 = (1,0)$ and $Kx_2=(3,1)$; the rows of $XK$ are $(1,2)$ and $(1,3)$. No error at all: $K$ is
# square, so both shapes fit. Only the numbers are wrong.
#
# </details>

# %%
X = np.array([[1.0, 0], [1, 1]])
K_column = np.array([[1.0, 2], [0, 1]])  # for k_i = K x_i
keys = np.array([K_column @ x_i for x_i in X])
print("K x_i:", keys.tolist(), "  rows of XK:", (X @ K_column).tolist())
np.testing.assert_array_equal(keys, X @ K_column.T)
assert not np.allclose(keys, X @ K_column)

# %% [markdown]
# > **The notes say** $k_i = Kx_i$ and, on the same page, $XK$. **Right is**: the $K$ of one is the
# > transpose of the other's. Check: the cell above.
#
# From here on **a position is a row**: $q_i = x_iQ$, $k_j = x_jK$, $v_j = x_jV$, and for a whole
# text $XQ$, $XK$, $XV$. All scores at once are $e = XQ(XK)^\top$: entry $i,j$ is row $i$ of $XQ$
# times row $j$ of $XK$: $q_i\cdot k_j$. With a softmax over each row of $e$, one attention is
#
# $$\mathrm{output} = \mathrm{softmax}\big(XQ\,(XK)^\top\big)\,XV .$$
#
# A third convention is PyTorch's: `nn.Linear` stores the *column* matrix and computes with its
# transpose. Whoever copies weights has to know.

# %%
random = np.random.default_rng(0)
X = random.normal(size=(5, 4))  # T = 5 positions, d = 4
Q, K, V = random.normal(0, 0.7, (3, 4, 4))


def softmax(e):
    a = np.exp(e - e.max(axis=-1, keepdims=True))
    return a / a.sum(axis=-1, keepdims=True)


output = softmax(X @ Q @ (X @ K).T) @ (X @ V)
one_by_one = []
for x_i in X:  # the notes' columns, one query at a time, with the transposes as their matrices
    e_i = np.array([(Q.T @ x_i) @ (K.T @ x_j) for x_j in X])
    one_by_one.append(sum(a * (V.T @ x_j) for a, x_j in zip(softmax(e_i), X, strict=True)))
np.testing.assert_allclose(output, one_by_one)
linear = nn.Linear(4, 4, bias=False)
linear.weight.data = torch.tensor(K.T)
np.testing.assert_allclose(linear(torch.tensor(X)).detach(), X @ K)
print("rows, columns and nn.Linear: equal, once each has its transpose")

# %% [markdown]
# ## 2. Why the scores are divided by $\sqrt{d/h}$
#
# A score is a sum of as many products as the query has entries. Let $w=d/h$ be their number, and
# let all entries of $q$ and $k$ be independent with mean 0 and variance 1, as they are about at the
# start of training. Then each product has mean 0 and variance $1\cdot1$, and variances of
# independent terms add up:
#
# $$\mathrm{Var}(q\cdot k) = \sum_{c=1}^{w}\mathrm{Var}(q_ck_c) = w,\qquad
#   \mathrm{Var}\Big(\frac{q\cdot k}{\sqrt w}\Big) = 1 .$$

# %%
widths = 2 ** np.arange(0, 11, 2)
for width in widths:
    q, k = random.normal(size=(2, 10_000, width))
    variance = (q * k).sum(axis=1).var()
    print(f"width {width:4}: variance / width = {variance / width:.1f}")
    assert abs(variance / width - 1) < 0.1

# %% [markdown]
# At width 64, a usual one, scores have a standard deviation of 8. A softmax over such scores gives
# nearly everything to the largest: it is **saturated**. What that does to learning, its derivative
# says. From $\alpha_i = e^{e_i}/\sum_j e^{e_j}$,
#
# $$\frac{\partial\alpha_i}{\partial e_j} = \alpha_i\big([i=j]-\alpha_j\big),\qquad
#   \text{as a matrix } A = \mathrm{diag}(\alpha)-\alpha\alpha^\top .$$
#
# With one weight near 1 and the rest near 0, every entry is near 0. Judge: autograd.


# %%
def softmax_jacobian(alpha):
    """∂α_i/∂e_j for each row of α, shape (…, S, S)."""
    return alpha[..., :, None] * (np.eye(alpha.shape[-1]) - alpha[..., None, :])


e = np.array([1.0, 0.5, 0.0, -0.5, -1.0, -1.5])
oracle = torch.autograd.functional.jacobian(lambda t: t.softmax(dim=0), torch.tensor(e))
np.testing.assert_allclose(softmax_jacobian(softmax(e)), oracle)
print("scores × 1:", softmax(e).round(2), f" ‖A‖ = {np.linalg.norm(oracle):.2f}")
hot = softmax_jacobian(softmax(30 * e))
print("scores × 30:", softmax(30 * e).round(2), f" ‖A‖ = {np.linalg.norm(hot):.0e}")
assert np.linalg.norm(hot) < 1e-2 * np.linalg.norm(oracle)

# %% [markdown]
# What reaches the query is $\partial\alpha/\partial q = A\,k$, where $k$ has the keys as rows, over
# $\sqrt w$ if we scale. Without scaling the keys are not divided, which is $\sqrt w$ times *more*
# gradient. Does the saturation outweigh it? A thousand queries, 32 keys each; the median and the
# middle 80%.


# %%
def weights_and_gradient(width, scale, queries=1_000, S=32):
    """10, 50 and 90% quantiles over queries of the largest weight and of ‖∂α/∂q‖: (3, 2)."""
    q, k = random.normal(size=(queries, 1, width)), random.normal(size=(queries, S, width))
    alpha = softmax((q * k).sum(axis=-1) / scale)
    gradient = softmax_jacobian(alpha) @ k / scale
    both = alpha.max(axis=1), np.linalg.norm(gradient, axis=(1, 2))
    return np.quantile(both, [0.1, 0.5, 0.9], axis=1)


scaled = np.array([weights_and_gradient(w, np.sqrt(w)) for w in widths])
raw = np.array([weights_and_gradient(w, 1.0) for w in widths])
for name, table in (("scaled", scaled), ("not scaled", raw)):
    for at in (3, 5):
        low, middle, high = table[at, :, 1]
        print(f"{name:10}, width {widths[at]:4}: largest weight {table[at, 1, 0]:.1f}, "
              f"‖∂α/∂q‖ {middle:.1g} [{low:.0g}, {high:.0g}]")  # fmt: skip
assert np.ptp(scaled[2:, 1], axis=0).max() < 0.05  # from width 16 on: one median
assert (scaled[2:, 2, 1] < 1.5 * scaled[2:, 0, 1]).all()
assert raw[3, 1, 0] > 0.8
assert raw[3, 2, 1] > 100 * raw[3, 0, 1]
assert raw[5, 1, 1] < 0.1 * scaled[5, 1, 1]

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 3.7))
for i, ax in enumerate(axes):
    for table, color, line in ((scaled, blue, "-"), (raw, red, "--")):
        ax.plot(widths, table[:, 1, i], line, color=color)
        ax.fill_between(widths, table[:, 0, i], table[:, 2, i], color=color, alpha=0.15)
    ax.set_xscale("log", base=2)
    ax.set_xticks(widths, [str(w) for w in widths])
    ax.set(xlabel="width d/h of a head")
axes[1].set_yscale("log")
axes[0].set(ylabel="largest of 32 weights", ylim=(0, 1.05))
axes[1].set(ylabel="‖∂α/∂q‖", ylim=(1e-8, 30))
places = ((60, 0.27), (2, 0.72)), ((2, 0.03), (70, 1e-5))
for ax, (at_scaled, at_raw) in zip(axes, places, strict=True):
    ax.annotate("scaled", at_scaled, color=blue)
    ax.annotate("not scaled", at_raw, color=red)
fig.suptitle("Only scaled scores behave the same at every width",
             x=0.01, ha="left", weight="bold", fontsize=12)  # fmt: skip
figures.show(
    fig,
    f"""Median and middle 80% of a thousand queries against the head's width, 1 to 1,024. Left, the
    largest of 32 attention weights: scaled near {scaled[3, 1, 0]:.1f} at every width; not scaled it
    rises to {raw[3, 1, 0]:.1f} at 64 and {raw[5, 1, 0]:.1f} at 1,024. Right, the norm of the
    gradient of the weights in the query, log scale: scaled near {scaled[3, 1, 1]:.1f} with a narrow
    band; not scaled the band spans a factor of over a hundred at 64, and at 1,024 the median is
    below a tenth of the scaled one.""",
)

# %% [markdown]
# The usual sentence, "unscaled scores make the gradient vanish", is half of it. At width 64 the
# *median* query gets more gradient than with scaling. But one query in ten gets next to none and
# another in ten a great deal: who learns is a lottery. Far beyond, the median vanishes too. Scaled,
# every width is the same problem, with one learning rate for all.
#
# > **The notes** leave out the scale in their first formulas, and in cross-attention. **Here** it
# > stands throughout: $\mathrm{softmax}\big(XQ_l(XK_l)^\top/\sqrt{d/h}\big)XV_l$, and it is the
# > width of *one head* that counts, not $d$.
#
# **What the argument does not say.** It needs independent entries. If a query equals its key,
# $q\cdot q$ has mean $w$, and after scaling still $\sqrt w$. Training may sharpen weights as it
# likes; the scale only sees to it that it *begins* where the softmax has a slope.

# %%
q = random.normal(size=(1_000, 64))
self_scores = (q * q).sum(axis=1) / 8
print(f"scaled q·q at width 64: mean {self_scores.mean():.1f}")
assert abs(self_scores.mean() - 8) < 0.2

# %% [markdown]
# The gradient of attention is lecture 12's, with $1/\sqrt{d/h}$ once in front of the queries'
# gradient and once in front of the keys'. From here on autograd differentiates our forward pass,
# and the judge is PyTorch's own modules with our weights: values *and* gradients.
#
# ## 3. Several heads
#
# One softmax, one distribution: a position that must look in two places gets the **average** of
# both, and an average does not say which was which. Take words without positions, and let *slew*
# look half at each neighbor:

# %%
word = dict(zip(["Cain", "slew", "Abel"], random.normal(size=(3, 4)), strict=True))


def look(sentence, alpha):
    """What rows of weights `alpha` bring back from a sentence's words, joined."""
    return (np.array(alpha) @ np.array([word[w] for w in sentence.split()])).ravel()


for heads, alpha in (("one head", [[0.5, 0, 0.5]]), ("two heads", [[1, 0, 0], [0, 0, 1]])):
    same = np.allclose(look("Cain slew Abel", alpha), look("Abel slew Cain", alpha))
    print(f"{heads}: who slew whom is {'lost' if same else 'kept'}")
    assert same == (heads == "one head")

# %% [markdown]
# So let $h$ heads look, each with matrices of its own that are $d\times d/h$, and put their outputs
# side by side: width $d$ again.
#
# $$\mathrm{output}_l = \mathrm{softmax}\Big(\frac{XQ_l(XK_l)^\top}{\sqrt{d/h}}\Big)XV_l,\qquad
#   \mathrm{output} = [\mathrm{output}_1,\dots,\mathrm{output}_h]\,Y .$$
#
# > **The notes say** $Y[\mathrm{output}_1,\dots,\mathrm{output}_h]$. **Right is**, with a position
# > as a row, $[\dots]\,Y$: $Y[\dots]$ would mix positions instead of heads, and has no shape at
# > all unless $T=d$.
#
# Nobody runs $h$ small products. $Q_1,\dots,Q_h$ side by side are one $d\times d$ matrix $Q$, so
# $XQ$ holds the queries of all heads: head $l$ has columns $(l-1)\frac dh+1$ to $l\frac dh$. Cut
# each **row** into $h$ pieces, shape $T\times h\times d/h$, then exchange the first two axes:
# $h\times T\times d/h$. Head by head that is $h$ attentions at once. The smallest example has entry
# $10\cdot$position $+$ column:

# %%
numbers = torch.tensor([[10 * i + c for c in range(1, 5)] for i in range(1, 4)])  # T = 3, d = 4
right = numbers.reshape(3, 2, 2).transpose(0, 1)  # cut rows, exchange axes: (h, T, d/h)
wrong = numbers.reshape(2, 3, 2)  # the shape is the same
print("right, head 1:", right[0].tolist())
print("wrong, head 1:", wrong[0].tolist())
assert right.shape == wrong.shape
torch.testing.assert_close(right, torch.stack([numbers[:, :2], numbers[:, 2:]]))

# %% [markdown]
# **The classic bug** is the second line: one `reshape` to the shape that is wanted. No error, and
# head 1 now holds *both* halves of position 1 and half of position 2, as if they were three
# positions. What catches it is the definition with a loop over heads, and a test of behavior,
# which we come to.


# %%
def split(X, h):
    """(…, T, d) → (…, h, T, d/h)."""
    return X.unflatten(-1, (h, -1)).transpose(-3, -2)


def join(X):
    """(…, h, T, d/h) → (…, T, d): split, undone."""
    return X.transpose(-3, -2).flatten(-2)


def attend(q, k, v, may=None):
    """Weights (…, T, S) and output (…, T, width); `may`: True where i may attend to j."""
    e = q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5
    if may is not None:
        e = e.masked_fill(~may, -torch.inf)
    alpha = e.softmax(dim=-1)
    return alpha, alpha @ v


# %%
T, d, h = 6, 8, 2
X = torch.tensor(random.normal(size=(T, d)))
Q, K, V, Y = (torch.tensor(A) for A in random.normal(0, d**-0.5, (4, d, d)))
causal = torch.ones(T, T, dtype=torch.bool).tril()  # j ≤ i: itself and the past (lecture 12)
assert causal.sum(dim=1).tolist() == [1, 2, 3, 4, 5, 6]


def many_heads(X, split=split, join=join):
    q, k, v = (split(X @ A, h) for A in (Q, K, V))
    return join(attend(q, k, v, causal)[1]) @ Y


columns = [slice(start, start + d // h) for start in range(0, d, d // h)]
loop = [attend(X @ Q[:, c], X @ K[:, c], X @ V[:, c], causal)[1] for c in columns]
torch.testing.assert_close(many_heads(X), torch.cat(loop, dim=-1) @ Y)
by_rows = sum(output @ Y[c] for output, c in zip(loop, columns, strict=True))
torch.testing.assert_close(many_heads(X), by_rows)
print("reshaped = loop over heads = sum over heads of output_l times its rows of Y")

# %% [markdown]
# The last line says what $Y$ does: $[\mathrm{output}_1,\dots]\,Y = \sum_l \mathrm{output}_l\,Y_l$,
# where $Y_l$ are its rows for head $l$. Heads are independent readers whose reports are **added**.
#
# Now the test of behavior: which outputs move when one input moves? With the causal mask the answer
# must be $j\le i$, **all** of these and no other.
#
# **Predict before you run.** With the bug, going in, or going in and coming back: does a position
# see the future?
#
# <details><summary>Answer</summary>
#
# Going in only: yes. Both ways: no! Head 1 then works on the first half of the text and head 2 on
# the second, neatly causal within each. A test that only asks "is the future hidden?" passes. What
# is missing is the *past*: the second half never sees the first.
#
# </details>


# %%
def reads(f, X):
    """Boolean table: does row i of f(X) move when row j of X does?"""
    table = []
    for j in range(len(X)):
        moved = X.clone()
        moved[j] = X[j].flip(0)  # another vector in its place
        table.append((f(moved) - f(X)).abs().amax(dim=-1) > 1e-9)
    return torch.stack(table, dim=1)


def bug_in(X, h):
    return X.reshape(h, len(X), -1)


def bug_out(X):
    return X.reshape(X.shape[-2], -1)


tables = {
    "right": reads(many_heads, X),
    "bug going in": reads(lambda X: many_heads(X, bug_in), X),
    "bug both ways": reads(lambda X: many_heads(X, bug_in, bug_out), X),
}
for name, table in tables.items():
    future, lost = int((table & ~causal).sum()), int((causal & ~table).sum())
    print(f"{name:13}: sees the future in {future} pairs, misses the past in {lost}")
assert tables["right"].equal(causal)
assert (tables["bug going in"] & ~causal).any()
assert not (tables["bug both ways"] & ~causal).any()
assert not tables["bug both ways"].equal(causal)

# %% [markdown]
# ### The module, and its twin in PyTorch
#
# One class for self-attention ($Z=H=X$) and for cross-attention. Each weight has a bias, as in
# PyTorch. `as_torch` gives our parameters, or their gradients, under PyTorch's names and in its
# layout: the three column matrices on top of each other.


# %%
def parameter(*shape):
    """Glorot's uniform start for a matrix, zeros for a vector."""
    start = torch.zeros(shape)
    return nn.Parameter(nn.init.xavier_uniform_(start) if len(shape) == 2 else start)


class MultiHead(nn.Module):
    """[output_1 … output_h] Y, with queries from Z (…, T, d), keys and values from H (…, S, d)."""

    def __init__(self, d, h):
        super().__init__()
        self.h = h
        self.Q, self.K, self.V, self.Y = (parameter(d, d) for _ in range(4))
        self.b_Q, self.b_K, self.b_V, self.b_Y = (parameter(d) for _ in range(4))

    def forward(self, Z, H, may=None):
        q = split(Z @ self.Q + self.b_Q, self.h)  # (…, h, T, d/h)
        k, v = split(H @ self.K + self.b_K, self.h), split(H @ self.V + self.b_V, self.h)
        self.alpha, output = attend(q, k, v, may)
        return join(output) @ self.Y + self.b_Y

    def as_torch(self, get):
        return {
            "in_proj_weight": torch.cat([get(A).T for A in (self.Q, self.K, self.V)]),
            "in_proj_bias": torch.cat([get(b) for b in (self.b_Q, self.b_K, self.b_V)]),
            "out_proj.weight": get(self.Y).T,
            "out_proj.bias": get(self.b_Y),
        }


# %% [markdown]
# The judge of all modules to come. It moves our weights away from their start (a bias of 0 would
# hide a bug), copies them, runs both, sends the same random $G$ back through both, and compares the
# output, the gradient in every input and the gradient in every parameter.


# %%
def same_as_torch(name, ours, theirs, inputs, run_ours, run_theirs):
    with torch.no_grad():
        for p in ours.parameters():
            p.add_(0.1 * torch.randn_like(p))
    theirs.load_state_dict(ours.as_torch(lambda p: p.detach()))
    outputs, gradients = [], []
    for module, run in ((ours, run_ours), (theirs, run_theirs)):
        leaves = [x.clone().requires_grad_() for x in inputs]
        outputs.append(run(module, *leaves))
        module.zero_grad()
        generator = torch.Generator().manual_seed(0)
        outputs[-1].backward(torch.randn(outputs[-1].shape, generator=generator))
        gradients.append([leaf.grad for leaf in leaves])
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)
    mine = ours.as_torch(lambda p: p.grad)
    yours = {key: p.grad for key, p in theirs.named_parameters()}
    assert min(g.abs().max() for g in yours.values()) > 1e-3, "too near zero to judge"
    torch.testing.assert_close(mine, yours, rtol=1e-9, atol=1e-10)
    count = sum(g.numel() for g in yours.values())
    print(f"{name}: output, gradients of inputs and of {count:,} parameters are equal")


torch.manual_seed(0)
B, S = 3, 5
X, H = torch.randn(B, T, d), torch.randn(B, S, d)
same_as_torch(
    "self-attention, causal",
    MultiHead(d, h),
    nn.MultiheadAttention(d, h, batch_first=True),
    [X],
    lambda f, X: f(X, X, causal),
    lambda f, X: f(X, X, X, attn_mask=~causal, need_weights=False)[0],
)
same_as_torch(
    "cross-attention",
    MultiHead(d, h),
    nn.MultiheadAttention(d, h, batch_first=True),
    [X, H],
    lambda f, Z, H: f(Z, H),
    lambda f, Z, H: f(Z, H, H, need_weights=False)[0],
)

# %% [markdown]
# The weights are there too, averaged over heads unless you ask otherwise:

# %%
ours, theirs = MultiHead(d, h), nn.MultiheadAttention(d, h, batch_first=True)
theirs.load_state_dict(ours.as_torch(lambda p: p.detach()))
ours(X, H)
torch.testing.assert_close(theirs(X, H, H)[1], ours.alpha.mean(dim=1))
torch.testing.assert_close(theirs(X, H, H, average_attn_weights=False)[1], ours.alpha)

# %% [markdown]
# One of these parameters does nothing. A bias on the keys adds $q_i\cdot b_K$ to **every** score of
# query $i$, and a softmax does not see what is added to all (lecture 01).

# %%
before = ours(X, H).detach()
with torch.no_grad():
    ours.b_K += 100.0
    torch.testing.assert_close(ours(X, H), before)
    ours.b_Q += 1.0
    assert not torch.allclose(ours(X, H), before)
print("b_K + 100: no change.  b_Q + 1: change")

# %% [markdown]
# ## 4. Two conventions for one mask
#
# Look at `~causal` above. Lecture 12 met it: PyTorch reads a boolean mask in two ways. Here is the
# whole table, and how such a slip gets past one's tests.
#
# | | `True` means | causal mask |
# |---|---|---|
# | `F.scaled_dot_product_attention`, `attn_mask` | **may** attend | `tril()` |
# | `nn.MultiheadAttention` and all transformer layers, `attn_mask` | is **masked** | `triu(1)` |
# | the same, `key_padding_mask` | is padding, **masked** | |
# | ours, `may` | may attend | `tril()` |
#
# A float mask is added to the scores in both, 0 or $-\infty$, so it cannot be read the wrong way.
#
# **Predict before you run.** Hand a causal mask to the wrong one. Each position now sees the future
# and *not* itself or the past. What happens to the last position, which has no future? Which of
# these tests fail: the output has the right shape; all of it is finite; changing the mask changes
# the result; gradients arrive?
#
# <details><summary>Answer</summary>
#
# A softmax over nothing is $0/0$, and one would hope for a `nan`. The fused kernels return 0
# instead. So none of the four tests fails. (Only `nn.MultiheadAttention` asked for its weights, on
# its slower path, gives `nan`.)
#
# </details>

# %%
verse = corpora.wycliffe_king_james()[0].king_james.rstrip(".").split()
T, d, h = len(verse), 16, 2
torch.manual_seed(0)
X, mha = torch.randn(T, d), nn.MultiheadAttention(d, h, batch_first=True)
tril = torch.ones(T, T, dtype=torch.bool).tril()
calls = {
    "scaled_dot_product_attention, tril": lambda X: F.scaled_dot_product_attention(
        X[None], X[None], X[None], attn_mask=tril)[0],
    "scaled_dot_product_attention, triu(1)": lambda X: F.scaled_dot_product_attention(
        X[None], X[None], X[None], attn_mask=~tril)[0],
    "MultiheadAttention, triu(1)": lambda X: mha(X, X, X, attn_mask=~tril, need_weights=False)[0],
    "MultiheadAttention, tril": lambda X: mha(X, X, X, attn_mask=tril, need_weights=False)[0],
}  # fmt: skip
for f in calls.values():
    leaf = X.clone().requires_grad_()
    f(leaf).pow(2).sum().backward()
    assert f(X).shape == X.shape  # four careless tests, and all four calls pass
    assert f(X).isfinite().all()
    assert not torch.allclose(f(X), mha(X, X, X)[0])
    assert leaf.grad.norm() > 0
assert mha(X, X, X, attn_mask=tril)[0][-1].isnan().all()

# %% [markdown]
# The test that catches it asks what the mask is *for*: the table of who reads whom must be the
# lower triangle. One moved input at a time, as in section 3:

# %%
tables = {name: reads(f, X) for name, f in calls.items()}
for name, table in tables.items():
    right = table.equal(tril)
    print(f"{name:37} {'right' if right else 'WRONG: sees the future, not the past'}")
    assert right == (name.split(", ")[1] == ("tril" if "scaled" in name else "triu(1)"))
    if not right:
        assert (table & ~tril).equal(~tril)  # all of the future
        assert not table.tril(-1).any()  # nothing of the past
        assert not table[-1].any()

# %% [markdown]
# (Read the wrong way, a word's output still depends on the word itself, through its *query*; but it
# collects nothing from it.)

# %%
fig, axes = plt.subplots(2, 2, figsize=(7, 6.8), sharex=True, sharey=True)
for ax, (name, table) in zip(axes.ravel(), tables.items(), strict=True):
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1.6)
    function, mask = name.split(", ")
    ax.set_title(f"{function}\n{mask}: {'right' if table.equal(tril) else 'WRONG'}", fontsize=9)
    ax.set_xticks(range(T), verse, rotation=90, fontsize=9)
    ax.set_yticks(range(T), verse, fontsize=9)
    ax.grid(visible=False)
fig.supylabel("position that asks, i", fontsize=10)
fig.supxlabel("position that it depends on (blue), j", fontsize=10)
fig.suptitle("One triangle: right in one function, wrong in the other",
             x=0.01, ha="left", weight="bold", fontsize=12)  # fmt: skip
figures.show(
    fig,
    f"""Four tables for the {T} words of Genesis 1:1: which outputs move when a word moves.
    scaled_dot_product_attention with tril and MultiheadAttention with triu(1) give the lower
    triangle with its diagonal, {int(tril.sum())} of {T * T} pairs. Exchanged, both give the
    {int((~tril).sum())} pairs above the diagonal: each word depends on all later words and on none
    before it, and the last word on nothing.""",
)

# %% [markdown]
# ## 5. Depth: residual connections and layer normalization
#
# A transformer layer has two **sublayers**: attention, which moves information between positions,
# and a feed-forward network (lecture 12), the same at each position:
#
# $$\mathrm{FF}(x) = \mathrm{ReLU}(xW_1+b_1)\,W_2+b_2 .$$
#
# Stacked as they are, they lose the gradient. The notes list two "training tricks". The
# **residual connection** is lecture 07's skip connection, $X \leftarrow X +
# \mathrm{sublayer}(X)$: the gradient has a path without factors. **Layer normalization** gives each
# position's vector mean 0 and variance 1 over its $d$ entries, then a learned gain and bias:
#
# $$\mathrm{LN}(x) = \gamma\odot\hat x + \beta,\qquad
#   \hat x = \frac{x-\mu}{s},\quad \mu=\frac1d\sum_c x_c,\quad
#   s = \sqrt{\tfrac1d\sum_c (x_c-\mu)^2+\varepsilon} .$$
#
# **Predict before you run.** What is $\hat x$ for $x=(1,2,3,6)$? And for $10x+7$?
#
# <details><summary>Answer</summary>
#
# $\mu=3$, the deviations are $-2,-1,0,3$, their mean square is $\frac{14}{4}$, so $\hat x\approx
# (-1.07,-0.53,0,1.60)$. For $10x+7$ the same, up to $\varepsilon$: shift and scale are gone.
#
# </details>


# %%
def normalize(x, eps=1e-5):
    """x̂ and s of each row."""
    mu = x.mean(axis=-1, keepdims=True)
    s = np.sqrt(((x - mu) ** 2).mean(axis=-1, keepdims=True) + eps)
    return (x - mu) / s, s


x = np.array([1.0, 2, 3, 6])
print("x̂ =", normalize(x)[0].round(2), "  of 10x + 7:", normalize(10 * x + 7)[0].round(2))
np.testing.assert_allclose(normalize(x)[0], normalize(10 * x + 7)[0], rtol=1e-5)
np.testing.assert_allclose(normalize(x)[0], F.layer_norm(torch.tensor(x), (4,)))

# %% [markdown]
# Two slips that are often written: the *unbiased* variance, with $d-1$, and $\varepsilon$ added to
# the deviation, outside the root. Both give plausible numbers and other ones:

# %%
for name, slip in (
    ("d − 1", (x - x.mean()) / np.sqrt(x.var(ddof=1) + 1e-5)),
    ("ε outside", (x - x.mean()) / (x.std() + 1e-5)),
):
    off = abs(slip[0] / normalize(x)[0][0] - 1)
    print(f"{name:9}: off by {off:.0e}")
    assert off > 1e-6

# %% [markdown]
# **Its gradient.** Let $g=\gamma\odot\partial J/\partial\mathrm{LN}$. Moving $x_c$ moves $\hat x_c$
# directly, and every $\hat x$ through $\mu$ and through $s$. The second and third effect subtract
# two means:
#
# $$\frac{\partial J}{\partial x} = \frac1s\Big(g - \overline{g} -
#   \hat x\;\overline{g\odot\hat x}\Big),\qquad
#   \frac{\partial J}{\partial\gamma} = \sum_{\text{rows}} \frac{\partial J}{\partial\mathrm{LN}}
#   \odot\hat x,\qquad
#   \frac{\partial J}{\partial\beta} = \sum_{\text{rows}}\frac{\partial J}{\partial\mathrm{LN}} .$$


# %%
def layer_norm_gradient(x, gamma, G):
    """∂J/∂x, ∂J/∂γ, ∂J/∂β, where G = ∂J/∂LN(x); x and G have one position a row."""
    x_hat, s = normalize(x)
    g = gamma * G
    mean_g = g.mean(axis=-1, keepdims=True)
    mean_gx = (g * x_hat).mean(axis=-1, keepdims=True)
    return (g - mean_g - x_hat * mean_gx) / s, (G * x_hat).sum(axis=0), G.sum(axis=0)


parts = [random.normal(0, 2, (3, 6)), random.uniform(0.5, 1.5, 6), random.normal(size=6)]
G = random.normal(size=(3, 6))
for i, name in enumerate("xγβ"):

    def ours(part, i=i):
        x, gamma, beta = [*parts[:i], part, *parts[i + 1 :]]
        return ((gamma * normalize(x)[0] + beta) * G).sum()

    def theirs(part, i=i):
        fixed = [torch.tensor(other) for other in parts]
        x, gamma, beta = [*fixed[:i], part, *fixed[i + 1 :]]
        return (F.layer_norm(x, (6,), gamma, beta) * torch.tensor(G)).sum()

    judge(f"∂J/∂{name}", layer_norm_gradient(*parts[:2], G)[i], ours, theirs, parts[i])

# %% [markdown]
# Two consequences. The gradient is orthogonal to $\mathbf 1$ and to $\hat x$: what normalization
# throws away, shift and scale, gets none. And it is divided by $s$: a vector ten times longer
# passes on a tenth of the gradient. That is the brake on explosion.

# %%
x, gamma = parts[:2]
grad_x, long_x = (layer_norm_gradient(scale * x, gamma, G)[0] for scale in (1, 10))
print(f"ten times the input: {np.linalg.norm(long_x) / np.linalg.norm(grad_x):.2f} of the gradient")
assert np.isclose(np.linalg.norm(long_x) / np.linalg.norm(grad_x), 0.1, rtol=1e-4)
assert np.abs(grad_x.sum(axis=1)).max() < 1e-12
assert np.abs((grad_x * normalize(x)[0]).sum(axis=1)).max() < 1e-4  # up to ε


# %%
class LayerNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(d)), parameter(d)

    def forward(self, x):
        centered = x - x.mean(dim=-1, keepdim=True)
        s = (centered.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return self.gamma * centered / s + self.beta

    def as_torch(self, get):
        return {"weight": get(self.gamma), "bias": get(self.beta)}


class FeedForward(nn.Module):
    def __init__(self, d, m):
        super().__init__()
        self.W_1, self.b_1 = parameter(d, m), parameter(m)
        self.W_2, self.b_2 = parameter(m, d), parameter(d)

    def forward(self, X):
        return torch.relu(X @ self.W_1 + self.b_1) @ self.W_2 + self.b_2


same_as_torch("layer norm", LayerNorm(8), nn.LayerNorm(8), [torch.randn(3, 5, 8)],
              lambda f, X: f(X), lambda f, X: f(X))  # fmt: skip

# %% [markdown]
# Each position is normalized by itself. So neither the other verses of a batch nor padding changes
# the result, which is why it suits text (batch normalization averages over both):

# %%
X = torch.randn(3, 5, 8)
torch.testing.assert_close(LayerNorm(8)(X)[1, 2], LayerNorm(8)(X[1, 2]))

# %% [markdown]
# ### Measured: 24 layers, five ways to stack them
#
# King James as characters, 4 windows of 64: random vectors plus the sinusoids of lecture 12. Each
# layer is attention and feed-forward, with Glorot's start. Send a random gradient back from the
# top: what arrives at each layer? Two ways to place the norm:
#
# $$\textbf{post-norm: } X\leftarrow\mathrm{LN}\big(X+\mathrm{sublayer}(X)\big),\qquad
#   \textbf{pre-norm: } X\leftarrow X+\mathrm{sublayer}\big(\mathrm{LN}(X)\big).$$


# %%
def sinusoids(T, d):
    """Lecture 12's positions, (T, d): sines in even columns, cosines in odd ones."""
    angle = torch.arange(T)[:, None] / 10_000 ** (torch.arange(0, d, 2) / d)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


np.testing.assert_allclose(sinusoids(1, 4)[0], [0, 1, 0, 1])
np.testing.assert_allclose(sinusoids(2, 4)[1, [0, 2]], np.sin([1, 1 / 100]))
text = "".join(corpora.king_james_chapters("train"))
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text[:500_000]])
torch.manual_seed(1)
d, h, m, depth, T = 64, 4, 256, 24, 64
start = torch.randn(len(chars), d)[ids[: 4 * T].view(4, T)] + sinusoids(T, d)
sublayers = [(MultiHead(d, h), FeedForward(d, m)) for _ in range(depth)]


def layers_up(residual, norm):
    """The vectors before each layer and after the last, a list of (4, T, d)."""
    X, unit = [start.clone().requires_grad_()], LayerNorm(d)
    for attention, feed_forward in sublayers:
        now = X[-1]
        for sublayer in (lambda X, f=attention: f(X, X), feed_forward):
            out = sublayer(unit(now) if norm == "pre" else now)
            now = now + out if residual else out
            now = unit(now) if norm == "post" else now
        X.append(now)
    return X


def alike(X):
    """Mean cosine between two positions of one window."""
    unit = F.normalize(X.detach(), dim=-1)
    cosines = unit @ unit.transpose(-2, -1)
    return ((cosines.sum(dim=(-2, -1)) - T) / (T * (T - 1))).mean().item()


# %%
stacks = {
    "plain": (False, None),
    "residual": (True, None),
    "norm": (False, "post"),
    "post-norm": (True, "post"),
    "pre-norm": (True, "pre"),
}
r = torch.randn(4, T, d)
back, cosine = {}, {}
for name, (residual, norm) in stacks.items():
    X = layers_up(residual, norm)
    top = LayerNorm(d)(X[-1]) if norm == "pre" else X[-1]
    norms = [g.norm().item() for g in torch.autograd.grad((r * top).sum(), X)]
    back[name], cosine[name] = np.array(norms) / norms[-1], [alike(level) for level in X]
    print(f"{name:9}: gradient at the input 1e{np.log10(back[name][0]):+.0f} of the top's; "
          f"cosine of two positions after 4 layers {cosine[name][4]:.1f}")  # fmt: skip

# %%
assert back["plain"][0] < 1e-5
assert back["residual"][0] > 1e6
for name in ("norm", "post-norm", "pre-norm"):
    assert 0.01 < back[name].min() <= back[name].max() < 10
assert cosine["norm"][4] > 0.95
assert cosine["pre-norm"][4] < 0.75
assert cosine["pre-norm"][-1] < 0.95
assert all(cosine["post-norm"][level] > cosine["pre-norm"][level] for level in (4, 12, 24))

# %%
fig, axes = plt.subplots(1, 2, figsize=(7, 4.2))
styles = {"plain": (red, "--"), "residual": (orange, "-."), "norm": ("black", ":"),
          "post-norm": (green, "-"), "pre-norm": (blue, "-")}  # fmt: skip
for name, (color, line) in styles.items():
    width = 2.6 if name == "pre-norm" else 1.4
    axes[0].semilogy(back[name], line, color=color, linewidth=width)
    axes[1].plot(cosine[name], line, color=color, linewidth=width)
axes[0].annotate("plain", (9, 2e-6), color=red)
axes[0].annotate("residual only", (8, 3e6), color=orange)
axes[0].annotate("the three with norms", (2, 12), color=blue)
axes[1].annotate("pre-norm", (14, 0.7), color=blue)
for words, at, to, color in (
    ("post-norm", (2, 0.1), (5.3, 0.84), green),
    ("residual only", (11, 0.4), (7.3, 0.82), orange),
):
    arrow = {"arrowstyle": "-", "color": color, "linewidth": 0.8}
    axes[1].annotate(words, to, at, color=color, arrowprops=arrow)
axes[1].annotate("plain, and norm only: 1 at once", (3.5, 1.02), color="black", fontsize=9)
axes[0].set(xlabel="layer", ylabel="gradient norm, 1 at the top", ylim=(1e-9, 1e11))
axes[1].set(xlabel="layer", ylabel="cosine of two positions", ylim=(0, 1.1))
fig.suptitle("The norm keeps the gradient's size; the residual keeps positions apart",
             x=0.01, ha="left", weight="bold", fontsize=12)  # fmt: skip
figures.show(
    fig,
    f"""Stacks of 24 layers at the start of training. Left, the gradient's norm by layer, log scale,
    1 at the top: plain, it falls to about 1e{np.log10(back["plain"][0]):.0f} at the input; with
    residuals only it explodes to about 1e{np.log10(back["residual"][0]):.0f}; with layer norm,
    without residuals or with them, before or after, it stays between 0.01 and 10. Right, the mean
    cosine of two positions' vectors: without residuals it is above 0.95 after 4 layers; pre-norm it
    is {cosine["pre-norm"][4]:.1f} after 4 layers and {cosine["pre-norm"][-1]:.1f} after 24.""",
)

# %% [markdown]
# **What it says.** Plain layers lose the gradient, as lecture 07 foretold. Residuals alone make it
# explode: $I + A$ with an $A$ that is not small, 48 times. Layer norm alone seems to cure the
# gradient; but look to the right. Attention *averages*, and averages of averages are all alike:
# after four layers without residuals, all 64 positions hold nearly the same vector, whatever
# character stood there (Dong, Cordonnier and Loukas 2021). The gradient has a good size and nothing
# to tell. So both tricks are needed, for different reasons. Even then positions grow more alike at
# this start, post-norm faster than pre-norm.
#
# ## 6. The encoder layer
#
# Attention, feed-forward, each with residual and norm. Post-norm is the paper of 2017; pre-norm
# what most models use since. Pre-norm leaves the sum of all layers unnormalized, so one last norm
# stands at the top of the stack.


# %%
def around(X, sublayer, norm, pre):
    """One sublayer with its residual connection and its norm."""
    return X + sublayer(norm(X)) if pre else norm(X + sublayer(X))


def prefixed(**parts):
    return {f"{name}.{key}": p for name, part in parts.items() for key, p in part.items()}


class EncoderLayer(nn.Module):
    def __init__(self, d, h, m, pre):
        super().__init__()
        self.pre, self.attention, self.feed_forward = pre, MultiHead(d, h), FeedForward(d, m)
        self.norm_1, self.norm_2 = LayerNorm(d), LayerNorm(d)

    def forward(self, X, may=None):
        X = around(X, lambda X: self.attention(X, X, may), self.norm_1, self.pre)
        return around(X, self.feed_forward, self.norm_2, self.pre)

    def as_torch(self, get):
        ff = self.feed_forward
        return prefixed(
            self_attn=self.attention.as_torch(get),
            linear1={"weight": get(ff.W_1).T, "bias": get(ff.b_1)},
            linear2={"weight": get(ff.W_2).T, "bias": get(ff.b_2)},
            norm1=self.norm_1.as_torch(get),
            norm2=self.norm_2.as_torch(get),
        )


# %% [markdown]
# Judge: `nn.TransformerEncoderLayer`, four times, with verses of 7, 5 and 4 positions padded to 7.
# (PyTorch's default drops a tenth of all values; to compare, we set `dropout=0`.)

# %%
d, h, m, T, S = 8, 2, 12, 7, 5
causal = torch.ones(T, T, dtype=torch.bool).tril()
torch.manual_seed(0)
X, pad = torch.randn(3, T, d), torch.arange(T) >= torch.tensor([[7], [5], [4]])  # True: padding
may_pad = ~pad[:, None, None, :]  # (B, 1, 1, T): the same for each head and each query
for pre in (False, True):
    for name, may, mask in (("", may_pad, None), (", causal", may_pad & causal, ~causal)):
        same_as_torch(
            f"encoder layer, {'pre' if pre else 'post'}-norm, padding{name}",
            EncoderLayer(d, h, m, pre),
            nn.TransformerEncoderLayer(d, h, m, dropout=0.0, batch_first=True, norm_first=pre),
            [X],
            lambda f, X, may=may: f(X, may),
            lambda f, X, mask=mask: f(X, src_mask=mask, src_key_padding_mask=pad),
        )

# %% [markdown]
# And padding does not matter: a verse alone gives what it gives beside longer ones.

# %%
layer = EncoderLayer(d, h, m, pre=True)
torch.testing.assert_close(layer(X, may_pad)[2, :4], layer(X[2, :4]))
assert not torch.allclose(layer(X)[2, :4], layer(X[2, :4]))  # without the mask it does
print("padded and masked = alone; padded and not masked: not")

# %% [markdown]
# ## 7. The decoder layer: reading one text while writing another
#
# The decoder's vectors $Z$, one a target word, ask; the encoder's vectors $H$, one a source word,
# are asked. Keys and values come from $H$, "like a memory", queries from $Z$:
#
# $$q_i = z_iQ,\quad k_j = h_jK,\quad v_j = h_jV,\qquad
#   \mathrm{output}_l = \mathrm{softmax}\Big(\frac{ZQ_l\,(HK_l)^\top}{\sqrt{d/h}}\Big)\,HV_l .$$
#
# > **The notes** give $H$ and $Z$ the same length $T$, and no scale. **Right is**: a translation is
# > as long as it is; $H$ is $S\times d$ and $Z$ is $T\times d$, the weights are $T\times S$; and
# > the scores are scaled as everywhere. Checks: the shapes below, and the twins.
#
# On a real pair, with $d=8$ and $h=2$:

# %%
pair = next(p for p in corpora.wycliffe_king_james() if p[:3] == ("Genesis", 1, 3))
source, target = pair.wycliffe.split(), pair.king_james.split()
print("H:", " ".join(source), "\nZ:", " ".join(target))
S, T = len(source), len(target)
H, Z, cross = torch.randn(S, d), torch.randn(T, d), MultiHead(d, h)
q, k, v = split(Z @ cross.Q, h), split(H @ cross.K, h), split(H @ cross.V, h)
alpha, output = attend(q, k, v)
for name, value in (("H", H), ("Z", Z), ("q", q), ("k", k), ("v", v), ("scores, weights", alpha),
                    ("output per head", output), ("joined", join(output))):  # fmt: skip
    print(f"{name:15} {tuple(value.shape)}")
torch.testing.assert_close(join(output) @ cross.Y, cross(Z, H))  # the biases start at 0
torch.testing.assert_close(alpha.sum(dim=-1), torch.ones(h, T))
assert alpha.shape == (h, T, S)
assert cross(Z, H).shape == Z.shape
assert S != T

# %% [markdown]
# One row out for each row of $Z$: cross-attention keeps the *target's* length. Each row of weights
# sums to 1 over the *source*. **What breaks**: $H$ and $Z$ exchanged. If a test uses $S=T$, the
# shapes fit and nothing tells; so test with $S\neq T$.

# %%
assert cross(H, Z).shape != Z.shape  # exchanged, S ≠ T: seen at once
assert cross(H[:6], Z[:6]).shape == Z[:6].shape  # S = T: not seen
assert not torch.allclose(cross(H[:6], Z[:6]), cross(Z[:6], H[:6]))
print(f"exchanged: {tuple(cross(H, Z).shape)} where {tuple(Z.shape)} belongs")

# %% [markdown]
# The decoder layer has three sublayers:
#
# ```text
#            Z  (T × d)
#            │
#   self-attention, causal       q, k, v from Z        weights (h, T, T), lower triangle
#            │ + residual, norm
#   cross-attention              q from Z; k, v from H weights (h, T, S), all of the source
#            │ + residual, norm
#   feed-forward                 each position alone   (T × d) → (T × m) → (T × d)
#            │ + residual, norm
#            Z  (T × d)
# ```
#
# No causal mask in the middle one: the whole source is known. Only its padding is masked.


# %%
class DecoderLayer(nn.Module):
    def __init__(self, d, h, m, pre):
        super().__init__()
        self.pre, self.feed_forward = pre, FeedForward(d, m)
        self.attention, self.cross = MultiHead(d, h), MultiHead(d, h)
        self.norm_1, self.norm_2, self.norm_3 = (LayerNorm(d) for _ in range(3))

    def forward(self, Z, H, may=None, may_H=None):
        Z = around(Z, lambda Z: self.attention(Z, Z, may), self.norm_1, self.pre)
        Z = around(Z, lambda Z: self.cross(Z, H, may_H), self.norm_2, self.pre)
        return around(Z, self.feed_forward, self.norm_3, self.pre)

    def as_torch(self, get):
        ff = self.feed_forward
        return prefixed(
            self_attn=self.attention.as_torch(get),
            multihead_attn=self.cross.as_torch(get),
            linear1={"weight": get(ff.W_1).T, "bias": get(ff.b_1)},
            linear2={"weight": get(ff.W_2).T, "bias": get(ff.b_2)},
            norm1=self.norm_1.as_torch(get),
            norm2=self.norm_2.as_torch(get),
            norm3=self.norm_3.as_torch(get),
        )


# %%
S, T = 5, 7
H, Z = torch.randn(3, S, d), torch.randn(3, T, d)
pad_H = torch.arange(S) >= torch.tensor([[3], [5], [4]])
may_H = ~pad_H[:, None, None, :]
for pre in (False, True):
    same_as_torch(
        f"decoder layer, {'pre' if pre else 'post'}-norm",
        DecoderLayer(d, h, m, pre),
        nn.TransformerDecoderLayer(d, h, m, dropout=0.0, batch_first=True, norm_first=pre),
        [Z, H],
        lambda f, Z, H: f(Z, H, causal & may_pad, may_H),
        lambda f, Z, H: f(Z, H, tgt_mask=~causal, memory_key_padding_mask=pad_H,
                          tgt_key_padding_mask=pad),
    )  # fmt: skip

# %% [markdown]
# Who reads whom, by section 3's test: of the target itself and the past, of the source everything.

# %%
layer = DecoderLayer(d, h, m, pre=True)
assert reads(lambda Z: layer(Z, H[1], causal), Z[1]).equal(causal)
assert reads(lambda H: layer(Z[1], H, causal), H[1]).all()
shifted = Z[1].clone()
shifted[0] += 1.0
unmoved = layer(shifted, H[1], causal)[1:].allclose(layer(Z[1], H[1], causal)[1:])
print("target: the lower triangle; source: all. Others unmoved by adding 1 to row 1:", unmoved)
assert unmoved

# %% [markdown]
# The last line is a trap for whoever writes such a test: add the same number to all of a position's
# entries, and a pre-norm layer hides it from all others, since the norm removes a shift. A test
# that perturbs this way would call any mask right. `reads` puts another vector in its place.

# %% [markdown]
# ## 8. Norm before or after?
#
# Both are equal to PyTorch's; are they equally good to train? First the gradient **before the first
# step**: a causal character model of $N$ of our layers, Glorot's start, and the norm of $\partial
# J/\partial W_2$ layer by layer (geometric mean of three starts).
#
# **Predict before you run.** A layer's weights get a gradient that came down from the top. In which
# of the two do the last layers get less of it when the stack is made deeper?
#
# <details><summary>Answer</summary>
#
# In pre-norm. The stream is a sum of $2N$ sublayers, which the last norm divides by its length,
# about $\sqrt N$. So the last layers' gradient falls as the stack grows. In post-norm each norm
# brings the stream back to length $\sqrt d$; depth does not shorten what the last layers get
# (Xiong et al. 2020).
#
# </details>

# %%
torch.set_default_dtype(torch.float32)


def windows(B, T, generator, ids=ids):
    """B windows of T characters, and the same one character on."""
    at = torch.randint(len(ids) - T, (B,), generator=generator)
    part = ids[at[:, None] + torch.arange(T + 1)]
    return part[:, :-1], part[:, 1:]


def start_gradients(N, pre, seed, d=64, T=64):
    """‖∂J/∂W_2‖ of each layer before the first step."""
    torch.manual_seed(seed)
    E, U, layers = torch.randn(len(chars), d), parameter(len(chars), d), []
    x, y = windows(8, T, torch.Generator().manual_seed(seed))
    X, past = E[x] + sinusoids(T, d), torch.ones(T, T, dtype=torch.bool).tril()
    for _ in range(N):
        layers.append(EncoderLayer(d, 4, 4 * d, pre))
        X = layers[-1](X, past)
    scores = (LayerNorm(d)(X) if pre else X) @ U.T
    F.cross_entropy(scores.flatten(0, 1), y.flatten()).backward()
    return np.array([layer.feed_forward.W_2.grad.norm().item() for layer in layers])


at_start = {}
for pre in (True, False):
    for N in (6, 12, 24):
        three = [start_gradients(N, pre, seed) for seed in range(3)]
        at_start[pre, N] = np.exp(np.log(three).mean(axis=0))
    last = [at_start[pre, N][-1] for N in (6, 12, 24)]
    print(f"{'pre' if pre else 'post'}-norm, last layer of 6, 12, 24:",
          [f"{g / last[0]:.1f}" for g in last], "of that of 6")  # fmt: skip
assert at_start[True, 24][-1] < 0.75 * at_start[True, 6][-1]
assert at_start[False, 24][-1] > at_start[False, 6][-1]
assert at_start[True, 24][-1] < 0.5 * at_start[True, 24][0]
assert at_start[False, 24][-1] > 1.5 * at_start[False, 24][0]

# %%
fig, ax = plt.subplots(figsize=(7, 4.2))
for N, line in ((6, ":"), (12, "--"), (24, "-")):
    for pre, color in ((True, blue), (False, green)):
        values = at_start[pre, N]
        ax.semilogy(np.linspace(0, 1, N), values, line, color=color)
        up = {(False, 6): 1.04, (False, 12): 0.95}.get((pre, N), 1.0)  # labels that would overlap
        ax.annotate(f"{N} layers", (1.01, up * values[-1]), color=color, va="center", fontsize=9)
ax.annotate("post-norm", (0.45, 2), color=green)
ax.annotate("pre-norm", (0.45, 0.28), color=blue)
ax.set_yticks([0.3, 0.5, 1, 2], ["0.3", "0.5", "1", "2"])
ax.minorticks_off()
ax.set_xticks([0, 0.5, 1], ["first layer", "middle", "last"])
ax.set(ylabel="‖∂J/∂W₂‖ before the first step", xlim=(-0.03, 1.15), ylim=(0.2, 3))
ax.set_title("Post-norm: the last layers get the most; pre-norm: the least")
figures.show(
    fig,
    f"""Norm of the gradient of W₂ against the layer's place in stacks of 6, 12 and 24, log scale.
    Pre-norm falls from first to last layer, at 24 layers to {at_start[True, 24][-1]:.1f}, and the
    more layers the lower. Post-norm with 24 layers rises from {at_start[False, 24][0]:.1f} to
    {at_start[False, 24][-1]:.1f}, and more layers do not lower its end.""",
)

# %% [markdown]
# ### Training, with and without warm-up
#
# **Warm-up** lets the learning rate rise from 0 over the first steps. Twelve narrow layers
# ($d=32$), Adam at a rate of 0.003, high for such depth; 160 steps on the King James Bible; without
# warm-up, and with 80 steps of it; two seeds of each post-norm network. Our layers have been proved
# equal to the library's, so the library's train: they are faster.


# %%
class CharacterModel(nn.Module):
    """Causal: scores of the next character at each position, (B, T) → (B, T, |V|)."""

    def __init__(self, d, h, m, N, pre):
        super().__init__()
        self.embed, self.U = nn.Embedding(len(chars), d), nn.Linear(d, len(chars))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d, h, m, dropout=0.0, batch_first=True, norm_first=pre)
            for _ in range(N)
        )
        self.norm = nn.LayerNorm(d) if pre else nn.Identity()
        nn.init.normal_(self.U.weight, std=0.02)  # first scores near 0, first loss near log |V|

    def forward(self, x):
        T = x.shape[1]
        X = self.embed(x) + sinusoids(T, self.U.in_features)
        future = torch.ones(T, T, dtype=torch.bool).triu(1)  # these layers: True is masked
        for layer in self.layers:
            X = layer(X, src_mask=future)  # with is_causal=True it would not look at the mask
        return self.U(self.norm(X))


def train(pre, warm_up, seed, N=12, steps=160, rate=3e-3):
    """The trained model, and its bits per character at each step."""
    torch.manual_seed(seed)
    model, losses = CharacterModel(32, 4, 128, N, pre), []
    adam, generator = torch.optim.Adam(model.parameters()), torch.Generator().manual_seed(seed)
    for step in range(1, steps + 1):
        adam.param_groups[0]["lr"] = rate * min(1, step / max(warm_up, 1))
        x, y = windows(8, 32, generator)
        J = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        adam.zero_grad()
        J.backward()
        adam.step()
        losses.append(J.item() / np.log(2))
    return model, np.array(losses)


# %%
model = CharacterModel(32, 4, 128, 2, pre=True)
x, y = windows(1, 8, torch.Generator().manual_seed(0))
changed = x.clone()
changed[0, 5] = (x[0, 5] + 1) % len(chars)
moved = (model(changed) - model(x)).abs().amax(dim=-1)[0] > 1e-6
assert moved.tolist() == [False] * 5 + [True] * 3
X = model.embed(x) + sinusoids(8, 32)  # and each sees itself: the same with torch's own mask
for layer in model.layers:
    X = layer(X, src_mask=nn.Transformer.generate_square_subsequent_mask(8))
torch.testing.assert_close(model(x), model.U(model.norm(X)))
assert (x[:, 1:] == y[:, :-1]).all()
print("no look-ahead; targets are the inputs, one character on")

# %%
arms = {(pre, warm_up): [] for pre in (True, False) for warm_up in (0, 80)}
for (pre, warm_up), results in arms.items():
    results += [train(pre, warm_up, seed) for seed in ((0,) if pre else (0, 1))]
generator = torch.Generator().manual_seed(0)
valid = torch.tensor([chars.index(c) for c in "".join(corpora.king_james_chapters("valid"))])
x_valid, y_valid = windows(100, 32, generator, valid)


@torch.no_grad()
def unseen_bits(model):
    """Bits per character of 100 windows of chapters that no model has seen."""
    J = F.cross_entropy(model(x_valid).transpose(1, 2), y_valid, reduction="none")
    return J.mean(dim=1).numpy() / np.log(2)


unseen = {arm: np.mean([unseen_bits(model) for model, _ in arms[arm]], axis=0) for arm in arms}
share = torch.bincount(ids) / len(ids)
unigram = -(share[share > 0] * share[share > 0].log2()).sum().item()
print(f"letter frequencies alone: {unigram:.1f} bits")
for (pre, warm_up), bits in unseen.items():
    assert (bits.mean() > 4) == ((pre, warm_up) == (False, 0))
    verdict = "stuck at the letter frequencies" if bits.mean() > 4 else "learns, below 4 bits"
    print(f"{'pre' if pre else 'post'}-norm, warm-up {warm_up:2}: {verdict}")
for better in ((False, 80), (True, 0)):
    low, high = bootstrap_interval(lambda a, b: np.mean(a - b), unseen[False, 0], unseen[better])
    assert low > 0.4

# %%
fig, ax = plt.subplots(figsize=(7, 4.4))
looks = {(True, 0): (blue, "-"), (True, 80): (blue, ":"), (False, 80): (green, "-."),
         (False, 0): (red, "--")}  # fmt: skip
for arm, (color, line) in looks.items():
    for _, losses in arms[arm]:
        smooth = np.convolve(losses, np.ones(10) / 10, "valid")
        ax.plot(np.arange(10, 161), smooth, line, color=color, linewidth=1.3)
ax.axhline(unigram, color="gray", linewidth=1)
ax.annotate("letter frequencies", (161, unigram), va="bottom", color="gray", fontsize=9)
for words, at, color in (
    ("post-norm, no warm-up", (60, 4.5), red),
    ("post-norm, warm-up", (92, 3.95), green),
    ("pre-norm, warm-up", (38, 5.2), blue),
    ("pre-norm, no warm-up", (12, 3.4), blue),
):
    ax.annotate(words, at, color=color)
ax.set(xlabel="step of Adam, rate 0.003", ylabel="bits per character (mean of 10 steps)")
ax.set(xlim=(0, 205), ylim=(3, 6.2))
ax.set_title("Here post-norm needs the warm-up, and pre-norm does not")
figures.show(
    fig,
    f"""Bits per character against the step, 10 to 160, for four ways of training 12 layers.
    Pre-norm falls below 3.7 bits with and without warm-up, and post-norm with warm-up too.
    Post-norm without warm-up, two seeds, stops near {unigram:.1f} bits, the entropy of the letters'
    frequencies.""",
)

# %% [markdown]
# Post-norm without warm-up gets as far as the frequencies of the letters, 4.3 bits, which needs no
# attention at all, and stays there. With warm-up the *same* network learns. Pre-norm learns either
# way. This is one setting, chosen because it shows the effect; at a third of the rate post-norm
# needs no warm-up:

# %%
model, losses = train(pre=False, warm_up=0, seed=0, rate=1e-3)
assert losses[-20:].mean() < 4
print("post-norm, no warm-up, rate 0.001: learns, below 4 bits")

# %% [markdown]
# (Why it happens is argued to this day: Xiong et al. 2020 blame the gradient at the last layers,
# Liu et al. 2020 how strongly post-norm amplifies a change of its weights.)
#
# ## 9. The whole transformer
#
# Two stacks. The encoder reads the source; the decoder reads what has been written and, in each of
# its layers, the encoder's **last** output. Words enter as vectors plus positions; the decoder's
# vectors become scores with the output vectors $U$.


# %%
class Stacks(nn.Module):
    """N encoder and N decoder layers, and a norm at each end: (B, S, d), (B, T, d) → (B, T, d)."""

    def __init__(self, d, h, m, N, pre=True):
        super().__init__()
        self.encoder = nn.ModuleList(EncoderLayer(d, h, m, pre) for _ in range(N))
        self.decoder = nn.ModuleList(DecoderLayer(d, h, m, pre) for _ in range(N))
        self.norm_H, self.norm_Z = LayerNorm(d), LayerNorm(d)
        self.hide_future = True  # to be switched off once, to see what breaks

    def encode(self, X, may_H=None):
        for layer in self.encoder:
            X = layer(X, may_H)
        return self.norm_H(X)

    def decode(self, Z, H, may_H=None):
        past = torch.ones(Z.shape[-2], Z.shape[-2], dtype=torch.bool).tril()
        for layer in self.decoder:
            Z = layer(Z, H, past if self.hide_future else None, may_H)
        return self.norm_Z(Z)

    def as_torch(self, get):
        encoder = {f"layers.{i}": layer.as_torch(get) for i, layer in enumerate(self.encoder)}
        decoder = {f"layers.{i}": layer.as_torch(get) for i, layer in enumerate(self.decoder)}
        return prefixed(
            encoder=prefixed(**encoder, norm=self.norm_H.as_torch(get)),
            decoder=prefixed(**decoder, norm=self.norm_Z.as_torch(get)),
        )


# %% [markdown]
# One more twin, for the whole: `nn.Transformer`. Does the target's padding need a mask? No: it
# comes last, the causal mask hides it from all that is before, and what it computes is not asked.

# %%
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
for pre in (False, True):
    with warnings.catch_warnings(action="ignore"):  # that pre-norm has no fast path
        theirs = nn.Transformer(d, h, 2, 2, m, dropout=0.0, batch_first=True, norm_first=pre)
    same_as_torch(
        f"transformer, {'pre' if pre else 'post'}-norm, 2 + 2 layers",
        Stacks(d, h, m, 2, pre),
        theirs,
        [H, Z],
        lambda f, X, Z: f.decode(Z, f.encode(X, may_H), may_H),
        lambda f, X, Z: f(X, Z, tgt_mask=~causal, src_key_padding_mask=pad_H,
                          memory_key_padding_mask=pad_H),
    )  # fmt: skip

# %% [markdown]
# ### How many parameters?
#
# An attention has four $d\times d$ matrices and four biases, $4d^2+4d$; a feed-forward network
# $2dm+m+d$; a norm $2d$. The number of heads does not occur: more heads are narrower heads.
#
# $$\text{encoder layer: } 4d^2+4d+2dm+m+d+4d,\qquad
#   \text{decoder layer: } 8d^2+8d+2dm+m+d+6d .$$
#
# **Predict before you run.** The base model of 2017 has $d=512$, $m=2048$, $N=6$. How many millions
# in the two stacks? Which part has most?
#
# <details><summary>Answer</summary>
#
# $4d^2\approx1$ million an attention, three of them to an encoder and decoder layer together;
# $2dm\approx 2.1$ million a feed-forward network, two of them. So $3.1+4.2\approx 7.4$ million for
# each of the 6 pairs, 44 million; the feed-forward networks have more than the attentions.
#
# </details>


# %%
def parameters_of_stacks(d, m, N):
    attention, feed_forward, norm = 4 * d**2 + 4 * d, 2 * d * m + m + d, 2 * d
    encoder_layer = attention + feed_forward + 2 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    return N * (encoder_layer + decoder_layer) + 2 * norm


def count(module):
    return sum(p.numel() for p in module.parameters())


for heads in (1, 4):
    assert count(Stacks(16, heads, 24, 3)) == parameters_of_stacks(16, 24, 3)
with torch.device("meta"), warnings.catch_warnings(action="ignore"):  # shapes without memory
    base = nn.Transformer(512, 8, 6, 6, 2048)
assert count(base) == parameters_of_stacks(512, 2048, 6)
words = 37_000 * 512  # one table for source, target and output, as in the paper
print(
    f"base: {count(base) / 1e6:.1f} million; with words {(count(base) + words) / 1e6:.0f} million"
)

# %% [markdown]
# Vaswani et al. (2017, Table 3) say 65 million; their vocabulary is "about 37,000" tokens.
#
# ### With words
#
# Wycliffe's Genesis 1 and King James's. What counts here is one batch, so whole words will do as
# tokens (lecture 09 has better ones): all words of the chapter, both languages, and three more.

# %%
chapter = [p for p in corpora.wycliffe_king_james() if p[:2] == ("Genesis", 1)]


def tokens(text):
    return re.findall(r"\w+|[^\w\s]", text.lower())


sides = [[tokens(p.wycliffe) for p in chapter], [tokens(p.king_james) for p in chapter]]
vocabulary = ["<PAD>", "<START>", "<END>", *sorted({w for side in sides for t in side for w in t})]
number = {w: i for i, w in enumerate(vocabulary)}
PAD, START, END = range(3)


def batch(texts, start=False):
    """Numbers, (B, longest), with <END>, padded; with <START> too if asked."""
    rows = [[START] * start + [number[w] for w in text] + [END] for text in texts]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


x, y = batch(sides[0][:16]), batch(sides[1][:16], start=True)
assert [vocabulary[i] for i in y[2] if i != PAD] == ["<START>", *sides[1][2], "<END>"]
assert [vocabulary[i] for i in x[2] if i != PAD] == [*sides[0][2], "<END>"]
print(f"{len(chapter)} verse pairs, |V| = {len(vocabulary)}; a batch of 16: "
      f"source {tuple(x.shape)}, target {tuple(y.shape)}")  # fmt: skip


# %%
class Translator(nn.Module):
    """Scores of the next target word: (B, S), (B, T) → (B, T, |V|)."""

    def __init__(self, d, h, m, N):
        super().__init__()
        self.E = nn.Parameter(torch.randn(len(vocabulary), d))
        self.U = nn.Parameter(0.02 * torch.randn(len(vocabulary), d))
        self.stacks = Stacks(d, h, m, N)

    def embed(self, x):
        return self.E[x] + sinusoids(x.shape[1], self.E.shape[1])

    def forward(self, x, y):
        may_H = (x != PAD)[:, None, None, :]
        H = self.stacks.encode(self.embed(x), may_H)
        return self.stacks.decode(self.embed(y), H, may_H) @ self.U.T


def loss(model, x, y, reduction="mean"):
    """Teacher forcing: read y up to t, predict word t + 1; padding is not counted."""
    scores = model(x, y[:, :-1]).transpose(1, 2)
    return F.cross_entropy(scores, y[:, 1:], ignore_index=PAD, reduction=reduction)


# %% [markdown]
# ### The ritual
#
# Before any training (each assignment of this course opens with it): is the first loss near
# $\log\lvert V\rvert$, are the gradients right, can it overfit one batch? And the tests of
# behavior, on the whole: no look-ahead, padding changes nothing, and the source changes something.

# %%
model = Translator(d=64, h=4, m=256, N=2)
expected = parameters_of_stacks(64, 256, 2) + 2 * len(vocabulary) * 64
assert count(model) == expected
first = loss(model, x, y).item()
print(f"{expected:,} parameters; first loss {first:.2f}, log |V| = {np.log(len(vocabulary)):.2f}")
assert abs(first - np.log(len(vocabulary))) < 0.1

# %% [markdown]
# **Gradients.** The modules were judged one by one; is the whole wired right? Three verses, central
# differences for two numbers of each of its parameters, against autograd. (The step is small, for
# ReLU has a kink: a step across it measures neither slope.)

# %%
x_3, y_3 = batch(sides[0][:3]), batch(sides[1][:3], start=True)
model.zero_grad()
loss(model, x_3, y_3).backward()
checked = 0
for p in model.parameters():
    flat, slope = p.data.view(-1), p.grad.view(-1)
    for i in {int(slope.abs().argmax()), int(slope.abs().argsort()[-2])}:
        values = []
        for step in (1e-6, -1e-6):
            flat[i] += step
            values.append(loss(model, x_3, y_3).item())
            flat[i] -= step
        difference = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose(slope[i], difference, rtol=1e-4, atol=1e-9)
        checked += 1
print(f"{checked} slopes of {len(list(model.parameters()))} parameters agree")

# %% [markdown]
# **Behavior**, at the level of words: put another word in place of target word $j$.

# %%
with torch.no_grad():
    scores = model(x_3, y_3)
    for j in range(1, y_3.shape[1]):
        changed = y_3.clone()
        changed[:, j] = number["light"] + (y_3[:, j] == number["light"])
        moved = (model(x_3, changed) - scores).abs().amax(dim=(0, 2)) > 1e-9
        assert moved.tolist() == [t >= j for t in range(y_3.shape[1])]
    alone = model(batch(sides[0][:1]), batch(sides[1][:1], start=True))
    torch.testing.assert_close(alone[0], scores[0, : alone.shape[1]])
    log_p = alone[0].log_softmax(dim=-1)  # the loss by hand: row t is asked for word t + 1
    by_hand = -sum(log_p[t, number[w]] for t, w in enumerate([*sides[1][0], "<END>"]))
    total = loss(model, batch(sides[0][:1]), batch(sides[1][:1], start=True), "sum")
    torch.testing.assert_close(total, by_hand)
    each = [loss(model, batch([a]), batch([b], start=True), "sum")
            for a, b in zip(sides[0][:3], sides[1][:3], strict=True)]  # fmt: skip
    torch.testing.assert_close(loss(model, x_3, y_3, "sum"), sum(each))  # padding costs nothing
    words = sum(len(text) + 1 for text in sides[1][:3])  # each with its <END>
    torch.testing.assert_close(loss(model, x_3, y_3), sum(each) / words)
    assert not torch.allclose(model(x_3.roll(1, 0), y_3), scores)
    swapped = x_3.clone()
    swapped[:, [0, 1]] = x_3[:, [1, 0]]
    assert not torch.allclose(model(swapped, y_3), scores)
print("no look-ahead; padded = alone; another source, or another order of it: other scores")

# %% [markdown]
# **Overfit one batch**: 16 verses, Adam, float32. A network that cannot learn sixteen verses by
# heart will not learn a language; if it cannot, look for a bug, not for more data. Beside it, the
# same network with its causal mask **forgotten**.
#
# **Predict before you run.** Does the one without the mask overfit too? Does it know its verses?
#
# <details><summary>Answer</summary>
#
# It overfits as well as the other: word $t+1$, which it has to predict, is in its input. And it
# cannot write a single verse: when it writes, the next word is not there to be copied. A low loss
# does not prove that a network works; let it *do* what it is for.
#
# </details>

# %%
torch.set_default_dtype(torch.float32)


def overfit(hide_future, steps=100):
    torch.manual_seed(0)
    model, losses = Translator(d=64, h=4, m=256, N=2), []
    model.stacks.hide_future = hide_future
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        J = loss(model, x, y)
        adam.zero_grad()
        J.backward()
        adam.step()
        losses.append(J.item())
    return model, np.array(losses)


model, losses = overfit(hide_future=True)
peeking, peeking_losses = overfit(hide_future=False)
assert losses[-1] < 0.05
assert peeking_losses[-1] < 0.05
print("after 100 steps: both below 0.05 nats a word")


# %%
@torch.no_grad()
def translate(model, x, longest=60):
    """Greedy: the most probable word, again and again (lecture 10), for each row of x."""
    y = torch.full((len(x), 1), START)
    while y.shape[1] < longest and not (y == END).any(dim=1).all():
        y = torch.cat([y, model(x, y)[:, -1:].argmax(dim=-1)], dim=1)
    rows = [row.tolist()[1:] for row in y]
    return [[vocabulary[i] for i in (row[: row.index(END)] if END in row else row)] for row in rows]


by_heart, peeked = translate(model, x), translate(peeking, x)
print(" ".join(sides[0][2]), "\n→", " ".join(by_heart[2]))
assert by_heart == sides[1][:16]
assert not any(a == b for a, b in zip(peeked, sides[1][:16], strict=True))
print("with the mask: all 16 verses, word for word; mask forgotten: not one")

# %%
fig, ax = plt.subplots()
ax.semilogy(losses, "-", color=blue)
ax.semilogy(peeking_losses, "--", color=red)
ax.axhline(np.log(len(vocabulary)), color="gray", linewidth=1)
ax.annotate("log |V|", (92, np.log(len(vocabulary)) * 1.15), color="gray")
ax.annotate("with the mask: 16 of 16 verses", (42, 0.7), color=blue)
ax.annotate("mask forgotten: 0 of 16", (8, 0.06), color=red)
ax.set(xlabel="step of Adam", ylabel="nats per target word", ylim=(0.008, 12))
ax.set_title("Both overfit the batch; one of them cannot write a verse")
figures.show(
    fig,
    f"""Loss in nats per word on 16 verse pairs over 100 steps, log scale, of two transformers, with
    the causal mask and with the mask forgotten. Both start at log |V|, which is
    {np.log(len(vocabulary)):.1f}, and fall below 0.05, hardly apart. The first then writes all 16
    verses, the second none.""",
)

# %% [markdown]
# ### What has it learned?
#
# Sixteen verses. Three measurements say how little that is. A **wrong source** (each verse gets its
# neighbor's): how much likelihood is lost? The **other verses** of the same chapter, same words.
# And the **weights** of its cross-attention.


# %%
@torch.no_grad()
def nats_per_word(model, x, y):
    """One number for each verse."""
    return (loss(model, x, y, "none").sum(dim=1) / (y[:, 1:] != PAD).sum(dim=1)).numpy()


right_source, wrong_source = nats_per_word(model, x, y), nats_per_word(model, x.roll(1, 0), y)
low, high = bootstrap_interval(lambda a, b: np.mean(a - b), wrong_source, right_source)
x_new, y_new = batch(sides[0][16:]), batch(sides[1][16:], start=True)
new = nats_per_word(model, x_new, y_new)
counts = 1 + torch.bincount(y[:, 1:].flatten(), minlength=len(vocabulary)).float()
counts[PAD] = 0
unigram_loss = -(counts / counts.sum()).log()[y_new[:, 1:][y_new[:, 1:] != PAD]].mean().item()
none_right = not any(a == b for a, b in zip(translate(model, x_new), sides[1][16:], strict=True))
print("its 16 verses: below 0.1 nats a word; with a wrong source: over 0.2 more;")
print("the 15 other verses: above 3, and none translated")
assert right_source.max() < 0.1
assert low > 0.2
assert wrong_source.mean() < 2
assert new.mean() > max(3, unigram_loss - 1)
assert none_right

# %% [markdown]
# The wrong source costs likelihood, with an interval well above 0, but far from the 5.7 nats of a
# uniform guess. So the network does read its source, and mostly it goes by its own first words:
# after "and god said, let there be" there is little left to guess. On the other verses of the
# chapter it is about as good as a count of the words in its sixteen.

# %%
same_word = {"god": "god", "light": "liyt", "heaven": "heuene", "waters": "watris", "said": "seide",
             "earth": "erthe", "day": "dai", "night": "nyyt", "darkness": "derknessis"}  # fmt: skip
with torch.no_grad():
    model(x, y[:, :-1])
alpha = model.stacks.decoder[-1].cross.alpha.mean(dim=1).numpy()  # mean of the heads: (B, T, S)
on_it, chance = [], []
for weights, old, new_words in zip(alpha, *(side[:16] for side in sides), strict=True):
    for i, word in enumerate(new_words):  # row i reads what is before, and writes this word
        found = [w == same_word.get(word) for w in old]
        if any(found):
            on_it.append(weights[i, : len(old)][found].sum())
            chance.append(sum(found) / (len(old) + 1))
ratio = np.mean(on_it) / np.mean(chance)
print(f"{len(on_it)} words with a known counterpart; its weight: under 2.5 times chance")
assert 0.5 < ratio < 2.5

# %%
asked, asks = [*sides[0][2], "<END>"], ["<START>", *sides[1][2]]
one = alpha[2, : len(asks), : len(asked)]
assert np.median(one.max(axis=1)) < 0.5
fig, ax = plt.subplots(figsize=(7, 5.4))
image = ax.imshow(one, cmap="viridis", vmin=0, vmax=0.6)
ax.set_xticks(range(len(asked)), asked, rotation=60, fontsize=9)
ax.set_yticks(range(len(asks)), asks, fontsize=9)
ax.grid(visible=False)
fig.colorbar(image, label="weight α, mean of 4 heads")
ax.set(xlabel="source word that is asked, j", ylabel="target word that asks, i")
ax.set_title("Sixteen verses by heart need no alignment")
figures.show(
    fig,
    f"""Cross-attention of the last decoder layer for Genesis 1:3, {len(asks)} target words by
    {len(asked)} source words, mean of 4 heads: no diagonal; the largest weight of a row is
    mostly below a half. Over all 16 verses the counterpart of nine common words
    gets less than 2.5 times its share by chance.""",
)

# %% [markdown]
# Here and there a row that is about to write *light* looks at *liyt*, and one verse is soon found
# to prove anything. Counted over all sixteen, the counterpart gets little more than its share by
# chance. A network that has seen too little hardly reads.
#
# **The scores after training.** Section 2 divided by $\sqrt{d/h}$ so that scores *begin* with a
# deviation near 1. They need not stay there: to read its source sharply, a head may grow its
# queries and keys.


# %%
@torch.no_grad()
def score_deviation(model):
    """Standard deviation, within a row, of the scaled cross-attention scores of one verse."""
    model(x[:1, : len(sides[0][0]) + 1], y[:1, : len(sides[1][0]) + 1])
    logs = [layer.cross.alpha.log() for layer in model.stacks.decoder]  # scores, up to a constant
    return torch.stack([e.std(dim=-1).mean() for e in logs]).mean().item()


torch.manual_seed(0)
before, after = score_deviation(Translator(d=64, h=4, m=256, N=2)), score_deviation(model)
print("deviation of the scores: near 1 at the start, over 1.4 times that after training")
assert 0.5 < before < 1.3
assert after > 1.4 * before

# %% [markdown]
# ## 10. What we showed
#
# | claim | its check |
# |---|---|
# | The $K$ of $Kx_i$ is the transpose of that of $XK$; mixing them up raises no error | section 1 |
# | The variance of a score is the width of the head | section 2, six widths |
# | Unscaled, the gradient's size is a lottery at width 64, gone at 1,024 | section 2 |
# | Reshaped heads equal a loop over heads; $Y$ adds their reports | section 3 |
# | Without the transpose a network hides the future and loses the past | section 3, `reads` |
# | Our multi-head attention is `nn.MultiheadAttention` | section 3, values and gradients |
# | A bias on the keys does nothing | section 3 |
# | A mask read the wrong way passes four careless tests, not `reads` | section 4, both |
# | Layer norm, its gradient; $\varepsilon$ inside the root, not $d-1$ | section 5, judges, twin |
# | Norms keep the gradient's size; residuals keep positions apart | section 5, 24 layers |
# | Encoder and decoder layers, pre- and post-norm, equal PyTorch's | sections 6 and 7 |
# | Padding, masked, changes nothing; cross-attention is $T\times S$ | sections 6 and 7 |
# | At the start post-norm's last layers get most, pre-norm's least | section 8, 18 stacks |
# | At a high rate 12 post-norm layers need warm-up, pre-norm layers do not | section 8, intervals |
# | The whole equals `nn.Transformer`; its parameters by formula | section 9 |
# | First loss $\log\lvert V\rvert$, gradients, no look-ahead, overfits 16 verses | section 9 |
# | A low loss proves little: without the mask it overfits too, and writes nothing | section 9 |
#
# **What is left.** The transformer is built and equal to PyTorch's, part by part and as a whole. It
# knows sixteen verses by heart and can translate none besides. Twenty-eight thousand pairs are at
# hand. *What does it take to train it*: which schedule, how much regularization, which batches, and
# does it then beat the word-for-word model of 1993? That is lecture 14.
#
# ## Exercises
#
# In assignment **ps6_transformer**: scaled dot-product attention, multi-head attention by reshape,
# layer norm, a residual block, an encoder and a decoder layer with cross-attention.
#
# ## Sources
#
# - A. Vaswani et al., *Attention Is All You Need*, NeurIPS (2017): section 3.2.1 and its footnote 4
#   (the scale), 3.2.2 (heads), 3.1 (layers), Table 3 (parameters).
# - J. Ba, J. Kiros, G. Hinton, *Layer Normalization* (2016), section 3.
# - K. He et al., *Deep Residual Learning for Image Recognition*, CVPR (2016).
# - R. Xiong et al., *On Layer Normalization in the Transformer Architecture*, ICML (2020):
#   section 3 (gradient at the start, warm-up).
# - L. Liu et al., *Understanding the Difficulty of Training Transformers*, EMNLP (2020).
# - Y. Dong, J.-B. Cordonnier, A. Loukas, *Attention is not all you need: pure attention loses rank
#   doubly exponentially with depth*, ICML (2021).
# - PyTorch's documentation of `scaled_dot_product_attention`, `nn.MultiheadAttention`,
#   `nn.TransformerEncoderLayer`, `nn.TransformerDecoderLayer` and `nn.Transformer`.
