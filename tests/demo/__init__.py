"""The bundled class: sixteen submissions of ps1_word2vec, from perfect to hostile.

`python -m tests.demo` (or `make demo`) hands them in, grades them and shows what came of it.
"""
