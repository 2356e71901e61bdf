"""Right answers to ps2_glove_ngrams in other styles; all score full marks. Never released."""

import math
import warnings
from collections import Counter, defaultdict
from fractions import Fraction
from functools import reduce
from itertools import chain, repeat

import numpy as np
import torch
from scipy import sparse

from autograder.variants import variant

# Question 1


@variant("cooccurrence")
def cooccurrence_in_loops(text, size, m):
    """Three loops over a list of lists, both ends at once; a list comes back."""
    X = [[0.0] * size for _ in range(size)]
    for tokens in text:
        for t, i in enumerate(tokens):
            for k in range(1, m + 1):
                if t + k < len(tokens):
                    j = tokens[t + k]
                    X[i][j] += 1 / k
                    X[j][i] += 1 / k
    return X


@variant("cooccurrence")
def cooccurrence_by_dictionary(texts, vocabulary_size, window):
    """A defaultdict of pairs, written into an array at the end; renamed parameters."""
    pairs = defaultdict(float)
    for tokens in texts:
        for t in range(len(tokens)):
            for s in range(max(0, t - window), min(len(tokens), t + window + 1)):
                if s != t:
                    pairs[tokens[t], tokens[s]] += 1 / abs(t - s)
    X = np.zeros((vocabulary_size, vocabulary_size), dtype=np.float32)
    for (i, j), x in pairs.items():
        X[i, j] = x
    return X


@variant("cooccurrence")
def cooccurrence_sparse(text, size, m):
    """A sparse table while counting: what falls on one cell adds up by itself."""
    X = sparse.csr_array((size, size))
    for tokens in text:
        for k in range(1, m + 1):
            left, right = tokens[:-k], tokens[k:]
            cells = sparse.coo_array((np.full(len(left), 1 / k), (left, right)), (size, size))
            X = X + cells.tocsr()
    return (X + X.T).toarray()


@variant("cooccurrence")
def cooccurrence_one_hot(text, size, m):
    """One-hot rows and a band of weights around the diagonal: a product of matrices."""
    X = torch.zeros(size, size, dtype=torch.float64)
    for tokens in text:
        one_hot = torch.nn.functional.one_hot(torch.tensor(tokens), size).double()
        places = torch.arange(len(tokens))
        distance = (places[:, None] - places).abs()
        weight = torch.where((distance > 0) & (distance <= m), 1 / distance.clamp(min=1), 0.0)
        X += one_hot.T @ weight.double() @ one_hot
    return X


@variant("cooccurrence")
def cooccurrence_padded(text, size, m):
    """One long text with gaps between the texts, a word too many that is cut off at the end."""
    joined = np.array(list(chain.from_iterable([*tokens, *[size] * m] for tokens in text)))
    X = np.zeros((size + 1, size + 1))
    for k in range(1, m + 1):
        np.add.at(X, (joined[:-k], joined[k:]), 1 / k)
        np.add.at(X, (joined[k:], joined[:-k]), 1 / k)
    return X[:-1, :-1]


# Question 2


@variant("svd_reduce")
def svd_by_torch(M, k):
    """torch's decomposition; a view of its result."""
    A, s, _ = torch.linalg.svd(torch.as_tensor(M), full_matrices=True)
    return (A[:, : len(s)] * s)[:, :k]


@variant("svd_reduce")
def svd_by_projection(M, k):
    """M times the first right vectors: the same coordinates."""
    print("shape", M.shape)
    return M @ np.linalg.svd(M)[2].T[:, :k]


@variant("svd_reduce")
def svd_by_eigenvectors(M, k):
    """Eigenvectors of M Mᵀ in float64, from the largest; the signs as they come."""
    M = M.astype(np.float64)
    values, vectors = np.linalg.eigh(M @ M.T)
    return vectors[:, ::-1][:, :k] * np.sqrt(np.maximum(values[::-1][:k], 0))


@variant("svd_reduce")
def svd_with_other_signs(M, k):
    """SciPy's decomposition, a diagonal matrix, every sign turned, float32."""
    from scipy.linalg import svd

    A, s, _ = svd(M, full_matrices=False)
    return -(A[:, :k] @ np.diag(s[:k])).astype(np.float32)


# Question 3


@variant("glove_weight")
def weight_by_where(x, x_max, gamma):
    """np.where, as the formula stands."""
    x = np.asarray(x)
    return np.where(x < x_max, (x / x_max) ** gamma, 1.0)


@variant("glove_weight")
def weight_by_mask(x, x_max, gamma):
    """A mask on a copy; always an array of at least one dimension."""
    share = np.atleast_1d(np.array(x, dtype=float)) / x_max
    weights = share**gamma
    weights[share > 1] = 1
    return weights


@variant("glove_weight")
def weight_by_torch(counts, cap, power):
    """torch's clamp; renamed parameters; a tensor comes back."""
    return (torch.as_tensor(counts, dtype=torch.float64) / cap).clamp(max=1).pow(power)


@variant("glove_weight")
def weight_one_by_one(x, x_max, gamma):
    """A plain if for one number, through np.vectorize."""

    def one(count):
        return float(count / x_max) ** gamma if count < x_max else 1.0

    return np.vectorize(one, otypes=[float])(x)


# Question 4


@variant("glove_loss_and_gradients")
def glove_in_loops(V, U, b, b_tilde, X, f):
    """Two loops over the cells, f asked for one number at a time; the results in a list."""
    loss = 0.0
    grads = [np.zeros(part.shape) for part in (V, U, b, b_tilde)]
    for i in range(len(X)):
        for j in range(len(X)):
            if X[i, j] == 0:
                continue
            error = V[i].dot(U[j]) + b[i] + b_tilde[j] - math.log(X[i, j])
            slope = 2 * float(f(float(X[i, j]))) * error
            loss += slope * error / 2
            grads[0][i] += slope * U[j]
            grads[1][j] += slope * V[i]
            grads[2][i] += slope
            grads[3][j] += slope
    return [loss, *grads]


@variant("glove_loss_and_gradients")
def glove_by_autograd(V, U, b, b_tilde, X, f):
    """Differentiates with torch over a list of cells; the loss still attached to its graph."""
    theta = [torch.tensor(part, requires_grad=True) for part in (V, U, b, b_tilde)]
    i, j = np.nonzero(X)
    error = (theta[0][i] * theta[1][j]).sum(1) + theta[2][i] + theta[3][j]
    error = error - torch.tensor(np.log(X[i, j]))
    loss = (torch.tensor(np.asarray(f(x=X[i, j]))) * error**2).sum()
    loss.backward()
    return (loss, *[part.grad for part in theta])


@variant("glove_loss_and_gradients")
def glove_by_einsum(V, U, b, b_tilde, X, f):
    """einsum for every sum; a mask that multiplies; biases as columns; a loss of shape (1, 1)."""
    mask = (X > 0).astype(X.dtype)
    with np.errstate(divide="ignore"):
        log_X = np.nan_to_num(np.log(X), neginf=0.0)
    scores = np.einsum("id,jd->ij", V, U) + b.reshape(-1, 1) + b_tilde.reshape(1, -1)
    error = mask * (scores - log_X)
    E = 2 * np.asarray(f(X)) * error
    loss = np.einsum("ij,ij->", E, error) / 2
    return (
        loss.reshape(1, 1),
        np.einsum("ij,jd->id", E, U),
        np.einsum("ij,id->jd", E, V),
        np.einsum("ij->i", E).reshape(-1, 1),
        np.einsum("ij->j", E).reshape(1, -1),
    )


@variant("glove_loss_and_gradients")
def glove_by_cells(V, U, b, b_tilde, X, f):
    """The list of the cells that were seen, scattered with np.add.at, in float32."""
    V, U, b, b_tilde, X = (part.astype(np.float32) for part in (V, U, b, b_tilde, X))
    i, j = np.where(X > 0)
    x = X[i, j]
    error = np.sum(V[i] * U[j], axis=1) + b[i] + b_tilde[j] - np.log(x)
    g = (2 * np.asarray(f(x)) * error).astype(np.float32)
    grads = [np.zeros_like(part) for part in (V, U, b, b_tilde)]
    for grad, rows, part in zip(grads, (i, j, i, j), (g[:, None] * U[j], g[:, None] * V[i], g, g)):  # noqa: B905
        np.add.at(grad, rows, part)
    return (g @ error / 2, *grads)


@variant("glove_loss_and_gradients")
def glove_sparse(V, U, b, b_tilde, X, f):
    """E as a sparse matrix, so that empty cells cost nothing."""
    cells = sparse.coo_array(X)
    i, j = cells.coords
    error = (V[i] * U[j]).sum(axis=1) + b[i] + b_tilde[j] - np.log(cells.data)
    slope = np.asarray(f(cells.data)) * error
    E = sparse.csr_array((2 * slope, (i, j)), shape=X.shape)
    return slope @ error, E @ U, E.T @ V, E.sum(axis=1), E.sum(axis=0)


@variant("glove_loss_and_gradients")
def glove_as_a_generator(V, U, b, b_tilde, X, f):
    """Yields the five results; the biases as one more column of each table."""
    ones = np.ones((len(V), 1))
    left = np.hstack([V, b[:, None], ones])
    right = np.hstack([U, ones, b_tilde[:, None]])
    error = left @ right.T
    error[X > 0] -= np.log(X[X > 0])
    error[X == 0] = 0
    E = 2 * np.asarray(f(X)) * error
    yield (E * error).sum() / 2
    grad_left, grad_right = E @ right, E.T @ left
    yield grad_left[:, :-2]
    yield grad_right[:, :-2]
    yield grad_left[:, -2]
    yield grad_right[:, -1]


# Question 5


@variant("adagrad_step")
def adagrad_in_place(theta, G, g, alpha):
    """Changes its arguments, and a warning on the way; a list comes back."""
    warnings.warn("in place", stacklevel=2)
    G += g * g
    theta -= alpha / (np.sqrt(G) + 1e-10) * g
    return [theta, G]


@variant("adagrad_step")
def adagrad_number_by_number(theta, G, g, alpha):
    """A loop over the numbers, with the module math."""
    new, sums = np.empty(theta.shape), np.empty(theta.shape)
    for place in np.ndindex(theta.shape):
        sums[place] = float(G[place]) + float(g[place]) ** 2
        root = math.sqrt(sums[place]) + 1e-10
        new[place] = float(theta[place]) - alpha * float(g[place]) / root
    return new, sums


@variant("adagrad_step")
def adagrad_by_an_optimizer(theta, G, g, alpha):
    """torch's own optimizer, whose sum is put in by hand; tensors come back."""
    parameter = torch.nn.Parameter(torch.tensor(theta))
    parameter.grad = torch.tensor(g)
    optimizer = torch.optim.Adagrad([parameter], lr=alpha)
    optimizer.state[parameter]["sum"] = torch.tensor(G)
    optimizer.step()
    return parameter, optimizer.state[parameter]["sum"]


@variant("adagrad_step")
def adagrad_only_where_asked(theta, G, g, alpha):
    """Leaves alone what has no gradient, so that no epsilon is needed; epsilon under the root."""
    G = G + np.square(g)
    asked = g != 0
    step = np.zeros_like(theta)
    step[asked] = alpha * g[asked] / np.sqrt(G[asked] + 1e-20)
    return theta - step, G


# Question 6


@variant("ngram_counts")
def ngrams_by_zip(text, n):
    """zip of shifted lists, counted by a Counter."""
    counts = Counter()
    for sentence in text:
        tokens = ["<s>"] * (n - 1) + list(sentence) + ["</s>"]
        counts.update(zip(*[tokens[k:] for k in range(n)], strict=False))
    return counts


@variant("ngram_counts")
def ngrams_by_history(sentences, order):
    """A history that moves along, in a defaultdict whose default is a function of its own."""
    counts = defaultdict(lambda: 0)
    for sentence in sentences:
        history = ("<s>",) * (order - 1)
        for token in [*sentence, "</s>"]:
            counts[(*history, token)] += 1
            history = (*history, token)[1:]
    return counts


@variant("ngram_counts")
def ngrams_of_a_class(text, n):
    """A class that extends dict and counts by itself."""

    class Table(dict):
        def __missing__(self, gram):
            return 0

        def see(self, gram):
            self[gram] += 1

    table = Table()
    for sentence in text:
        tokens = list(chain(repeat("<s>", n - 1), sentence, ["</s>"]))
        for t in range(n - 1, len(tokens)):
            table.see(tuple(tokens[t - n + 1 : t + 1]))
    return table


@variant("ngram_counts")
def ngrams_by_recursion(text, n):
    """One sentence and the rest of the text, by recursion; the sentence is changed in place."""
    if not text:
        return {}
    counts = ngrams_by_recursion(text[1:], n)
    sentence = text[0]
    sentence.append("</s>")
    for k in range(n - 1):
        sentence.insert(k, "<s>")
    for t in range(len(sentence) - n + 1):
        gram = tuple(sentence[t : t + n])
        try:
            counts[gram] += 1
        except KeyError:
            counts[gram] = 1
    return counts


@variant("histories")
def histories_by_counter(counts):
    """A Counter; and the items walked through as tuples."""
    totals = Counter()
    for (*history, _), count in counts.items():
        totals[tuple(history)] += count
    return totals


@variant("histories")
def histories_by_comprehension(grams):
    """For each history, the sum over all n-grams that begin with it; NumPy's integers."""
    found = {gram[: len(gram) - 1] for gram in grams}
    return {h: np.sum([grams[g] for g in grams if g[:-1] == h]) for h in found}


@variant("histories")
def histories_by_reduce(counts):
    """Folds the items into a dictionary that is made anew each time."""
    return reduce(
        lambda totals, item: {**totals, item[0][:-1]: totals.get(item[0][:-1], 0) + item[1]},
        counts.items(),
        {},
    )


@variant("histories")
def histories_by_elements(counts):
    """Every occurrence one by one, into a defaultdict of int."""
    totals = defaultdict(int)
    for gram in counts.elements():
        totals[gram[:-1]] += 1
    return totals


# Question 7


@variant("add_delta")
def delta_by_get(gram, counts, totals, size, delta):
    """get with a default, history and token taken apart."""
    *history, _ = gram
    return (counts.get(gram, 0) + delta) / (totals.get(tuple(history), 0) + delta * size)


@variant("add_delta")
def delta_as_a_mixture(gram, counts, totals, vocabulary, added):
    """The same as a mixture of the ratio of counts and the uniform guess; float32."""
    N = totals[gram[:-1]]
    if N == 0:
        return np.float32(1 / vocabulary)
    share = N / (N + added * vocabulary)
    return np.float32(share * counts[gram] / N + (1 - share) / vocabulary)


@variant("add_delta")
def delta_as_fraction(gram, counts, totals, size, delta):
    """Exact fractions."""
    delta = Fraction(delta)
    return Fraction(counts[gram] + delta) / (totals[gram[:-1]] + delta * size)


# Question 8


@variant("interpolation")
def mixture_by_recursion(gram, counts, totals, size, lam):
    """P_k by recursion, and a scalar product."""

    def P(k):
        if k == 0:
            return 1 / size
        last = gram[len(gram) - k :]
        N = totals[k][last[:-1]]
        return counts[k][last] / N if N > 0 else P(k - 1)

    return np.dot(lam, [P(k) for k in range(len(lam))])


@variant("interpolation")
def mixture_from_the_longest(gram, counts, totals, size, lam):
    """From the longest order down: the weight of an order that knows nothing is handed on."""
    P, carried = 0.0, 0.0
    for k in range(len(gram), 0, -1):
        short = gram[len(gram) - k :]
        carried += lam[k]
        try:
            P += carried * counts[k][short] / totals[k][short[:-1]]
            carried = 0.0
        except ZeroDivisionError:
            continue
    return np.array([P + (carried + lam[0]) / size])


@variant("interpolation")
def mixture_by_torch(gram, counts, totals, size, lam):
    """A tensor of the components; a tensor of no dimension comes back."""
    P = torch.full((len(lam),), 1 / size, dtype=torch.float64)
    for k in range(1, len(lam)):
        N = totals[k].get(gram[-k:-1], 0)
        P[k] = counts[k].get(gram[-k:], 0) / N if N else P[k - 1]
    return torch.tensor(lam, dtype=torch.float64) @ P


# Question 9


@variant("continuations")
def continuations_by_sets(counts):
    """Sets of neighbors; dictionaries of their sizes in a list."""
    after, before = defaultdict(set), defaultdict(set)
    for left, right in counts:
        after[left,].add(right)
        before[right,].add(left)
    return [{h: len(s) for h, s in after.items()}, {w: len(s) for w, s in before.items()}]


@variant("continuations")
def continuations_in_one_loop(counts):
    """Two plain dictionaries, by get; the entries with 0 are kept."""
    followers = dict.fromkeys([(token,) for gram in counts for token in gram], 0)
    contexts = followers.copy()
    for gram in counts.keys():  # noqa: SIM118
        followers[gram[0],] = followers.get((gram[0],)) + 1
        contexts[gram[1],] = contexts.get((gram[1],)) + 1
    return followers, contexts


@variant("discount")
def discount_in_a_loop(counts):
    """A loop and two numbers."""
    n_1 = n_2 = 0
    for count in counts.values():
        if count == 1:
            n_1 += 1
        elif count == 2:
            n_2 += 1
    return n_1 / (n_1 + 2 * n_2)


@variant("discount")
def discount_by_numpy(counts):
    """np.bincount of the counts; NumPy's number."""
    n = np.bincount(list(counts.values()), minlength=3)
    return n[1] / (n[1] + 2 * n[2])


@variant("discount")
def discount_by_counts_of_counts(counts):
    """A Counter of the counts; the fraction turned over."""
    n = Counter(counts.values())
    return 1 / (1 + 2 * n[2] / n[1])


@variant("kneser_ney")
def kneser_ney_in_parts(gram, counts, totals, followers, contexts, D):
    """The formula in parts, with a sum of the contexts as denominator."""
    history, word = gram
    share = contexts[(word,)] / sum(contexts.values())
    if (history,) not in totals:
        return share
    kept = max(counts[history, word] - D, 0) / totals[(history,)]
    weight = D * followers[(history,)] / totals[(history,)]
    return kept + weight * share


@variant("kneser_ney")
def kneser_ney_by_keywords(bigram, c, N, after, before, d):
    """Renamed parameters; get with defaults; an array of one number."""
    word = before.get(bigram[1:], 0) / len(c)
    count, total = c.get(bigram, 0), N.get(bigram[:-1], 0)
    kept = count - d if count > 0 else 0.0
    result = (kept + d * after.get(bigram[:-1], 0) * word) / total if total else word
    return np.array([result])


# Question 10


@variant("perplexity")
def perplexity_by_numpy(P, text, n):
    """All probabilities first; the logarithm of 0 is minus infinity, with a warning."""
    chances = []
    for sentence in text:
        padded = ["<s>"] * (n - 1) + sentence + ["</s>"]
        chances += [P(tuple(padded[t : t + n])) for t in range(len(padded) - n + 1)]
    return np.exp(-np.log(np.array(chances)).mean())


@variant("perplexity")
def perplexity_in_bits(P, text, n):
    """Two to the power of the mean of bits; P called by keyword; math.inf for 0."""
    bits, T = 0.0, 0
    for sentence in text:
        history = ["<s>"] * (n - 1)
        for token in chain(sentence, ["</s>"]):
            chance = P(gram=(*history, token))
            bits += -math.log2(chance) if chance > 0 else math.inf
            history = [*history, token][1:]
            T += 1
    return 2 ** (bits / T)


@variant("perplexity")
def perplexity_by_counts(P, sentences, order):
    """Counts the n-grams first and asks once about each; a geometric mean of the inverses."""
    counts = Counter()
    for sentence in sentences:
        tokens = ("<s>",) * (order - 1) + tuple(sentence) + ("</s>",)
        counts.update(zip(*[tokens[k:] for k in range(order)], strict=False))
    result = 1.0
    for gram, times in counts.items():
        chance = P(gram)
        if chance == 0:
            return torch.tensor(math.inf)
        result *= (1 / chance) ** (times / sum(counts.values()))
    return torch.tensor(result)


@variant("perplexity")
def perplexity_by_a_generator(P, text, n):
    """A generator of surprises, and the module math."""

    def surprises():
        for sentence in text:
            tokens = [*["<s>"] * (n - 1), *sentence, "</s>"]
            for end in range(n, len(tokens) + 1):
                chance = P(tuple(tokens[end - n : end]))
                yield float("inf") if chance == 0 else -math.log(chance)

    losses = list(surprises())
    return math.exp(math.fsum(losses) / len(losses))
