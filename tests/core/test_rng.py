"""Named generators: a function of their keys alone."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.core.rng import derive_seed, generator

KEYS = st.lists(st.text(max_size=8) | st.integers(-(10**20), 10**20), max_size=4).map(tuple)


def test_the_seed_is_the_start_of_a_hash_so_that_it_is_the_same_everywhere():
    first = hashlib.sha256(b'["distil",0,"init",3]').hexdigest()[:16]
    assert derive_seed("distil", 0, "init", 3) == int(first, 16) // 2


@given(KEYS, KEYS)
def test_seeds_fit_63_bits_and_differ_exactly_where_keys_do(one, other):
    assert 0 <= derive_seed(*one) < 2**63
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)


def test_text_and_number_nesting_and_order_are_told_apart():
    seeds = {derive_seed(*keys) for keys in [("1",), (1,), ("1", ""), ("", "1"), (1, 2), (2, 1), (12,), ("1,2",), ()]}
    assert len(seeds) == 9


def test_a_generator_repeats_itself_and_knows_no_other():
    one = torch.rand(4, generator=generator("a", 1))
    torch.rand(100, generator=generator("b", 1))
    assert torch.equal(torch.rand(4, generator=generator("a", 1)), one)
    assert not torch.equal(torch.rand(4, generator=generator("a", 2)), one)


def test_global_states_are_left_alone():
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    torch.rand(4, generator=generator("a", 1))
    after = torch.random.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]
