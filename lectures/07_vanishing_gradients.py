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
# # 07 Vanishing and exploding gradients: a product of many factors
#
# Lecture 06 trained a recurrent network whose equations let it look back as far as it likes, and
# found that its memory is worth about sixteen characters. **Where does the rest go? Is the past
# lost on the way forward, or is its gradient lost on the way back?** Both are one question, and its
# answer is a product.
#
# **After this lecture you can**
#
# - write $\partial h_t/\partial h_{t-k}$ as a product of Jacobians, and check it;
# - bound its norm, and say what the bound does not tell;
# - say when the spectral radius of $W_h$ decides, and when it misleads;
# - clip a gradient by its norm, and say why not by its values;
# - name four cures, and measure each.
#
# **You need** lecture 06 (BPTT) and, from linear algebra, eigenvalues and singular values.
# **Time**: 60 minutes to read; all cells together run in under a minute on one core.
#
# ## Symbols
#
# | symbol | shape | meaning |
# |---|---|---|
# | $h_t$, $a_t$, $W_h$ | $H$, $H$, $H\times H$ | lecture 06's RNN, $h_t = \varphi(a_t)$ |
# | $H$, $T$, $k$ | numbers | length of the state; steps; lag: steps back in time |
# | $A_t$ | $H\times H$ | Jacobian of one step, $\partial h_t/\partial h_{t-1}$ |
# | $\gamma$ | number | largest slope of $\varphi$: 1 for tanh, $\frac14$ for $\sigma$ |
# | $\lVert W\rVert_2$ | number | spectral **norm**: largest singular value |
# | $\rho(W)$ | number | spectral **radius**: largest absolute value of an eigenvalue |
# | $\partial^+$ | | immediate derivative: one use of a weight, its inputs held fixed |
# | $J_t$, $J$ | numbers | loss of step $t$; here $J$ is the **sum** over steps |
# | $g$, $c$, $\alpha$ | | gradient of all parameters; clipping threshold; learning rate |
# | $x_t$, $w$, $b$ | numbers | section 7: the state of one unit, its weight, its bias |
# | $x_l$, $W_l$ | $H$, $H\times H$ | section 9: what layer $l$ gives, its weights |
# | $f$, $\omega_i$ | numbers | section 9: a gate, a weight of attention |

# %%
if __name__ != "__main__":
    raise ImportError("a lecture is run, not imported; its helpers are corpora and figures")

import json
import re

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from safetensors.numpy import load_file

from lectures import corpora, figures
from lectures.intervals import bootstrap_interval

torch.set_num_threads(1)
blue, orange, green, red = (figures.palette[k] for k in ("blue", "orange", "green", "red"))

# %% [markdown]
# ## 1. One number
#
# Let the state be one number and the step $h_t = w h_{t-1}$. Then $h_t = w^k h_{t-k}$ and
# $\partial h_t/\partial h_{t-k} = w^k$.
#
# **Predict before you run.** Through a hundred steps, what is left of a gradient of 1 for $w=0.9$,
# $w=1$ and $w=1.05$?
#
# <details><summary>Answer</summary>
#
# $0.9^{100}\approx 0.00003$, $1$, and $1.05^{100}\approx 131$. A twentieth more or less than 1 in
# each step is a factor of a hundred or more in the end.
#
# </details>

# %%
for w in (0.9, 0.95, 1.0, 1.05, 1.1):
    print(f"w = {w:<4}: w^100 = {w**100:.2g}")
leaf = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
h = leaf
for _ in range(100):
    h = 1.05 * h
h.backward()
assert np.isclose(leaf.grad.item(), 1.05**100)

# %% [markdown]
# ## 2. Many numbers: a product of Jacobians
#
# One step of the RNN is $h_t = \varphi(W_h h_{t-1} + \dots)$. Entry $i$ of $h_t$ depends on entry
# $j$ of $h_{t-1}$ with slope $\varphi'(a_{t,i})\,(W_h)_{ij}$, so
#
# $$A_t = \frac{\partial h_t}{\partial h_{t-1}} = \mathrm{diag}\big(\varphi'(a_t)\big)\,W_h,\qquad
#   \frac{\partial h_t}{\partial h_{t-k}} = A_t\,A_{t-1}\cdots A_{t-k+1}.$$
#
# The latest factor stands on the left: the oldest is applied first. Judge: PyTorch's Jacobian of
# the $k$ steps, which knows no product.


# %%
def sigma(a):
    return 1 / (1 + np.exp(-a))


slope = {np.tanh: lambda h: 1 - h**2, sigma: lambda h: h * (1 - h)}
gamma = {np.tanh: 1.0, sigma: 0.25}


def states(W_h, drive, h_0, phi=np.tanh):
    """h_0 … h_T, shape (T + 1, H); row t of `drive` is W_e e_t + b_1."""
    h = [h_0]
    for d_t in drive:
        h.append(phi(W_h @ h[-1] + d_t))
    return np.array(h)


def step_jacobians(W_h, h, phi=np.tanh):
    """A_1 … A_T, shape (T, H, H), from the states h_0 … h_T."""
    return slope[phi](h[1:])[:, :, None] * W_h


# %%
random = np.random.default_rng(0)
T, H = 10, 5
W_h, drive = random.normal(0, 0.6, (H, H)), random.normal(0, 0.6, (T, H))
h_0 = random.normal(size=H)
torch_phi = {np.tanh: torch.tanh, sigma: torch.sigmoid}


def last_state(h, phi, k):
    for d_t in torch.tensor(drive[T - k :]):
        h = torch_phi[phi](torch.tensor(W_h) @ h + d_t)
    return h


for phi in slope:
    h = states(W_h, drive, h_0, phi)
    product = np.eye(H)
    for k, A in enumerate(step_jacobians(W_h, h, phi)[::-1], start=1):
        product = product @ A  # A_T … A_{T−k+1}
        start = torch.tensor(h[T - k])
        oracle = torch.autograd.functional.jacobian(
            lambda x, k=k, p=phi: last_state(x, p, k), start
        )
        np.testing.assert_allclose(product, oracle, rtol=1e-9, atol=1e-15)
    print(f"{phi.__name__}: the products of 1 to {T} Jacobians equal autograd's")

# %% [markdown]
# What breaks: the other order. Matrices do not commute, and $A_{t-k+1}\cdots A_t$ is another
# matrix.

# %%
A = step_jacobians(W_h, states(W_h, drive, h_0))
right, wrong = np.linalg.multi_dot(A[::-1]), np.linalg.multi_dot(A)
print(f"relative difference: {np.linalg.norm(right - wrong) / np.linalg.norm(right):.0%}")
assert np.linalg.norm(right - wrong) > 0.1 * np.linalg.norm(right)

# %% [markdown]
# ## 3. Where the product stands in the gradient
#
# The loss of step $t$ depends on $W_h$ through each of its uses $i\le t$: use $i$ moves $h_i$
# (immediate derivative), $h_i$ moves $h_t$ (the product), $h_t$ moves $J_t$:
#
# $$\frac{\partial J}{\partial W_h} = \sum_{t=1}^{T}\ \sum_{i=1}^{t}\
#   \frac{\partial J_t}{\partial h_t}\
#   \underbrace{A_t A_{t-1}\cdots A_{i+1}}_{\partial h_t/\partial h_i}\
#   \frac{\partial^+ h_i}{\partial W_h}.$$
#
# > **The notes say** that $\partial L/\partial W_h$ is proportional to
# > $\sum_k\big(\prod_i\frac{\partial h_i}{\partial h_{i-1}}\big)\frac{\partial h_k}{\partial W_h}$.
# > **Right is** an equality: with $\partial J_t/\partial h_t$ in front, with the *immediate*
# > derivative at the end ($\partial h_k/\partial W_h$ would contain all earlier steps once more),
# > and summed over $t$ as well. The next cells are the check.
#
# A row vector $r = \frac{\partial J_t}{\partial h_t} A_t\cdots A_{i+1}$ turns into the term
# $(\varphi'(a_i)\odot r)\,h_{i-1}^\top$, since $\partial^+ h_i$ for a change of row $j$ of $W_h$ is
# $\varphi'(a_{i,j})$ times that change times $h_{i-1}$. Two sums, written as two loops:

# %%
targets = random.normal(size=(T, H))  # J_t = ½‖h_t − target_t‖²
h = states(W_h, drive, h_0)
A = step_jacobians(W_h, h)
terms = np.zeros((T + 1, T + 1, H, H))  # by t and i, both counted from 1
for t in range(1, T + 1):
    r = h[t] - targets[t - 1]  # ∂J_t/∂h_t
    for i in range(t, 0, -1):
        terms[t, i] = np.outer(slope[np.tanh](h[i]) * r, h[i - 1])
        r = r @ A[i - 1]  # one Jacobian further back

# %%
leaf = torch.tensor(W_h, requires_grad=True)
state, J = torch.tensor(h_0), 0.0
for d_t, target in zip(torch.tensor(drive), torch.tensor(targets), strict=True):
    state = torch.tanh(leaf @ state + d_t)
    J = J + ((state - target) ** 2).sum() / 2
J.backward()
np.testing.assert_allclose(terms.sum(axis=(0, 1)), leaf.grad, rtol=1e-9)

only_last = np.linalg.norm(terms[T].sum(axis=0) - leaf.grad.numpy())
print(f"with the sum over i alone: off by {only_last / leaf.grad.norm():.0%}")
assert only_last > 0.1 * leaf.grad.norm()
print("with both sums: equal to autograd")

# %% [markdown]
# And with the total derivative where the immediate one belongs, every earlier use is counted again:

# %%
total, overcounted = np.zeros((H, H, H)), np.zeros((H, H))
for i in range(1, T + 1):  # total: ∂h_i/∂W_h, (H, H, H), all uses up to i
    immediate = slope[np.tanh](h[i])[:, None, None] * np.eye(H)[:, :, None] * h[i - 1]
    total = immediate + np.tensordot(A[i - 1], total, axes=1)
    r = sum((h[t] - targets[t - 1]) @ np.linalg.multi_dot([np.eye(H), np.eye(H), *A[i:t][::-1]])
            for t in range(i, T + 1))  # fmt: skip
    overcounted += np.tensordot(r, total, axes=1)
off = np.linalg.norm(overcounted - leaf.grad.numpy()) / leaf.grad.norm()
print(f"with total derivatives: off by {off:.0%}")
assert off > 0.1
last = h[T] - targets[T - 1]
np.testing.assert_allclose(
    np.tensordot(last, total, axes=1), terms[T].sum(axis=0)
)  # total is right

# %% [markdown]
# If the product is small, the term is small, **whatever happened at step $i$**. It does not follow
# that $\partial J/\partial W_h$ vanishes: the terms with small lag are still there. It means that
# near steps drown far ones, and the weights learn near effects.
#
# ## 4. The bound
#
# A product's norm is at most the product of the norms. And $\lVert A_t\rVert_2 \le \gamma\lVert
# W_h\rVert_2$, because the diagonal stretches by at most $\gamma$:
#
# $$\Big\lVert\frac{\partial h_t}{\partial h_{t-k}}\Big\rVert_2 \le
#   \big(\gamma\,\lVert W_h\rVert_2\big)^k .$$
#
# So $\lVert W_h\rVert_2 < 1/\gamma$ is **sufficient** for vanishing. For exploding,
# $\lVert W_h\rVert_2 > 1/\gamma$ is **necessary**, not sufficient: a bound that grows forbids
# nothing. Try 200 random networks of each kind; the bound must hold for all of them, at each lag.


# %%
def norms_by_lag(A):
    """‖A_T ⋯ A_{T−k+1}‖₂ for k = 1 … T."""
    product, norms = np.eye(A.shape[-1]), []
    for A_t in A[::-1]:
        product = product @ A_t
        norms.append(np.linalg.norm(product, 2))
    return np.array(norms)


A = step_jacobians(W_h, states(W_h, drive, h_0))  # section 2's network
assert np.isclose(norms_by_lag(A)[3], np.linalg.norm(A[9] @ A[8] @ A[7] @ A[6], 2))

lags = np.arange(1, 31)
for phi in slope:
    slack = []
    for scale in random.uniform(0.1, 3, 200):
        W = random.normal(0, scale / np.sqrt(H), (H, H))
        h = states(W, random.normal(size=(30, H)), np.zeros(H), phi)
        bound = (gamma[phi] * np.linalg.norm(W, 2)) ** lags
        slack.append(norms_by_lag(step_jacobians(W, h, phi)) / bound)
    slack = np.array(slack)
    print(f"{phi.__name__:7}: norm / bound, median at lag 1: {np.median(slack[:, 0]):.2f},"
          f" at lag 10: {np.median(slack[:, 9]):.0e}")  # fmt: skip
    assert slack.max() <= 1 + 1e-9

# %% [markdown]
# The bound is never broken and soon far from the truth: after ten steps the typical norm is a
# thousandth of it or less. A reader of the bound alone would fear explosion where the gradient
# vanishes. What sets the rate?
#
# ## 5. The rate: norm or radius?
#
# Leave out $\varphi$ (a linear RNN: all slopes are 1), and the product is $W^k$. First the case
# where everything agrees: $W = gQ$ with $Q$ orthogonal. $Q$ turns and mirrors, but stretches
# nothing, so $\lVert W^k\rVert_2 = g^k$ exactly.


# %%
def powers(W, k_max):
    """‖W^k‖₂ for k = 1 … k_max."""
    return norms_by_lag(np.broadcast_to(W, (k_max, *W.shape)))


Q, _ = np.linalg.qr(random.normal(size=(50, 50)))
orthogonal = {g: powers(g * Q, 100) for g in (0.9, 1.0, 1.05)}
for g, norms in orthogonal.items():
    np.testing.assert_allclose(norms, g ** np.arange(1, 101), rtol=1e-9)
    print(f"g = {g:<4}: norm after 100 steps {norms[-1]:.2g}")

# %% [markdown]
# For a symmetric or orthogonal matrix, more generally for a **normal** one ($WW^\top = W^\top W$),
# radius and norm are equal. A trained or random $W_h$ is not normal. For any $W$,
#
# $$\rho(W)^k \le \lVert W^k\rVert_2 \le \lVert W\rVert_2^k, \qquad
#   \lVert W^k\rVert_2^{1/k} \to \rho(W)\quad (\text{Gelfand}),$$
#
# so the radius rules *in the end*. The end can be far off. The smallest example:
#
# $$W = \begin{pmatrix}0.9 & 10\\ 0 & 0.9\end{pmatrix},\qquad
#   W^k = \begin{pmatrix}0.9^k & 10\,k\,0.9^{k-1}\\ 0 & 0.9^k\end{pmatrix}.$$
#
# Both eigenvalues are 0.9, and $\rho = 0.9 < 1$ says "vanishes". The corner says otherwise for a
# while: $10\,k\,0.9^{k-1}$ grows until $k \approx 1/\ln\frac1{0.9} \approx 9.5$.
#
# **Predict before you run.** How large does the norm get, and when is it below 1 again?
#
# <details><summary>Answer</summary>
#
# About $10\cdot 9.5\cdot 0.9^{8.5}\approx 39$; and below 1 from step 63 on. A gradient can
# explode by a factor of 39 in a network that "vanishes".
#
# </details>

# %%
W = np.array([[0.9, 10.0], [0.0, 0.9]])
shear = powers(W, 4_000)
corner = 10 * np.arange(1, 101) * 0.9 ** np.arange(100)
np.testing.assert_allclose(np.linalg.matrix_power(W, 9)[0, 1], corner[8])
print(f"largest norm {shear.max():.1f} at k = {shear.argmax() + 1}; below 1 from k = 63")
print(f"‖W^k‖^(1/k): k = 10: {shear[9] ** 0.1:.3f}, 100: {shear[99] ** 0.01:.3f}, "
      f"4000: {shear[3999] ** (1 / 4000):.3f}; ρ = 0.9, ‖W‖₂ = {shear[0]:.1f}")  # fmt: skip
assert shear.max() > 38
assert (shear < 1).argmax() + 1 == 63
assert abs(shear[3999] ** (1 / 4000) - 0.9) < 0.003

# %%
k = np.arange(1, 101)
fig, ax = plt.subplots(figsize=(7, 4.4))
ax.semilogy(k, shear[:100], "-", color=red)
ax.semilogy(k, shear[0] ** k, ":", color=red, linewidth=1)
ax.semilogy(k, 0.9**k, "--", color=red, linewidth=1)
ax.annotate("non-normal, ρ = 0.9", (22, 70), color=red)
ax.annotate("its bound ‖W‖ᵏ", (6, 3e4), color=red)
ax.annotate("its radius ρᵏ, and 0.9 Q", (12, 8e-4), color=red)
for g, color in ((1.0, "black"), (1.05, blue)):
    ax.semilogy(k, orthogonal[g], "-.", color=color)
    ax.annotate(f"{g} Q, orthogonal", (74, orthogonal[g][73] * (6 if g > 1 else 2)), color=color)
ax.set(xlabel="lag k (steps)", ylabel="norm of the product, ‖Wᵏ‖₂", ylim=(1e-5, 1e5))
ax.set_title("A radius below 1 promises decay, but not at once")
figures.show(
    fig,
    f"""Norm of the k-th power against k to 100, log scale. Orthogonal matrices scaled by 1.05, 1
    and 0.9 give straight lines that end at 131, 1 and 0.00003. The non-normal matrix with radius
    0.9 first rises to {shear.max():.0f} at k = 9, and is below 1 only from k = 63; its bound
    by spectral norm, 10.1 to the k, leaves the picture at k = 5.""",
)

# %% [markdown]
# The same happens with large random matrices. With entries of variance $1/H$ the radius is near 1
# (the circular law) and the norm near 2, so the bound says $2^k$. Here are both at $H=200$:

# %%
W = random.normal(0, 1 / np.sqrt(200), (200, 200))
rho, norm = np.abs(np.linalg.eigvals(W)).max(), np.linalg.norm(W, 2)
rate = powers(W, 40)
print(f"ρ = {rho:.2f}, ‖W‖₂ = {norm:.2f}; ‖W^40‖₂ = {rate[-1]:.0f}, bound {norm**40:.0e}")
assert 0.9 < rho < 1.15
assert 1.9 < norm < 2.1
assert rate[-1] < 1e-9 * norm**40

# %% [markdown]
# > **The notes say** that the gradient vanishes because some derivatives in the chain are small.
# > **Right is**: each factor is a matrix; what counts is how the product stretches. It is *bounded*
# > by $(\gamma\lVert W_h\rVert_2)^k$; the spectral radius gives the rate only asymptotically, and
# > exactly only for a linear network. Checks: sections 4 and 5.

# %% [markdown]
# ## 6. A trained network
#
# Now the RNN that lecture 06 left us, on a verse that it has not seen. With tanh the slopes enter:
# the more an entry of the state is saturated, the smaller its $1-h^2$, and the weaker its row of
# $A_t$.

# %%
shipped = corpora.DATA / "rnn_lm.safetensors"
weights = {name: value.astype(np.float64) for name, value in load_file(shipped).items()}
chars = json.loads(shipped.with_suffix(".json").read_text())["characters"]
W_h, U = weights["W_h"], weights["U"]
H = len(W_h)
rho, norm = np.abs(np.linalg.eigvals(W_h)).max(), np.linalg.norm(W_h, 2)
print(f"trained W_h, {H} × {H}: spectral radius {rho:.2f}, spectral norm {norm:.2f}")


def encode(text):
    return np.array([chars.index(char) for char in text])


def drive_of(x):
    return weights["E"][x] @ weights["W_e"].T + weights["b_1"]


# %%
chapter = max(corpora.king_james_chapters("valid"), key=len)
x = encode("\n" + chapter[:4_000])
h = states(W_h, drive_of(x[:-1]), np.zeros(H))
slopes = 1 - h[1:] ** 2
print(f"slopes of tanh in use: mean {slopes.mean():.2f}, median {np.median(slopes):.2f}")
A = step_jacobians(W_h, h[:151])
one_step = np.array([np.linalg.norm(A_t, 2) for A_t in A[100:110]])
print(f"‖A_t‖₂ over ten steps: {one_step.min():.1f} to {one_step.max():.1f}, bound {norm:.1f}")
assert one_step.max() < norm
assert rho > 5
assert one_step.min() > 2
assert np.median(slopes) < 0.01

# %% [markdown]
# By its radius, $W_h$ alone would explode, sixfold a step, and each step *can* stretch some
# direction threefold. But half of the slopes are 0.00: most entries of the state are saturated, and
# their rows of $A_t$ are gone. What does the product do? The heat map shows $\lVert\partial
# h_t/\partial h_i\rVert$ for 40 characters of the verse, each against each. Its norm is the root
# mean square stretch of a direction, $\lVert\cdot\rVert_F/\sqrt H$: 1 would mean that the state is
# handed on as it is.


# %%
def stretch(A):
    """‖∂h_t/∂h_i‖_F / √H for all i ≤ t, shape (T + 1, T + 1); nan where i > t."""
    T = len(A)
    table = np.full((T + 1, T + 1), np.nan)
    products = np.empty((0, *A.shape[1:]), dtype=A.dtype)
    for t in range(T + 1):
        if t > 0:
            products = A[t - 1] @ products  # ∂h_t/∂h_i = A_t · ∂h_{t−1}/∂h_i, for all i at once
        products = np.concatenate([products, np.eye(A.shape[-1], dtype=A.dtype)[None]])
        table[t, : t + 1] = np.linalg.norm(products, axis=(1, 2)) / np.sqrt(A.shape[-1])
    return table


first, span = 100, 40
table = stretch(A[first : first + span - 1].astype(np.float32))
check = np.linalg.multi_dot(A[first + 4 : first + 20][::-1])
assert np.isclose(table[20, 4], np.linalg.norm(check) / np.sqrt(H), rtol=1e-3)
assert np.allclose(np.diag(table), 1)

# %%
letters = [{" ": "␣", "\n": "¶"}.get(char, char) for char in chapter[first - 1 : first - 1 + span]]
by_lag = [np.exp(np.nanmean(np.log(np.diag(table, -k)))) for k in range(span)]
fig, ax = plt.subplots(figsize=(7, 5.6))
image = ax.imshow(np.log10(table), cmap="viridis", vmin=-4, vmax=0)
ax.set_xticks(range(span), letters, fontsize=8)
ax.set_yticks(range(span), letters, fontsize=8)
ax.grid(visible=False)
ax.set(xlabel="state after character i", ylabel="state after character t")
fig.colorbar(image, label="log₁₀ of the root mean square stretch")
ax.set_title("What was twenty characters ago hardly moves the state")
figures.show(
    fig,
    f"""Heat map of the norm of ∂h_t/∂h_i for 40 characters of a verse, log scale, i at most t. The
    diagonal is 1; the geometric mean falls to {by_lag[5]:.1g} at lag 5, {by_lag[10]:.1g} at lag 10
    and {by_lag[20]:.1g} at lag 20.""",
)

# %% [markdown]
# The fading is not even: within a stretch of the verse the state is handed on, and at a few
# characters much is wiped at once. Those are the edges of the blocks. At which characters?

# %%
kept = [np.exp(np.mean(np.log(table[t, :t] / table[t - 1, :t]))) for t in range(1, span)]
wiped = 1 + np.argsort(kept)[:3]
for t in sorted(wiped):
    word = re.split("[␣¶]", "".join(letters[t:]))[0]
    print(f"reading {letters[t]!r} of {word!r} keeps {kept[t - 1]:.0%}")
print(f"the median character keeps {np.median(kept):.0%}")
assert all(letters[t - 1] in "␣¶" for t in wiped)
assert kept[wiped[2] - 1] < 0.8 * np.median(kept)

# %% [markdown]
# At first letters. Each of the three begins a word. It looks as if the network spells: once the old
# word is complete, much of the state that spelled it is of no more use.
#
# ### Gradient by lag
#
# What training feels is a row vector sent back: $r_k = \frac{\partial J_t}{\partial h_t}A_t\cdots
# A_{t-k+1}$. We send the true errors of the trained model back from 195 places; and, for
# comparison, with a random $W_h$ (entries of variance $1/H$) in the trained one's place. Lecture 06
# has the formula, $\partial J_t/\partial h_t = U^\top(\hat y_t - y_t)$.


# %%
def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gradient_by_lag(W_h, h, places, k_max=60):
    """‖∂J_t/∂h_{t−k}‖ for t in `places` and k = 0 … k_max, shape (places, k_max + 1)."""
    r = softmax(h[places] @ weights["U"].T + weights["b_2"])
    r[np.arange(len(places)), x[places]] -= 1  # h_t has read x[t − 1] and is asked for x[t]
    r, norms = r @ weights["U"], []
    for k in range(k_max + 1):
        norms.append(np.linalg.norm(r, axis=1))
        r = (slope[np.tanh](h[places - k]) * r) @ W_h  # one step back
    return np.array(norms).T


# %% [markdown]
# Judge: autograd, at one place, all lags to 30.

# %%
leaves = [torch.tensor(h[200 - 30], requires_grad=True)]
for d_t in torch.tensor(drive_of(x[200 - 30 : 200])):
    leaves.append(torch.tanh(torch.tensor(W_h) @ leaves[-1] + d_t))
z = torch.tensor(weights["U"]) @ leaves[-1] + torch.tensor(weights["b_2"])
gradients = torch.autograd.grad(F.cross_entropy(z, torch.tensor(x[200])), leaves)
oracle = [gradient.norm().item() for gradient in gradients[::-1]]
np.testing.assert_allclose(gradient_by_lag(W_h, h, np.array([200]), k_max=30)[0], oracle, rtol=1e-6)
print("gradient norms at 31 lags: equal to autograd's")

# %%
places = np.arange(100, 4_000, 20)
by_lag = {"trained": gradient_by_lag(W_h, h, places)}
fresh = np.random.default_rng(1).normal(0, 1 / np.sqrt(H), (H, H))
h_fresh = states(fresh, drive_of(x[:-1]), np.zeros(H))
by_lag["W_h drawn anew"] = gradient_by_lag(fresh, h_fresh, places)


def loss_per_step(norms, near=5, far=45):
    """Mean of ln(norm at one lag / norm at the next), from lag `near` to `far`."""
    return np.mean(np.log(norms[:, near] / norms[:, far])) / (far - near)


for name, norms in by_lag.items():
    rate, (low, high) = loss_per_step(norms), bootstrap_interval(loss_per_step, norms)
    print(f"{name:15} halved every {np.log(2) / rate:.1f} steps "
          f"[{np.log(2) / high:.1f}, {np.log(2) / low:.1f}]")  # fmt: skip


# %%
def slower(anew, trained):
    return loss_per_step(anew) - loss_per_step(trained)


pair = by_lag["W_h drawn anew"], by_lag["trained"]
low, high = bootstrap_interval(slower, *pair)
assert low > 0.5
assert 3.5 < np.log(2) / loss_per_step(by_lag["trained"]) < 4.5

fig, ax = plt.subplots()
for (name, norms), color, line in zip(by_lag.items(), (blue, red), ("-", "--"), strict=True):
    relative = norms / norms[:, :1]
    low, middle, high = np.quantile(relative, [0.1, 0.5, 0.9], axis=0)
    ax.semilogy(middle, line, color=color)
    ax.fill_between(range(61), low, high, color=color, alpha=0.15)
    at = 40 if name == "trained" else 18
    ax.annotate(name, (at, middle[at] * 4), color=color)
ax.semilogy(np.clip(norm, 1, None) ** np.arange(61), ":", color="gray")
ax.annotate("bound ‖W_h‖ᵏ", (8, 1e3), color="gray")
middle = np.median(by_lag["trained"] / by_lag["trained"][:, :1], axis=0)
ax.set(xlabel="lag k (characters back)", ylabel="‖∂J_t/∂h_{t−k}‖, lag 0 = 1", ylim=(1e-9, 1e4))
ax.set_title("The trained network's gradient halves every four characters")
figures.show(
    fig,
    f"""Gradient norm against lag, log scale, median over {len(places)} places, relative to lag 0.
    Trained: {middle[10]:.1g} at lag 10, {middle[20]:.1g} at 20, {middle[40]:.1g} at 40. The bound
    by spectral norm rises out of the picture.""",
)

# %% [markdown]
# **What this says about lecture 06.** After sixteen characters about a fifteenth of the gradient is
# left, after sixty a forty-thousandth. The weights could hardly be taught to use what is older:
# near steps drown it. Chance alone does far worse; training *has* found a $W_h$ that keeps more.
# And neither norm nor radius foretold any of it: the bound grows like $9^k$ and the radius is 6,
# yet the gradient vanishes, because tanh is saturated. With all slopes set to 1, the same $W_h$
# explodes:

# %%
row = weights["U"][0]
linear = np.linalg.norm(row @ np.linalg.matrix_power(W_h, 60)) / np.linalg.norm(row)
print(f"left after 16 steps: 1/{1 / middle[16]:.0f}; after 60: 1/{1 / middle[60]:.0e}")
print(f"and without tanh, after 60: 10^{np.log10(linear):.0f}")
assert 10 < 1 / middle[16] < 20
assert 3e4 < 1 / middle[60] < 6e4
assert linear > 1e40

# %% [markdown]
# ## 7. Exploding, and how tanh hides it
#
# Now the other side. Let one unit run for 50 steps, $h_t = \varphi(w h_{t-1} + b)$, $h_0=0$, and
# ask it to end at 0.7: $J = (h_{50} - 0.7)^2$. Without a $\varphi$, the derivative in $w$ grows
# like $w^{50}$. With tanh it does not. Is the tanh unit safe, then?


# %%
def unit(w, b, phi, steps=50, h=0.0):
    """J and ∂J/∂w after 50 steps; w may be an array."""
    h, dh = np.full(np.shape(w), h), np.zeros(np.shape(w))
    for _ in range(steps):
        before, h = h, phi(w * h + b)
        slope_now = 1 - h**2 if phi is np.tanh else 1.0
        dh = slope_now * (before + w * dh)  # immediate part + the past
    return (h - 0.7) ** 2, 2 * (h - 0.7) * dh


w = np.array([0.5, 1.0, 1.5, 2.0, 3.0])
for phi, name in ((lambda a: a, "linear"), (np.tanh, "tanh")):
    J, dJ = unit(w, 0.1, phi)
    difference = (unit(w + 1e-6, 0.1, phi)[0] - unit(w - 1e-6, 0.1, phi)[0]) / 2e-6
    np.testing.assert_allclose(dJ, difference, rtol=1e-3)
    print(f"{name:6} |∂J/∂w| at w = {w}: {[float(f'{abs(d):.1g}') for d in dJ]}")
assert abs(dJ[-1]) < 0.01

# %% [markdown]
# At $w=3$ the linear unit's derivative has 46 digits; tanh's is 0.005. Saturation **hides** the
# explosion: $h$ sits at almost 1, where the slope $1-h^2$ is almost 0, and the factors $w(1-h^2)$
# are small again. What could explode vanishes instead. It is no cure, and it is not always so:
# where the state passes through the steep part of $\varphi$, the factors exceed 1, and if it stays
# there long enough the loss has a **cliff**. The example of Pascanu, Mikolov and Bengio (2013,
# Figure 6), one unit, two parameters:
#
# $$x_t = w\,\sigma(x_{t-1}) + b,\quad x_0 = \tfrac12,\quad J = \big(\sigma(x_{50}) - 0.7\big)^2 .$$


# %%
def cliff(w, b, steps=50):
    """J and its gradient (∂J/∂w, ∂J/∂b); w and b may be arrays."""
    x = np.full(np.broadcast(w, b).shape, 0.5)
    dw = db = np.zeros_like(x)
    for _ in range(steps):
        s = sigma(x)
        factor = w * s * (1 - s)  # ∂x_t/∂x_{t−1}
        dw, db = s + factor * dw, 1 + factor * db
        x = w * s + b
    s = sigma(x)
    outer = 2 * (s - 0.7) * s * (1 - s)
    return (s - 0.7) ** 2, np.array([outer * dw, outer * db])


leaf = torch.tensor([5.2, -2.6], dtype=torch.float64, requires_grad=True)
x_torch = torch.tensor(0.5, dtype=torch.float64)
for _ in range(50):
    x_torch = leaf[0] * torch.sigmoid(x_torch) + leaf[1]
((torch.sigmoid(x_torch) - 0.7) ** 2).backward()
np.testing.assert_allclose(cliff(5.2, -2.6)[1], leaf.grad, rtol=1e-9)

# %%
w_grid, b_grid = np.meshgrid(np.linspace(3.5, 6.5, 301), np.linspace(-4, -1, 301))
J_grid, g_grid = cliff(w_grid, b_grid)
size = np.hypot(*g_grid)
print(f"gradient norm: median {np.median(size):.2f}, largest {size.max():.0f}")
assert size.max() > 300 * np.median(size)

# %% [markdown]
# Walk downhill to the cliff, with one step size. The gradient there is
# hundreds of times longer than elsewhere, and a step that is right everywhere else throws the
# walker out of the picture.
#
# ## 8. Clipping
#
# Pascanu, Mikolov and Bengio's Algorithm 1 keeps the direction and limits the length:
#
# $$g \leftarrow \frac{\partial J}{\partial\theta};\qquad
#   \text{if } \lVert g\rVert \ge c:\quad g \leftarrow \frac{c}{\lVert g\rVert}\,g .$$
#
# The norm is that of **all parameters together**, one long vector.


# %%
def clip_by_norm(gradients, c):
    """Algorithm 1, for a list of arrays; returns the clipped list and the norm before."""
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    if norm >= c:
        gradients = [c / norm * g for g in gradients]
    return gradients, norm


clipped, norm_before = clip_by_norm([np.array([3.0]), np.array([[4.0]])], c=1.0)
print("(3, 4) has norm", norm_before, "and is clipped to", [round(g.item(), 6) for g in clipped])
assert np.allclose([g.item() for g in clipped], [0.6, 0.8])
assert clip_by_norm([np.array([0.3, 0.4])], c=1.0)[0][0].tolist() == [0.3, 0.4]

# %% [markdown]
# Judge: `torch.nn.utils.clip_grad_norm_`. It differs in one detail: it multiplies by $\min\big(1,
# \frac{c}{\lVert g\rVert + \varepsilon}\big)$ with $\varepsilon = 10^{-6}$, against a division by
# zero. So its clipped norm is $c\,\frac{\lVert g\rVert}{\lVert g\rVert+\varepsilon}$, a little
# *below* $c$, and a gradient barely shorter than $c$ shrinks a little as well. With $\lVert g\rVert
# = 100$ that is one part in $10^8$. If your check demands more digits than that, it fails for this
# reason.

# %%
shapes = [(4, 3), (4, 4), (4,)]
for scale in (0.01, 1.0, 100.0):
    gradients = [random.normal(0, scale, shape) for shape in shapes]
    leaves = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
    for leaf, g in zip(leaves, gradients, strict=True):
        leaf.grad = torch.tensor(g)
    norm_torch = torch.nn.utils.clip_grad_norm_(leaves, max_norm=1.0)
    clipped, norm_before = clip_by_norm(gradients, c=1.0)
    assert np.isclose(norm_before, norm_torch.item())
    factor = min(1, 1.0 / (norm_before + 1e-6))
    for ours, g, leaf in zip(clipped, gradients, leaves, strict=True):
        np.testing.assert_allclose(leaf.grad, factor * g, rtol=1e-12)  # torch's rule, ε named
        np.testing.assert_allclose(ours, leaf.grad, rtol=2e-6)  # ours, up to ε

# %% [markdown]
# **What breaks: clipping by value.** Cutting each number to $[-c, c]$ also bounds the length, but
# it **turns the direction**: $(10, 1)$ becomes $(1, 1)$.

# %%
g = np.array([10.0, 1.0])
by_norm, by_value = clip_by_norm([g], 1.0)[0][0], np.clip(g, -1, 1)
for name, v in (("by norm", by_norm), ("by value", by_value)):
    turned = np.degrees(np.arccos(np.clip(v @ g / np.linalg.norm(v) / np.linalg.norm(g), -1, 1)))
    print(f"{name:8}: {v.round(2)}, turned by {turned:.0f} degrees, length {np.linalg.norm(v):.2f}")
assert np.isclose(by_norm @ g, np.linalg.norm(by_norm) * np.linalg.norm(g))
assert turned > 35

# %% [markdown]
# Now walks on the cliff's landscape: $\alpha = \frac12$, 40 steps, with $c = 0.3$ and without
# clipping, from the same 300 random places near the cliff. A walk counts as lost if it ever leaves
# the picture, and ends well if its last loss is below 0.03. (At a cliff, rounding decides where one
# lands, so we print no digits.)


# %%
def walks(c, start, alpha=0.5, steps=40):
    """The paths of all walkers, shape (steps + 1, walkers, 2); each clips its own gradient."""
    path = [start]
    for _ in range(steps):
        g = cliff(*path[-1].T)[1].T
        clipped = [clip_by_norm([row], c)[0][0] for row in g]
        path.append(path[-1] - alpha * np.array(clipped))
    return np.array(path)


start = np.random.default_rng(0).uniform((4.0, -3.0), (5.5, -2.0), (300, 2))
start[0] = 4.8, -2.8
paths = {"clipped": walks(0.3, start), "not clipped": walks(np.inf, start)}
lost = {}
for name, path in paths.items():
    outside = (path < (3.5, -4)) | (path > (6.5, -1))
    lost[name] = outside.any(axis=(0, 2)).mean()
assert lost["clipped"] == 0
assert 0.4 < lost["not clipped"] < 0.6
good = {name: (cliff(*path[-1].T)[0] < 0.03).mean() for name, path in paths.items()}
assert good["clipped"] > 0.75
assert good["not clipped"] < 0.45
print("clipped: none lost, over 3/4 end well; not clipped: about half lost, under 0.45 end well")

# %%
fig, ax = plt.subplots(figsize=(7, 4.6))
mesh = ax.contourf(w_grid, b_grid, J_grid, levels=np.linspace(0, 0.5, 21), cmap="Greys")
fig.colorbar(mesh, label="loss J")
for path, color, mark in zip(paths.values(), (blue, red), ("o-", "s--"), strict=True):
    ax.plot(*path[:, 0].T, mark, color=color, markersize=3, linewidth=1.2)
ax.plot(*start[0], "*", color="black", markersize=14)
ax.annotate("start", start[0], (-38, -4), textcoords="offset points")
ax.annotate("clipped", (4.0, -1.75), color=blue)
ax.annotate("not clipped", (5.3, -1.6), color=red)
ax.grid(visible=False)
ax.set(xlabel="weight w", ylabel="bias b", xlim=(3.5, 6.5), ylim=(-4, -1))
ax.set_title("At the cliff one step throws the walker out")
figures.show(
    fig,
    """Loss of one unit after 50 steps over its weight and bias: a high plain, which ends in a cliff
    to lower ground. From w = 4.8, b = −2.8 on the high plain the clipped walk goes down to the
    cliff's foot and along it. Without clipping, a step at the cliff leaves the picture; of 300
    walks about half do, and none of the clipped ones.""",
)

# %% [markdown]
# ### On text
#
# An RNN with 64 units and plain SGD with the large rate $\alpha = 4$, 250 steps on the King James
# Bible, from three starts, with $c=\frac12$ and without. The model is torch's (lecture 06 proved
# ours equal to it), so autograd needs no gradient check; the clipping is ours.

# %%
train_text = "".join(corpora.king_james_chapters("train"))[: 32 * 32 * 250 + 1]
ids = torch.tensor(encode(train_text))
x_train, y_train = ids[:-1].view(32, 250, 32), ids[1:].view(32, 250, 32)


def train(seed, c, x=x_train, y=y_train, alpha=4.0):
    """Losses in bits and gradient norms, step by step; the state goes on, the gradient does not."""
    torch.manual_seed(seed)
    embed, rnn = torch.nn.Embedding(len(chars), 16), torch.nn.RNN(16, 64, batch_first=True)
    output, state, losses, norms = torch.nn.Linear(64, len(chars)), None, [], []
    theta = [*embed.parameters(), *rnn.parameters(), *output.parameters()]
    for k in range(x.shape[1]):
        h, state = rnn(embed(x[:, k]), state)
        J = F.cross_entropy(output(h).flatten(0, 1), y[:, k].flatten())
        g, norm = clip_by_norm([part.numpy() for part in torch.autograd.grad(J, theta)], c)
        with torch.no_grad():
            for part, step in zip(theta, g, strict=True):
                part -= alpha * torch.from_numpy(step)
        state = state.detach()
        losses.append(J.item() / np.log(2))
        norms.append(norm)
    return np.array(losses), np.array(norms)


# %% [markdown]
# The ritual first: a first loss near $\log_2\lvert V\rvert = 6.04$ bits, and one batch learned by
# heart, two pieces of 32 characters again and again, with a gentler $\alpha$.

# %%
one_batch = (part[:2, :1].expand(2, 200, 32) for part in (x_train, y_train))
by_heart, _ = train(0, 0.5, *one_batch, alpha=0.5)
print(f"first loss {by_heart[0]:.1f} bits; after 200 steps on one batch under 0.1")
assert abs(by_heart[0] - np.log2(len(chars))) < 0.2
assert by_heart[-1] < 0.1

# %%
runs = {
    name: [train(seed, c) for seed in range(3)] for name, c in (("c = ½", 0.5), ("none", np.inf))
}
assert max(losses[-50:].mean() for losses, _ in runs["c = ½"]) < 3
assert min(losses[-50:].mean() for losses, _ in runs["none"]) > 4
assert min(losses.max() for losses, _ in runs["none"]) > 12
print("last 50 steps: clipped, all below 3 bits; not clipped, all above 4")

# %%
fig, ax = plt.subplots()
for results, color, line in zip(runs.values(), (blue, red), ("-", "--"), strict=True):
    for losses, _ in results:
        ax.semilogy(losses, line, color=color, linewidth=0.9)
ax.axhline(np.log2(len(chars)), color="gray", linewidth=1)
ax.annotate("uniform: 6.04", (251, 6.6))
ax.annotate("clipped to norm ½", (150, 3.3), color=blue)
ax.annotate("not clipped", (60, 40), color=red)
ax.set_yticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
ax.minorticks_off()
ax.set(xlabel="step of SGD, α = 4", ylabel="bits per character", xlim=(-5, 300))
ax.set_title("With clipping this rate trains; without it does not")
figures.show(
    fig,
    """Bits per character against step for three starts each, log scale. Clipped to norm ½, all
    three fall below 3 bits. Without clipping all three jump far above the 6.04 bits of a uniform
    guess and end above 4.""",
)

# %% [markdown]
# Clipping is no cure for *vanishing*: it shortens what is long and cannot bring back what is lost.
#
# ## 9. Cures for vanishing: a path that does not multiply
#
# The notes: create **direct, linear connections** that pass the gradient through. Depth shows it
# most plainly, since a deep network is a product of Jacobians too. Fifty layers, $x_{l} =
# \tanh(W_l x_{l-1})$, or with a **skip connection** (He et al. 2016)
#
# $$x_l = x_{l-1} + \tanh(W_l x_{l-1}),\qquad
#   \frac{\partial x_l}{\partial x_{l-1}} = I + \mathrm{diag}(\varphi')\,W_l .$$
#
# Multiply fifty of these out: there is the product of all the $W$'s as before, but there is also
# $I\cdot I\cdots I = I$, a path on which nothing is lost, and all between. (Entries of variance
# $1/H$, the $W$ below, are the border case of section 5: a careful start helps too, as long as
# training leaves it there.)
#
# **Predict before you run.** Can a skip connection make the gradient explode?
#
# <details><summary>Answer</summary>
#
# Yes. $I + A$ can be longer than 1 at each layer, and here it is: watch the green curve rise
# towards the input. That is why deep residual networks also normalize (lecture 13).
#
# </details>


# %%
def depth_gradient(W, x, r, skip):
    """‖∂(r · x_L)/∂x_l‖ for l = 0 … L, by Jacobians; skip is 1 or 0."""
    A = []
    for W_l in W:
        y = np.tanh(W_l @ x)
        A.append(skip * np.eye(len(x)) + (1 - y**2)[:, None] * W_l)
        x = skip * x + y
    norms = [np.linalg.norm(r)]
    for A_l in A[::-1]:
        r = r @ A_l
        norms.insert(0, np.linalg.norm(r))
    return np.array(norms) / norms[-1]


def depth_oracle(W, x, r, skip):
    """The same by autograd, which is given the layers only."""
    x = torch.tensor(x, requires_grad=True)
    layers = [x]
    for W_l in torch.tensor(W):
        layers.append(skip * layers[-1] + torch.tanh(W_l @ layers[-1]))
    gradients = torch.autograd.grad(torch.tensor(r) @ layers[-1], layers)
    norms = np.array([gradient.norm().item() for gradient in gradients])
    return norms / norms[-1]


# %%
x_0, r = np.random.default_rng(0).normal(size=(2, 64))
W = np.random.default_rng(1).normal(0, 1 / np.sqrt(64), (50, 64, 64))
depth = {}
for name, scale, skip in (("plain, ½ W", 0.5, 0), ("plain, W", 1.0, 0), ("skip, ½ W", 0.5, 1)):
    depth[name] = depth_gradient(scale * W, x_0, r, skip)
    np.testing.assert_allclose(depth[name], depth_oracle(scale * W, x_0, r, skip), rtol=1e-6)
    print(f"{name:10}: gradient at the input {depth[name][0]:.0e} of that at the output")
assert depth["plain, ½ W"][0] < 1e-12
assert 0.01 < depth["plain, W"][0] < 1
assert 1 < depth["skip, ½ W"][0] < 1e4

# %%
fig, ax = plt.subplots()
styles = zip(depth.items(), (red, orange, green), ("--", "-.", "-"), (36, 2, 22), strict=True)
for (name, values), color, line, at in styles:
    ax.semilogy(values, line, color=color)
    below = 8 if name.startswith("skip") else -16
    ax.annotate(name, (at, values[at]), (8, below), textcoords="offset points", color=color)
ax.set(xlabel="layer", ylabel="gradient norm, 1 at layer 50", ylim=(1e-17, 1e4))
ax.set_title("A skip connection carries the gradient through 50 layers")
figures.show(
    fig,
    f"""Gradient norm against layer, log scale, 1 at layer 50. Plain layers with the smaller weights
    lose it to {depth["plain, ½ W"][0]:.0e} at the input, with the larger to
    {depth["plain, W"][0]:.0e}; with skip connections it is
    {depth["skip, ½ W"][0]:.0f} there.""",
)

# %% [markdown]
# **Gates** (lecture 08) bring the same path into time, with a valve: $h_t = f\,h_{t-1} +
# (1-f)\tanh(\dots)$. With $f$ near 1 the Jacobian is near $I$, and over $k$ steps about $f^k$
# survives. **Attention** (lecture 12) shortens the path: a mean over all states, $\sum_i \omega_i
# h_i$, reaches $h_{t-k}$ in *one* step, with weight $\omega_{t-k}$ and no product. Measured, at
# lags to 200, for one random tanh RNN of radius 0.9, the same with a gate of 0.99, and the same
# with a uniform mean ($\omega_i = 1/T$) over its states:


# %%
def lag_200(kind, T=200, H=32):
    """‖∂(u · end)/∂h_i‖ by autograd, for i = 1 … T, `end` being what the output would read."""
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(H, H, generator=generator, dtype=torch.float64)
    W *= 0.9 / torch.linalg.eigvals(W).abs().max()
    drive, u = torch.randn(T + 1, H, generator=generator, dtype=torch.float64)[:-1], torch.ones(H)
    h, kept = torch.zeros(H, dtype=torch.float64, requires_grad=True), []
    for d_t in drive:
        new = torch.tanh(W @ h + d_t)
        h = 0.99 * h + 0.01 * new if kind == "gate" else new
        kept.append(h)
    end = torch.stack(kept).mean(dim=0) if kind == "attention" else h
    gradients = torch.autograd.grad((u.double() * end).sum(), kept)
    return np.array([g.norm().item() for g in gradients])[::-1]  # by lag 0 … T − 1


# %%
cures = {kind: lag_200(kind) for kind in ("plain", "gate", "attention")}
for kind, values in cures.items():
    print(f"{kind:9}: lag 199 has {values[199] / values[0]:.0e} of lag 0's gradient")
assert cures["plain"][199] < 1e-15 * cures["plain"][0]
assert cures["gate"][199] > 0.05 * cures["gate"][0]
assert cures["attention"][199] > 0.3 * cures["attention"][0]

# %% [markdown]
# Each has its price: the gate must *know* when to be near 1, attention must look at all $T$ states
# at every step. Those are the next lectures.
#
# ## 10. What we showed
#
# | claim | its check |
# |---|---|
# | A factor of 1.05 is 131 after a hundred steps | section 1, autograd |
# | $\partial h_t/\partial h_{t-k}=A_t\cdots A_{t-k+1}$, in this order | section 2, autograd |
# | The gradient *equals* the double sum with immediate derivatives | section 3, autograd |
# | The norm is at most $(\gamma\lVert W_h\rVert_2)^k$ | section 4, 400 networks, 30 lags |
# | For scaled orthogonal $W$ bound and rate are one | section 5, to a hundred steps |
# | With $\rho=0.9$ the norm can first grow to 39 | section 5, $2\times2$ |
# | $\lVert W^k\rVert^{1/k}\to\rho$ | section 5, $k=4{,}000$ |
# | In a trained RNN the state forgets in tens of characters | section 6, heat map, lags |
# | Most is wiped at first letters of words | section 6, three of forty characters |
# | Training changed the rate | section 6, intervals |
# | The radius, 6, would explode; saturation makes it vanish | section 6, 60 steps without tanh |
# | tanh turns explosion into vanishing | section 7, 46 digits against 0.005 |
# | There is a cliff | section 7, gradient norms |
# | Our clipping is Algorithm 1; torch's has an $\varepsilon=10^{-6}$ | section 8, both |
# | Clipping by value turns the direction | section 8, 39 degrees |
# | Text: first loss 6.04 bits; one batch is learned by heart | section 8 |
# | Without clipping, walkers are thrown out and SGD fails | section 8, 300 walks; three runs |
# | A skip connection carries the gradient through 50 layers | section 9, Jacobian and norms |
# | Gates and attention shorten or smooth the path | section 9, lag 199 |
#
# Not shown: that a network with a better path *learns* long dependencies; lecture 08 tries it on a
# task with a known lag.
#
# ## Exercises
#
# In assignment **ps3_rnn_lm**: gradient norm by lag (sections 3 and 6), norm clipping (section 8).
#
# ## Sources
#
# - R. Pascanu, T. Mikolov, Y. Bengio, *On the difficulty of training recurrent neural networks*,
#   ICML (2013): section 2 (the sum of products, the bound), Figure 6 (the cliff), Algorithm 1.
# - S. Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen* (1991); Y. Bengio, P. Simard,
#   P. Frasconi, *Learning Long-Term Dependencies with Gradient Descent is Difficult* (1994).
# - R. Horn, C. Johnson, *Matrix Analysis*, 2nd ed. (2013), section 5.6: Gelfand's formula.
# - L. Trefethen, M. Embree, *Spectra and Pseudospectra* (2005): non-normal matrices.
# - K. He et al., *Deep Residual Learning for Image Recognition*, CVPR (2016).
# - PyTorch's documentation of `torch.nn.utils.clip_grad_norm_`.
