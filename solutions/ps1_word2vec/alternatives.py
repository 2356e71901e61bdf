"""Right answers to ps1_word2vec in other styles; all of them score full marks. Never released."""

import math
import warnings
from functools import reduce

import numpy as np
import torch

from autograder.variants import variant

# Question 1


@variant("softmax")
def softmax_in_place_row_by_row(x):
    """Loops over rows and writes into the argument; a warning on the way."""
    warnings.warn("softmax in place", stacklevel=2)
    for row in x if x.ndim == 2 else [x]:
        row -= row.max()
        np.exp(row, out=row)
        row /= row.sum()
    return x


@variant("softmax")
def softmax_by_logsumexp(x):
    """exp(x - log sum exp x), with the transposes of a tutorial, and a print."""
    print("shape", x.shape)
    if x.ndim == 1:
        return softmax_by_logsumexp(x[None])[0]
    top = x.T - x.max(axis=1)
    return np.exp(top - np.log(np.exp(top).sum(axis=0))).T


@variant("softmax")
def softmax_by_torch(x):
    """Returns a torch tensor, a view of another."""
    return torch.softmax(torch.as_tensor(x), dim=-1).view(x.shape)


@variant("softmax")
def softmax_as_lists(scores):
    """Python lists and the module math; a renamed parameter."""
    if isinstance(scores[0], (list, np.ndarray)):
        return [softmax_as_lists(row) for row in scores]
    largest = max(scores)
    exps = [math.exp(score - largest) for score in scores]
    return [value / sum(exps) for value in exps]


# Question 2


@variant("sigmoid")
def sigmoid_by_the_book(x):
    """The formula as it stands: right in NumPy, with an overflow warning for large scores."""
    return 1 / (1 + np.exp(-x))


@variant("sigmoid")
def sigmoid_by_tanh(x):
    """The hyperbolic tangent, shifted and scaled."""
    return 0.5 * np.tanh(0.5 * np.asarray(x)) + 0.5


@variant("sigmoid")
def sigmoid_by_mask(x):
    """Two formulas for the two signs, through boolean masks; always an array of at least 1-D."""
    x = np.atleast_1d(np.asarray(x, dtype=float))
    result = np.empty_like(x)
    positive = x >= 0
    result[positive] = 1 / (1 + np.exp(-x[positive]))
    result[~positive] = np.exp(x[~positive]) / (1 + np.exp(x[~positive]))
    return result


@variant("sigmoid")
def sigmoid_vectorized(x):
    """math.exp, one number at a time, wrapped by np.vectorize, in float32."""
    one = np.vectorize(lambda a: 1 / (1 + math.exp(-max(-700.0, min(700.0, float(a))))))
    return one(x).astype(np.float32)


# Question 3


@variant("naive_softmax_loss_and_gradients")
def naive_in_loops(center_vector, outside_index, output_vectors):
    """Loops over words; renamed parameters; a loss of shape (1, 1) and a tuple in a list."""
    U, v = output_vectors, center_vector
    exps = [math.exp(float(u @ v)) for u in U]
    grad_v, grad_U = [-float(a) for a in U[outside_index]], []
    for w, u in enumerate(U):
        y_hat = exps[w] / sum(exps)
        grad_v = [g + y_hat * float(a) for g, a in zip(grad_v, u, strict=True)]
        grad_U.append([(y_hat - (w == outside_index)) * float(a) for a in v])
    return [np.array([[-math.log(exps[outside_index] / sum(exps))]]), grad_v, grad_U]


@variant("naive_softmax_loss_and_gradients")
def naive_by_autograd(v_c, o, U):
    """Differentiates with torch and returns tensors, the loss still attached to its graph."""
    v = torch.tensor(v_c, requires_grad=True)
    u = torch.tensor(U, requires_grad=True)
    loss = -torch.log_softmax(u @ v, dim=0)[o]
    loss.backward()
    return loss, v.grad, u.grad


@variant("naive_softmax_loss_and_gradients")
def naive_with_columns(v_c, o, U):
    """Column vectors and einsum; grad_v_c of shape (1, d)."""
    v = v_c.reshape(-1, 1)
    scores = U @ v
    y_hat = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    y = np.eye(len(U))[:, [o]]
    grad_U = np.einsum("wk,dk->wd", y_hat - y, v)
    return -np.sum(y * np.log(y_hat)), (y_hat - y).T @ U, grad_U


# Question 4


@variant("negative_sampling_loss_and_gradients")
def sampling_in_a_loop(v_c, o, U, negatives):
    """The usual loop, with 1 - sigmoid(-x) written out, in float32."""
    v_c, U = v_c.astype(np.float32), U.astype(np.float32)
    grad_U = np.zeros(U.shape, dtype=np.float32)
    s = 1 / (1 + np.exp(-(U[o] @ v_c)))
    loss, grad_v_c = -np.log(s), -(1 - s) * U[o]
    grad_U[o] = -(1 - s) * v_c
    for w in negatives:
        s = 1 / (1 + np.exp(U[w] @ v_c))
        loss -= np.log(s)
        grad_v_c += (1 - s) * U[w]
        grad_U[w] += (1 - s) * v_c
    return loss, grad_v_c, grad_U


@variant("negative_sampling_loss_and_gradients")
def sampling_by_counts(v_c, o, U, negatives):
    """Counts the draws of each word, so that a matrix product does the rest."""
    counts = np.bincount(negatives, minlength=len(U))
    scores = U @ v_c
    delta = counts / (1 + np.exp(-scores))
    delta[o] -= 1 / (1 + np.exp(scores[o]))
    loss = np.logaddexp(0, -scores[o]) + counts @ np.logaddexp(0, scores)
    return loss.reshape(1), delta @ U, delta[:, None] * v_c


@variant("negative_sampling_loss_and_gradients")
def sampling_by_autograd(v_c, o, U, negatives):
    """Differentiates with torch; repeated rows add up by themselves."""
    v, u = torch.tensor(v_c, requires_grad=True), torch.tensor(U, requires_grad=True)
    signs = torch.tensor([1] + [-1] * len(negatives))
    rows = u[[int(o), *[int(w) for w in negatives]]]
    loss = -torch.nn.functional.logsigmoid(signs * (rows @ v)).sum()
    loss.backward()
    return loss.item(), v.grad.numpy(), u.grad.numpy()


@variant("negative_sampling_loss_and_gradients")
def sampling_with_joined_lists(v_c, o, U, negatives):
    """Joins the lists and flips the signs of the negatives' rows; columns all the way."""
    indices = [o] + negatives  # noqa: RUF005
    signs = np.array([[1.0]] + [[-1.0]] * len(negatives))
    rows = signs * U[indices]
    z = 1 / (1 + np.exp(-rows.dot(v_c.reshape(-1, 1))))
    grad_U = np.zeros(U.shape)
    for row, w in zip(signs * (z - 1), indices, strict=True):
        grad_U[w, :] += row * v_c
    return -np.sum(np.log(z)), (z - 1).T.dot(rows).flatten(), grad_U


@variant("naive_softmax_loss_and_gradients")
def naive_as_a_generator(v_c, o, U):
    """Yields the three results one by one."""
    y_hat = np.exp(U @ v_c)
    y_hat /= y_hat.sum()
    yield -np.log(y_hat[o])
    y_hat[o] -= 1
    yield y_hat @ U
    yield y_hat[:, None] * v_c


@variant("negative_sampling_loss_and_gradients")
def sampling_as_a_map(v_c, o, U, negatives):
    """Hands back the values of a dict through a map, which is read once."""
    results = {"loss": 0.0, "grad_v_c": np.zeros_like(v_c), "grad_U": np.zeros_like(U)}
    for w, sign in [(o, 1)] + [(n, -1) for n in negatives]:
        p = 1 / (1 + np.exp(-sign * (U[w] @ v_c)))
        results["loss"] -= np.log(p)
        results["grad_v_c"] += sign * (p - 1) * U[w]
        results["grad_U"][w] += sign * (p - 1) * v_c
    return map(np.asarray, results.values())


# Question 5


@variant("context_windows")
def windows_by_index(tokens, m):
    """Indices, a generator and tuples."""
    for i in range(len(tokens)):
        near = [j for j in range(i - m, i + m + 1) if 0 <= j < len(tokens) and j != i]
        yield tokens[i], tuple(tokens[j] for j in near)


@variant("context_windows")
def windows_padded(text, window_size):
    """Pads both ends with None, slides, and takes the padding out again."""
    padded = [None] * window_size + list(text) + [None] * window_size
    windows = []
    for i, center in enumerate(text):
        outside = (
            padded[i : i + window_size] + padded[i + window_size + 1 : i + 2 * window_size + 1]
        )
        windows.append([center, [w for w in outside if w is not None]])
    return windows


@variant("skipgram_pairs")
def pairs_by_distance(tokens, m):
    """One distance after another, both directions at once."""
    pairs = []
    for distance in range(1, m + 1):
        for left, right in zip(tokens, tokens[distance:], strict=False):
            pairs += [(left, right), [right, left]]
    return pairs


@variant("skipgram_pairs")
def pairs_by_deque(tokens, m):
    """A generator that remembers the last m tokens."""
    from collections import deque

    past = deque(maxlen=m)
    for token in tokens:
        for earlier in past:
            yield earlier, token
            yield token, earlier
        past.append(token)


# Question 6


@variant("skipgram_loss_and_gradients")
def skipgram_by_keywords(current, words, V, U, f):
    """Keyword calls of the function that is handed over; a comprehension and zip."""
    results = [f(v_c=V[current], o=o, U=U) for o in words]
    losses, grads_v, grads_U = zip(*results, strict=True)
    grad_V = np.zeros(V.shape)
    grad_V[current] = np.sum(grads_v, axis=0)
    return np.sum(losses), grad_V, sum(grads_U)


@variant("skipgram_loss_and_gradients")
def skipgram_by_counts(center, outside, V, U, loss_and_gradients):
    """Calls once for each different word and multiplies by its count; a row vector goes in."""
    loss, grad_V, grad_U = 0, 0 * V, 0 * U
    for o in set(outside):
        n = outside.count(o)
        one_loss, one_v, one_U = loss_and_gradients(V[center : center + 1], np.int64(o), U)
        loss = loss + n * one_loss
        grad_V[center] = grad_V[center] + n * np.ravel(one_v)
        grad_U = grad_U + n * np.asarray(one_U)
    return np.array([loss]), grad_V, grad_U


@variant("skipgram_loss_and_gradients")
def skipgram_by_recursion(center, outside, V, U, loss_and_gradients):
    """Folds the results with reduce and one-hot rows."""
    one_hot = np.eye(len(V))[center]

    def add(total, o):
        loss, grad_v, grad_U = loss_and_gradients(V[center], o, U)
        return [total[0] + loss, total[1] + np.outer(one_hot, grad_v), total[2] + grad_U]

    return reduce(add, outside, [0.0, np.zeros(V.shape), np.zeros(U.shape)])


@variant("cbow_loss_and_gradients")
def cbow_by_weights(center, outside, V, U, loss_and_gradients):
    """A row of weights 1/n per occurrence: the mean is a product, and so is its gradient."""
    weights = np.bincount(outside, minlength=len(V)) / len(outside)
    loss, grad_v_hat, grad_U = loss_and_gradients(weights @ V, center, U)
    return loss, np.outer(weights, grad_v_hat), grad_U


@variant("cbow_loss_and_gradients")
def cbow_by_keywords(center, outside, V, U, loss_and_gradients):
    """Keywords in another order; lists for the vectors; np.add.at."""
    n = len(outside)
    v_hat = [sum(float(V[w][i]) for w in outside) / n for i in range(V.shape[1])]
    loss, grad_v_hat, grad_U = loss_and_gradients(U=U, o=center, v_c=v_hat)
    grad_V = np.zeros_like(V)
    np.add.at(grad_V, outside, (np.asarray(grad_v_hat) / n).astype(V.dtype))
    return loss, grad_V, grad_U


# Question 7


@variant("sgd_step")
def sgd_on_a_copy(loss_and_gradient, theta, alpha):
    """In place, on a copy; the function called by keyword."""
    new = theta.copy()
    new -= alpha * loss_and_gradient(theta=theta)[1]
    return new


@variant("sgd_step")
def sgd_element_by_element(f, x, step):
    """A loop over the elements, after two calls of the function; a tensor comes back."""
    f(x)
    _, gradient = f(x)
    new = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        new[i] = x[i] - step * gradient[i]
    return torch.tensor(new)


@variant("sgd_step")
def sgd_by_an_optimizer(loss_and_gradient, theta, alpha):
    """torch's own optimizer steps a Parameter, which comes back as it is."""
    parameter = torch.nn.Parameter(torch.tensor(theta))
    _, gradient = loss_and_gradient(theta)
    parameter.grad = torch.as_tensor(gradient)
    torch.optim.SGD([parameter], lr=alpha).step()
    return parameter


@variant("sgd_step")
def sgd_by_frompyfunc(loss_and_gradient, theta, alpha):
    """A function of two numbers made one of arrays; NumPy gives an array of objects."""
    step = np.frompyfunc(lambda old, slope: float(old) - alpha * float(slope), 2, 1)
    return step(theta, loss_and_gradient(theta)[1])


# Question 8


@variant("nearest_neighbors")
def neighbors_in_a_loop(word, vectors, k):
    """Cosines one by one, sorted as tuples; NumPy integers."""
    a = vectors[word]
    found = []
    for i, b in enumerate(vectors):
        if i != word:
            found.append((a @ b / np.sqrt((a @ a) * (b @ b)), np.int64(i)))
    return [i for _, i in sorted(found, reverse=True)][:k]


@variant("nearest_neighbors")
def neighbors_masked(w, vectors, k):
    """Sets the word's own cosine to minus infinity; returns an array, a reversed view."""
    lengths = np.sqrt((vectors**2).sum(axis=1))
    cosines = vectors @ vectors[w] / lengths / lengths[w]
    cosines[w] = -np.inf
    return np.argsort(cosines)[::-1][:k]


@variant("nearest_neighbors")
def neighbors_by_torch(w, vectors, k):
    """torch's own cosine and topk; a tensor comes back."""
    rows = torch.as_tensor(vectors)
    cosines = torch.nn.functional.cosine_similarity(rows, rows[w : w + 1], dim=1)
    cosines[w] = -2
    return torch.topk(cosines, k).indices
