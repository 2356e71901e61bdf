"""Known mistakes in ps2_glove_ngrams: each gives what a student gets who makes it.

The docstring is the hint that the student reads, so it names the mistake and not the answer. Every
function is deterministic. Never released.
"""

import math
from collections import Counter

import numpy as np

from autograder.variants import variant

# Question 1


def _near(tokens, m):
    """Pairs of places that see each other, with their distance."""
    for t in range(len(tokens)):
        for s in range(max(0, t - m), min(len(tokens), t + m + 1)):
            if s != t:
                yield t, s, abs(s - t)


def _counted(text, size, m, weight):
    X = np.zeros((size, size))
    for tokens in text:
        for t, s, k in _near(tokens, m):
            X[tokens[t], tokens[s]] += weight(k)
    return X


@variant("cooccurrence")
def cooccurrence_without_distance(text, size, m):
    """In your table a far neighbor counts as much as a near one."""
    return _counted(text, size, m, lambda k: 1)


@variant("cooccurrence")
def cooccurrence_weighted_along_a_line(text, size, m):
    """Your weights fall along a straight line with the distance, which is word2vec's rule."""
    return _counted(text, size, m, lambda k: (m + 1 - k) / m)


@variant("cooccurrence")
def cooccurrence_weighted_by_distance(text, size, m):
    """In your table a neighbor counts the more the farther it is away."""
    return _counted(text, size, m, lambda k: k)


@variant("cooccurrence")
def cooccurrence_of_the_right_side(text, size, m):
    """You count the neighbors on one side only, but a window has two."""
    X = np.zeros((size, size))
    for tokens in text:
        for t, s, k in _near(tokens, m):
            if s > t:
                X[tokens[t], tokens[s]] += 1 / k
    return X


@variant("cooccurrence")
def cooccurrence_counted_twice_over(text, size, m):
    """You add to both cells of a pair each time that you meet it, and you meet it twice."""
    X = _counted(text, size, m, lambda k: 1 / k)
    return X + X.T


@variant("cooccurrence")
def cooccurrence_short_of_distance_m(text, size, m):
    """You lose the neighbors at distance m: check where your range ends."""
    return _counted(text, size, m - 1, lambda k: 1 / k)


@variant("cooccurrence")
def cooccurrence_wrapped_around(text, size, m):
    """Near the start of a text you use negative indices, which count from its end."""
    X = np.zeros((size, size))
    for tokens in text:
        n = len(tokens)
        for t in range(n):
            for s in range(max(t - m, -n), min(n, t + m + 1)):
                if s != t:
                    X[tokens[t], tokens[s]] += 1 / abs(s - t)
    return X


@variant("cooccurrence")
def cooccurrence_clamped_to_the_edges(text, size, m):
    """At the edges you repeat the first or the last word to fill up the window."""
    X = np.zeros((size, size))
    for tokens in text:
        for t in range(len(tokens)):
            for k in [*range(-m, 0), *range(1, m + 1)]:
                s = min(max(t + k, 0), len(tokens) - 1)
                X[tokens[t], tokens[s]] += 1 / abs(k)
    return X


@variant("cooccurrence")
def cooccurrence_in_the_middle_only(text, size, m):
    """The words near the edges of a text have no window in your code, but a smaller one is owed."""
    X = np.zeros((size, size))
    for tokens in text:
        for t, s, k in _near(tokens, m):
            if m <= t < len(tokens) - m:
                X[tokens[t], tokens[s]] += 1 / k
    return X


@variant("cooccurrence")
def cooccurrence_bounded_by_the_vocabulary(text, size, m):
    """You compare a place in the text with the size of the vocabulary: they are not related."""
    X = np.zeros((size, size))
    for tokens in text:
        for t in range(len(tokens)):
            for s in range(max(0, t - m), min(size, t + m + 1)):
                if s != t:
                    X[tokens[t], tokens[s]] += 1 / abs(s - t)
    return X


@variant("cooccurrence")
def cooccurrence_without_the_words_own_repeats(text, size, m):
    """You leave out the center by comparing words, so a repeat of it nearby is lost as well."""
    X = _counted(text, size, m, lambda k: 1 / k)
    np.fill_diagonal(X, 0)
    return X


@variant("cooccurrence")
def cooccurrence_overwritten(text, size, m):
    """When a pair occurs again you overwrite what it had, in place of adding to it."""
    X = np.zeros((size, size))
    for tokens in text:
        for t, s, k in _near(tokens, m):
            X[tokens[t], tokens[s]] = 1 / k
    return X


@variant("cooccurrence")
def cooccurrence_loses_repeats_in_a_window(text, size, m):
    """A word that stands twice in one window is added once: indexed += keeps only the last."""
    X = np.zeros((size, size))
    for tokens in text:
        for t in range(len(tokens)):
            near = [(tokens[s], 1 / k) for c, s, k in _near(tokens, m) if c == t]
            if near:
                words, weights = zip(*near, strict=True)
                X[tokens[t], list(words)] += np.array(weights)
    return X


@variant("cooccurrence")
def cooccurrence_across_texts(text, size, m):
    """Your windows reach from the end of one text into the beginning of the next."""
    return _counted([[w for tokens in text for w in tokens]], size, m, lambda k: 1 / k)


@variant("cooccurrence")
def cooccurrence_of_the_last_text(text, size, m):
    """Your table is started anew for each text, so that the last one alone is left in it."""
    return _counted(text[-1:], size, m, lambda k: 1 / k)


# Question 2


@variant("svd_reduce")
def svd_without_singular_values(M, k):
    """You return the directions alone, but each coordinate has a size too."""
    return np.linalg.svd(M)[0][:, :k]


@variant("svd_reduce")
def svd_of_the_columns(M, k):
    """You reduce the columns of M, but the vectors of the rows are asked for."""
    _, s, Bt = np.linalg.svd(M, full_matrices=False)
    return Bt.T[:, :k] * s[:k]


@variant("svd_reduce")
def svd_with_the_third_result_untransposed(M, k):
    """The third result of NumPy's svd is not what you took it for: read which one is transposed."""
    _, s, Bt = np.linalg.svd(M, full_matrices=False)
    return Bt[:, :k] * s[:k]


@variant("svd_reduce")
def svd_of_everything(M, k):
    """You keep all directions, whatever k is."""
    A, s, _ = np.linalg.svd(M, full_matrices=False)
    return A * s


@variant("svd_reduce")
def svd_put_together_again(M, k):
    """You return the best matrix of rank k, which still has as many columns as M."""
    A, s, Bt = np.linalg.svd(M, full_matrices=False)
    return (A[:, :k] * s[:k]) @ Bt[:k]


@variant("svd_reduce")
def svd_with_roots(M, k):
    """You multiply by the roots of the singular values, which splits them between two factors."""
    A, s, _ = np.linalg.svd(M, full_matrices=False)
    return A[:, :k] * np.sqrt(s[:k])


@variant("svd_reduce")
def svd_with_the_smallest(M, k):
    """You keep the directions with the smallest singular values: look at their order."""
    A, s, _ = np.linalg.svd(M, full_matrices=False)
    return (A * s)[:, ::-1][:, :k]


@variant("svd_reduce")
def svd_centered(M, k):
    """You subtract each column's mean first: that is PCA, and another matrix."""
    A, s, _ = np.linalg.svd(M - M.mean(axis=0), full_matrices=False)
    return A[:, :k] * s[:k]


@variant("svd_reduce")
def svd_by_eigenvalues_in_order(M, k):
    """You take the largest eigenvalues, but M need not be square, and a negative one counts too."""
    values, vectors = np.linalg.eigh(M)
    return (vectors * values)[:, ::-1][:, :k]


@variant("svd_reduce")
def svd_multiplied_by_rows(M, k):
    """Your singular values multiply rows, but each belongs to a column."""
    A, s, _ = np.linalg.svd(M)
    return (np.diag(s) @ A)[:, :k]


# Question 3


@variant("glove_weight")
def weight_without_cap(x, x_max, gamma):
    """Your weight grows without end, but a count as large as x_max is sure enough."""
    return (np.asarray(x) / x_max) ** gamma


@variant("glove_weight")
def weight_without_power(x, x_max, gamma):
    """Your weight is a straight line below x_max: gamma takes no part."""
    return np.minimum(np.asarray(x) / x_max, 1)


@variant("glove_weight")
def weight_of_numbers_only(x, x_max, gamma):
    """A plain if takes one number, but x may be an array."""
    if x < x_max:
        return (x / x_max) ** gamma
    return 1.0


@variant("glove_weight")
def weight_power_of_the_count_alone(x, x_max, gamma):
    """Your power acts on the count alone and not on its share of x_max."""
    x = np.asarray(x, dtype=float)
    return np.where(x < x_max, x**gamma / x_max, 1)


@variant("glove_weight")
def weight_nothing_above(x, x_max, gamma):
    """Counts above x_max get no weight at all in your code, but they are the surest."""
    x = np.asarray(x, dtype=float)
    return np.where(x < x_max, (x / x_max) ** gamma, 0)


@variant("glove_weight")
def weight_at_least_one(x, x_max, gamma):
    """Your weights are never below 1: which of the two should be the limit?"""
    return np.maximum(np.asarray(x) / x_max, 1) ** gamma


@variant("glove_weight")
def weight_capped_at_x_max(x, x_max, gamma):
    """You limit the count to x_max and do not divide by it."""
    return np.minimum(np.asarray(x, dtype=float), x_max) ** gamma


@variant("glove_weight")
def weight_of_the_paper(x, x_max, gamma):
    """You use the paper's two numbers, but the ones that are given may be others."""
    return np.minimum(np.asarray(x) / 100, 1) ** 0.75


# Question 4


def _errors(V, U, b, b_tilde, X, f):
    seen = X > 0
    log_X = np.log(np.where(seen, X, 1))
    error = np.where(seen, V @ U.T + b[:, None] + b_tilde - log_X, 0)
    return error, np.asarray(f(X))


def _results(error, weight, V, U):
    E = 2 * weight * error
    return np.sum(weight * error**2), E @ U, E.T @ V, E.sum(axis=1), E.sum(axis=0)


@variant("glove_loss_and_gradients")
def glove_of_log_one_plus(V, U, b, b_tilde, X, f):
    """You fit the logarithm of 1 + X, as one does before an SVD; here it is of the count itself."""
    error = np.where(X > 0, V @ U.T + b[:, None] + b_tilde - np.log(1 + X), 0)
    return _results(error, np.asarray(f(X)), V, U)


@variant("glove_loss_and_gradients")
def glove_with_empty_cells(V, U, b, b_tilde, X, f):
    """Pairs that were never seen enter your sums, as if the logarithm of their count were 0."""
    error = V @ U.T + b[:, None] + b_tilde - np.log(np.where(X > 0, X, 1))
    return _results(error, np.asarray(f(X)), V, U)


@variant("glove_loss_and_gradients")
def glove_with_the_logarithm_of_nothing(V, U, b, b_tilde, X, f):
    """You take the logarithm of an empty cell, and what comes of it is infinite or no number."""
    error = V @ U.T + b[:, None] + b_tilde - np.log(X)
    return _results(error, np.asarray(f(X)), V, U)


@variant("glove_loss_and_gradients")
def glove_without_weight(V, U, b, b_tilde, X, f):
    """Every cell weighs the same in your sums: f takes no part."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    return _results(error, np.ones_like(weight), V, U)


@variant("glove_loss_and_gradients")
def glove_with_the_papers_weight(V, U, b, b_tilde, X, f):
    """You weigh with the paper's function, but the weight to use is the one handed over."""
    error, _ = _errors(V, U, b, b_tilde, X, f)
    return _results(error, np.minimum(X / 100, 1) ** 0.75, V, U)


@variant("glove_loss_and_gradients")
def glove_weight_in_the_loss_only(V, U, b, b_tilde, X, f):
    """Your loss weighs the cells, but your gradients forget to."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    return (np.sum(weight * error**2), *_results(error, np.ones_like(weight), V, U)[1:])


@variant("glove_loss_and_gradients")
def glove_weight_inside_the_square(V, U, b, b_tilde, X, f):
    """You square the weight together with the error."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    return _results(error, weight**2, V, U)


@variant("glove_loss_and_gradients")
def glove_without_the_factor(V, U, b, b_tilde, X, f):
    """Your gradients are half of what they should be: what is the derivative of a square?"""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, *gradients = _results(error, weight, V, U)
    return (loss, *[part / 2 for part in gradients])


@variant("glove_loss_and_gradients")
def glove_half_the_loss(V, U, b, b_tilde, X, f):
    """Your loss has a factor 1/2 that the statement has not."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, *gradients = _results(error, weight, V, U)
    return (loss / 2, *gradients)


@variant("glove_loss_and_gradients")
def glove_averaged(V, U, b, b_tilde, X, f):
    """You average over the cells that were seen, but the loss adds them up."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    return tuple(part / np.sum(X > 0) for part in _results(error, weight, V, U))


@variant("glove_loss_and_gradients")
def glove_error_not_squared(V, U, b, b_tilde, X, f):
    """Your loss adds up the errors as they are, so that opposite ones cancel."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    return (np.sum(weight * error), *_results(error, weight, V, U)[1:])


@variant("glove_loss_and_gradients")
def glove_uphill(V, U, b, b_tilde, X, f):
    """All your gradients have the wrong sign: they point to a smaller loss."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, *gradients = _results(error, weight, V, U)
    return (loss, *[-part for part in gradients])


@variant("glove_loss_and_gradients")
def glove_without_transpose(V, U, b, b_tilde, X, f):
    """Your grad_U sums over the outside words, but each of its rows is a sum over the centers."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, grad_V, _, grad_b, grad_b_tilde = _results(error, weight, V, U)
    return loss, grad_V, 2 * (weight * error) @ V, grad_b, grad_b_tilde


@variant("glove_loss_and_gradients")
def glove_own_vectors_in_the_gradients(V, U, b, b_tilde, X, f):
    """A score depends on v through u, but your two gradients are made of their own vectors."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, _, _, grad_b, grad_b_tilde = _results(error, weight, V, U)
    E = 2 * weight * error
    return loss, E @ V, E.T @ U, grad_b, grad_b_tilde


@variant("glove_loss_and_gradients")
def glove_scores_transposed(V, U, b, b_tilde, X, f):
    """Your scores are in the wrong place: the row should be the center word."""
    error = np.where(X > 0, U @ V.T + b[:, None] + b_tilde - np.log(np.where(X > 0, X, 1)), 0)
    return _results(error, np.asarray(f(X)), V, U)


@variant("glove_loss_and_gradients")
def glove_biases_along_the_wrong_axis(V, U, b, b_tilde, X, f):
    """Your two biases are added along each other's axis, which a square table does not notice."""
    error, weight = _errors(V, U, b_tilde, b, X, f)
    return _results(error, weight, V, U)


@variant("glove_loss_and_gradients")
def glove_without_biases(V, U, b, b_tilde, X, f):
    """The biases take no part in your errors."""
    error, weight = _errors(V, U, 0 * b, 0 * b_tilde, X, f)
    return _results(error, weight, V, U)


@variant("glove_loss_and_gradients")
def glove_bias_gradients_swapped(V, U, b, b_tilde, X, f):
    """The gradients of your two biases stand in each other's place: which index is summed over?"""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, grad_V, grad_U, grad_b, grad_b_tilde = _results(error, weight, V, U)
    return loss, grad_V, grad_U, grad_b_tilde, grad_b


@variant("glove_loss_and_gradients")
def glove_bias_gradients_summed_up(V, U, b, b_tilde, X, f):
    """Each word has a bias of its own, but your gradients give all of them one sum."""
    error, weight = _errors(V, U, b, b_tilde, X, f)
    loss, grad_V, grad_U, grad_b, _ = _results(error, weight, V, U)
    everything = np.full_like(grad_b, grad_b.sum())
    return loss, grad_V, grad_U, everything, everything


@variant("glove_loss_and_gradients")
def glove_of_the_counts(V, U, b, b_tilde, X, f):
    """Your scores are to equal the counts themselves, whose squares the frequent pairs rule."""
    error = np.where(X > 0, V @ U.T + b[:, None] + b_tilde - X, 0)
    return _results(error, np.asarray(f(X)), V, U)


# Question 5


def _step(theta, G, g, alpha):
    G = G + g**2
    return theta - alpha * g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_by_the_old_sum(theta, G, g, alpha):
    """You divide by the sum before this step, which is still zero at the first one."""
    return theta - alpha * g / (np.sqrt(G) + 1e-10), G + g**2


@variant("adagrad_step")
def adagrad_without_memory(theta, G, g, alpha):
    """Your sum of squares forgets the steps before."""
    return theta - alpha * g / (np.sqrt(g**2) + 1e-10), g**2


@variant("adagrad_step")
def adagrad_with_fading_memory(theta, G, g, alpha):
    """Your sum of squares is a running mean: that is RMSProp."""
    G = 0.9 * G + 0.1 * g**2
    return theta - alpha * g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_without_root(theta, G, g, alpha):
    """You divide by the sum of the squares itself, so large gradients take tiny steps."""
    G = G + g**2
    return theta - alpha * g / (G + 1e-10), G


@variant("adagrad_step")
def adagrad_of_plain_gradients(theta, G, g, alpha):
    """You add up the gradients without squaring them."""
    G = G + g
    return theta - alpha * g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_uphill(theta, G, g, alpha):
    """Your step goes along the gradient, which is uphill."""
    G = G + g**2
    return theta + alpha * g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_one_sum_for_all(theta, G, g, alpha):
    """You add up the squares of all numbers, but each has a sum of its own."""
    G = G + np.sum(g**2)
    return theta - alpha * g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_without_rate(theta, G, g, alpha):
    """Your steps ignore alpha."""
    G = G + g**2
    return theta - g / (np.sqrt(G) + 1e-10), G


@variant("adagrad_step")
def adagrad_without_epsilon(theta, G, g, alpha):
    """A number that was never asked to move divides 0 by 0 in your code."""
    G = G + g**2
    return theta - alpha * g / np.sqrt(G), G


@variant("adagrad_step")
def adagrad_as_plain_descent(theta, G, g, alpha):
    """Your step does not use the sum of squares: that is plain gradient descent."""
    return theta - alpha * g, G + g**2


@variant("adagrad_step")
def adagrad_returns_the_step(theta, G, g, alpha):
    """You return the step in the place of the new parameters."""
    after, G = _step(theta, G, g, alpha)
    return theta - after, G


# Question 6


def _sentences(text, n):
    return [["<s>"] * (n - 1) + list(sentence) + ["</s>"] for sentence in text]


def _slices(tokens, n):
    return [tuple(tokens[t : t + n]) for t in range(len(tokens) - n + 1)]


def _tally(text, n):
    return dict(Counter(gram for tokens in _sentences(text, n) for gram in _slices(tokens, n)))


@variant("ngram_counts")
def ngrams_without_end(text, n):
    """Your sentences have no end, but the mark behind each is a token to predict."""
    return dict(Counter(g for s in _sentences(text, n) for g in _slices(s[:-1], n)))


@variant("ngram_counts")
def ngrams_without_beginning(text, n):
    """Your first words have no history: the marks in front are missing."""
    return dict(Counter(g for s in text for g in _slices([*s, "</s>"], n)))


@variant("ngram_counts")
def ngrams_with_one_beginning(text, n):
    """You put one mark in front of a sentence, whatever n is."""
    return dict(Counter(g for s in text for g in _slices(["<s>", *s, "</s>"], n)))


@variant("ngram_counts")
def ngrams_with_n_beginnings(text, n):
    """You put one mark too many in front, so that your model has to predict a beginning."""
    return dict(Counter(g for s in _sentences(text, n) for g in _slices(["<s>", *s], n)))


@variant("ngram_counts")
def ngrams_with_many_ends(text, n):
    """You put as many marks behind a sentence as in front, but it ends once."""
    ends = ["</s>"] * (n - 1)
    return dict(Counter(g for s in text for g in _slices(["<s>"] * (n - 1) + list(s) + ends, n)))


@variant("ngram_counts")
def ngrams_across_sentences(text, n):
    """Your n-grams reach from one sentence into the next."""
    joined = [token for tokens in _sentences(text, n) for token in tokens]
    return dict(Counter(_slices(joined, n)))


@variant("ngram_counts")
def ngrams_cut_short(text, n):
    """At the end of a sentence you count pieces that are shorter than n."""
    return dict(Counter(tuple(s[t : t + n]) for s in _sentences(text, n) for t in range(len(s))))


@variant("ngram_counts")
def ngrams_counted_once(text, n):
    """Each different n-gram counts once in your dictionary, however often it occurs."""
    return dict.fromkeys(_tally(text, n), 1)


@variant("ngram_counts")
def ngrams_as_text(text, n):
    """The keys of your dictionary are strings, but a tuple of tokens is asked for."""
    return {" ".join(gram): count for gram, count in _tally(text, n).items()}


@variant("ngram_counts")
def ngrams_of_one_token(text, n):
    """Your n-grams repeat one token n times, in place of n tokens in a row."""
    return dict(Counter((token,) * n for s in text for token in [*s, "</s>"]))


@variant("ngram_counts")
def ngrams_of_the_last_sentence(text, n):
    """Your dictionary is started anew for each sentence, so that the last one alone is left."""
    return _tally(text[-1:], n)


@variant("histories")
def histories_of_different_followers(counts):
    """You count how many different tokens follow a history, not how often one did."""
    return dict(Counter(gram[:-1] for gram in counts))


@variant("histories")
def histories_without_the_first(counts):
    """You take the first token away, but the history is what stands before the last one."""
    totals = Counter()
    for gram, count in counts.items():
        totals[gram[1:]] += count
    return dict(totals)


@variant("histories")
def histories_by_the_first_token(counts):
    """Your histories are one token long and no tuple, whatever n is."""
    totals = Counter()
    for gram, count in counts.items():
        totals[gram[0]] += count
    return dict(totals)


@variant("histories")
def histories_of_one_token(counts):
    """Your histories are one token long, whatever n is."""
    totals = Counter()
    for gram, count in counts.items():
        totals[gram[:1]] += count
    return dict(totals)


@variant("histories")
def histories_overwritten(counts):
    """When a history comes again you overwrite what it had, in place of adding to it."""
    return {gram[:-1]: count for gram, count in counts.items()}


# Question 7


@variant("add_delta")
def delta_without_the_vocabulary(gram, counts, totals, size, delta):
    """Your denominator gets one delta, but the numerators of all tokens get one each."""
    return (counts[gram] + delta) / (totals[gram[:-1]] + delta)


@variant("add_delta")
def delta_of_one(gram, counts, totals, size, delta):
    """You add 1 whatever delta is."""
    return (counts[gram] + 1) / (totals[gram[:-1]] + size)


@variant("add_delta")
def delta_one_below_the_line(gram, counts, totals, size, delta):
    """You add delta above the line and the size of the vocabulary, without delta, below it."""
    return (counts[gram] + delta) / (totals[gram[:-1]] + size)


@variant("add_delta")
def delta_by_the_seen(gram, counts, totals, size, delta):
    """You take the number of different n-grams for the size of the vocabulary."""
    return (counts[gram] + delta) / (totals[gram[:-1]] + delta * len(counts))


@variant("add_delta")
def delta_below_the_line_only(gram, counts, totals, size, delta):
    """Your denominator has the added counts, but your numerator has not."""
    return counts[gram] / (totals[gram[:-1]] + delta * size)


@variant("add_delta")
def delta_above_the_line_only(gram, counts, totals, size, delta):
    """Your numerator has the added count, but your denominator has not."""
    return (counts[gram] + delta) / totals[gram[:-1]]


@variant("add_delta")
def delta_with_the_wrong_history(gram, counts, totals, size, delta):
    """You look up the total of the last tokens, but the history is what stands before the last."""
    return (counts[gram] + delta) / (totals[gram[1:]] + delta * size)


@variant("add_delta")
def delta_for_the_unseen_only(gram, counts, totals, size, delta):
    """You add delta to what was not seen and leave out what was."""
    return (counts[gram] or delta) / (totals[gram[:-1]] + delta * size)


@variant("add_delta")
def delta_nothing_after_a_new_history(gram, counts, totals, size, delta):
    """After a history that was never seen, your probabilities are all 0."""
    if totals[gram[:-1]] == 0:
        return 0.0
    return (counts[gram] + delta) / (totals[gram[:-1]] + delta * size)


# Question 8


def _orders(gram, counts, totals, size):
    P = [1 / size]
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[len(gram) - k : -1]]
        P.append(counts[k][gram[-k:]] / N if N else P[-1])
    return P


@variant("interpolation")
def mixture_in_reverse(gram, counts, totals, size, lam):
    """Your weights meet the orders from the wrong end: which one is for the longest?"""
    return float(np.dot(lam[::-1], _orders(gram, counts, totals, size)))


@variant("interpolation")
def mixture_of_equal_parts(gram, counts, totals, size, lam):
    """You average the orders, whatever the weights are."""
    return float(np.mean(_orders(gram, counts, totals, size)))


@variant("interpolation")
def mixture_without_the_uniform(gram, counts, totals, size, lam):
    """The order that knows nothing is missing from your mixture."""
    return float(np.dot(lam[1:], _orders(gram, counts, totals, size)[1:]))


@variant("interpolation")
def mixture_of_the_longest_only(gram, counts, totals, size, lam):
    """You ask the longest order that knows the n-gram and no other: that is backoff."""
    for k in range(len(gram), 0, -1):
        if counts[k][gram[-k:]]:
            return counts[k][gram[-k:]] / totals[k][gram[len(gram) - k : -1]]
    return 1 / size


@variant("interpolation")
def mixture_of_the_oldest_tokens(gram, counts, totals, size, lam):
    """Your shorter orders keep the oldest tokens of the n-gram and lose the one to predict."""
    P = [1 / size]
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[: k - 1]]
        P.append(counts[k][gram[:k]] / N if N else P[-1])
    return float(np.dot(lam, P))


@variant("interpolation")
def mixture_with_silent_orders(gram, counts, totals, size, lam):
    """After a history never seen an order says 0 in your code, so the sum falls short of 1."""
    P = lam[0] / size
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[len(gram) - k : -1]]
        P += lam[k] * counts[k][gram[-k:]] / N if N else 0
    return P


@variant("interpolation")
def mixture_with_uniform_stand_ins(gram, counts, totals, size, lam):
    """After a history never seen you fall back to the uniform guess, past all orders between."""
    P = lam[0] / size
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[len(gram) - k : -1]]
        P += lam[k] * (counts[k][gram[-k:]] / N if N else 1 / size)
    return P


@variant("interpolation")
def mixture_shared_out_again(gram, counts, totals, size, lam):
    """You share out the weight of the orders that know nothing among all the others."""
    P, weight = lam[0] / size, lam[0]
    for k in range(1, len(gram) + 1):
        N = totals[k][gram[len(gram) - k : -1]]
        if N:
            P += lam[k] * counts[k][gram[-k:]] / N
            weight += lam[k]
    return P / weight


@variant("interpolation")
def mixture_divided_by_all_tokens(gram, counts, totals, size, lam):
    """You divide every count by the number of all tokens, in place of its history's."""
    P = lam[0] / size
    for k in range(1, len(gram) + 1):
        P += lam[k] * counts[k][gram[-k:]] / totals[1][()]
    return P


@variant("interpolation")
def mixture_that_divides_by_nothing(gram, counts, totals, size, lam):
    """After a history that was never seen you divide by its count, which is 0."""
    P = lam[0] / size
    for k in range(1, len(gram) + 1):
        P += lam[k] * counts[k][gram[-k:]] / totals[k][gram[len(gram) - k : -1]]
    return P


# Question 9


@variant("continuations")
def continuations_counted_each_time(counts):
    """You count how often a token follows or is followed, not after how many different ones."""
    followers, contexts = Counter(), Counter()
    for gram, count in counts.items():
        followers[gram[:1]] += count
        contexts[gram[1:]] += count
    return dict(followers), dict(contexts)


@variant("continuations")
def continuations_swapped(counts):
    """Your two dictionaries stand in each other's place."""
    return dict(Counter(g[1:] for g in counts)), dict(Counter(g[:1] for g in counts))


@variant("continuations")
def continuations_by_bare_words(counts):
    """The keys of your dictionaries are strings, but tuples of one token are asked for."""
    return dict(Counter(g[0] for g in counts)), dict(Counter(g[1] for g in counts))


@variant("continuations")
def continuations_with_frequencies_below(counts):
    """Your contexts are plain frequencies: a word that always follows one other gets too much."""
    contexts = Counter()
    for gram, count in counts.items():
        contexts[gram[1:]] += count
    return dict(Counter(g[:1] for g in counts)), dict(contexts)


@variant("continuations")
def continuations_of_real_words(counts):
    """You leave out the mark of the beginning, but it is a token that stands before others."""
    kept = [gram for gram in counts if gram[0] != "<s>"]
    return dict(Counter(g[:1] for g in kept)), dict(Counter(g[1:] for g in kept))


def _ones_and_twos(counts):
    values = list(counts.values())
    return values.count(1), values.count(2)


@variant("discount")
def discount_without_the_two(counts):
    """What was seen twice enters your denominator once."""
    n_1, n_2 = _ones_and_twos(counts)
    return n_1 / (n_1 + n_2)


@variant("discount")
def discount_of_all(counts):
    """You divide by the number of all n-grams, but only those seen once or twice take part."""
    n_1, _ = _ones_and_twos(counts)
    return n_1 / len(counts)


@variant("discount")
def discount_upside_down(counts):
    """You exchanged what was seen once with what was seen twice."""
    n_1, n_2 = _ones_and_twos(counts)
    return n_2 / (n_2 + 2 * n_1)


@variant("discount")
def discount_with_two_or_more(counts):
    """You count what was seen twice or more, but exactly twice is asked for."""
    n_1, _ = _ones_and_twos(counts)
    return n_1 / (n_1 + 2 * (len(counts) - n_1))


@variant("kneser_ney")
def kneser_ney_without_maximum(gram, counts, totals, followers, contexts, D):
    """You take the discount from a count of 0 as well, and get less than nothing."""
    P_w = contexts[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    return (counts[gram] - D + D * followers[gram[:1]] * P_w) / N if N else P_w


@variant("kneser_ney")
def kneser_ney_without_followers(gram, counts, totals, followers, contexts, D):
    """You give away one discount, but one was taken from each different follower."""
    P_w = contexts[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    return (max(counts[gram] - D, 0) + D * P_w) / N if N else P_w


@variant("kneser_ney")
def kneser_ney_without_sharing(gram, counts, totals, followers, contexts, D):
    """You take the discount away and give it to nobody, so the sum falls short of 1."""
    N = totals[gram[:1]]
    return max(counts[gram] - D, 0) / N if N else contexts[gram[1:]] / len(counts)


@variant("kneser_ney")
def kneser_ney_with_frequencies_below(gram, counts, totals, followers, contexts, D):
    """The shorter history answers by plain frequency in your code: that is absolute discounting."""
    P_w = sum(c for g, c in counts.items() if g[1:] == gram[1:]) / sum(counts.values())
    N = totals[gram[:1]]
    return (max(counts[gram] - D, 0) + D * followers[gram[:1]] * P_w) / N if N else P_w


@variant("kneser_ney")
def kneser_ney_divided_by_words(gram, counts, totals, followers, contexts, D):
    """You divide a word's contexts by the number of words: what do all contexts add up to?"""
    P_w = contexts[gram[1:]] / len(contexts)
    N = totals[gram[:1]]
    return (max(counts[gram] - D, 0) + D * followers[gram[:1]] * P_w) / N if N else P_w


@variant("kneser_ney")
def kneser_ney_of_the_words_own_followers(gram, counts, totals, followers, contexts, D):
    """You ask how many different tokens follow the word, but those before it say where it fits."""
    P_w = followers[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    return (max(counts[gram] - D, 0) + D * followers[gram[:1]] * P_w) / N if N else P_w


@variant("kneser_ney")
def kneser_ney_backs_off(gram, counts, totals, followers, contexts, D):
    """A bigram that was seen gets no share of what was freed: you back off and do not mix."""
    P_w = contexts[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    if not N:
        return P_w
    return (counts[gram] - D) / N if counts[gram] else D * followers[gram[:1]] / N * P_w


@variant("kneser_ney")
def kneser_ney_nothing_after_a_new_history(gram, counts, totals, followers, contexts, D):
    """After a new history your Kneser–Ney says 0 for every token."""
    P_w = contexts[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    return (max(counts[gram] - D, 0) + D * followers[gram[:1]] * P_w) / N if N else 0.0


@variant("kneser_ney")
def kneser_ney_that_divides_by_nothing(gram, counts, totals, followers, contexts, D):
    """A history that was never seen leaves a 0 in your denominator."""
    P_w = contexts[gram[1:]] / len(counts)
    return (max(counts[gram] - D, 0) + D * followers[gram[:1]] * P_w) / totals[gram[:1]]


@variant("kneser_ney")
def kneser_ney_with_half(gram, counts, totals, followers, contexts, D):
    """Your discount is fixed in the code, but the one to use is handed over."""
    P_w = contexts[gram[1:]] / len(counts)
    N = totals[gram[:1]]
    return (max(counts[gram] - 0.5, 0) + 0.5 * followers[gram[:1]] * P_w) / N if N else P_w


# Question 10


def _asked(P, text, n):
    """For each sentence, the probabilities of its tokens, the end's last."""
    return [[P(gram) for gram in _slices(s, n)] for s in _sentences(text, n)]


def _surprise(probability):
    return -math.log(probability) if probability else math.inf


@variant("perplexity")
def perplexity_without_the_end(P, text, n):
    """The ends of the sentences take no part in your mean, but they are predicted too."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part[:-1]]
    return math.exp(sum(losses) / len(losses))


@variant("perplexity")
def perplexity_over_the_words(P, text, n):
    """You add up the ends of the sentences and then divide by the number of words alone."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return math.exp(sum(losses) / sum(len(sentence) for sentence in text))


@variant("perplexity")
def perplexity_counts_the_beginning(P, text, n):
    """You divide by a number of tokens with the marks in front in it, which are never predicted."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return math.exp(sum(losses) / sum(len(s) for s in _sentences(text, n + 1)))


@variant("perplexity")
def perplexity_base_two(P, text, n):
    """Your logarithm and your power have different bases: they must undo each other."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return 2 ** (sum(losses) / len(losses))


@variant("perplexity")
def perplexity_as_the_loss(P, text, n):
    """You return the mean surprise, and the exponential is missing."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return sum(losses) / len(losses)


@variant("perplexity")
def perplexity_of_the_sum(P, text, n):
    """You do not divide by the number of tokens, so a longer text would always be worse."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return float(np.exp(sum(losses)))


@variant("perplexity")
def perplexity_per_sentence(P, text, n):
    """You divide by the number of sentences, but the mean is over tokens."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return float(np.exp(sum(losses) / len(text)))


@variant("perplexity")
def perplexity_averaged_over_sentences(P, text, n):
    """You average the perplexities of the sentences, in which a short one weighs as much."""
    means = [sum(map(_surprise, part)) / len(part) for part in _asked(P, text, n)]
    return float(np.mean(np.exp(means)))


@variant("perplexity")
def perplexity_of_averaged_sentences(P, text, n):
    """You average first within each sentence, so a short one weighs as much as a long one."""
    means = [sum(map(_surprise, part)) / len(part) for part in _asked(P, text, n)]
    return math.exp(sum(means) / len(means))


@variant("perplexity")
def perplexity_upside_down(P, text, n):
    """A sign is missing: a worse model has a smaller number in your code."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part]
    return math.exp(-sum(losses) / len(losses))


@variant("perplexity")
def perplexity_of_the_mean_probability(P, text, n):
    """You average the probabilities themselves, so one great surprise costs almost nothing."""
    chances = [p for part in _asked(P, text, n) for p in part]
    return len(chances) / sum(chances)


@variant("perplexity")
def perplexity_with_one_mark(P, text, n):
    """Your first n-grams are wrong: you put one mark in front of a sentence, whatever n is."""
    chances = [P(g) for s in text for g in _slices(["<s>", *s, "</s>"], n)]
    return math.exp(sum(map(_surprise, chances)) / len(chances))


@variant("perplexity")
def perplexity_by_a_product(P, text, n):
    """Your product of probabilities is 0 in the computer for a long text."""
    product, tokens = 1.0, 0
    for part in _asked(P, text, n):
        for p in part:
            product *= p
            tokens += 1
    return product ** (-1 / tokens)


@variant("perplexity")
def perplexity_without_the_impossible(P, text, n):
    """You skip tokens of probability 0, which are the model's greatest mistakes."""
    losses = [_surprise(p) for part in _asked(P, text, n) for p in part if p > 0]
    return math.exp(sum(losses) / len(losses))


@variant("perplexity")
def perplexity_stops_at_zero(P, text, n):
    """Your function stops with an error at a probability of 0, whose logarithm math.log refuses."""
    losses = [-math.log(p) for part in _asked(P, text, n) for p in part]
    return math.exp(sum(losses) / len(losses))


@variant("perplexity")
def perplexity_with_a_floor(P, text, n):
    """You raise a probability of 0 to a small number, so the model pays a price that you chose."""
    losses = [-math.log(max(p, 1e-12)) for part in _asked(P, text, n) for p in part]
    return math.exp(sum(losses) / len(losses))
