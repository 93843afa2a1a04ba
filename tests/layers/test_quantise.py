"""The quantiser against loops, and its moving averages against their closed form."""

import pytest
import torch

from echogan.layers.quantise import DEAD, MEMORY, Quantiser, in_rows


def book_and_tokens(codes=7, dim=3, averaged=True, seed=0):
    torch.manual_seed(seed)
    book = Quantiser(codes, dim, averaged).double()
    with torch.no_grad():
        book.codes.copy_(torch.randn(codes, dim))
    return book, torch.randn(2, dim, 4, 5, dtype=torch.double)


def test_every_token_is_given_the_nearest_code():
    book, z = book_and_tokens()
    code, index = book(z)
    assert code.shape == z.shape and index.shape == (2, 4, 5)
    for b in range(2):
        for y in range(4):
            for x in range(5):
                distances = [(z[b, :, y, x] - e).square().sum() for e in book.codes]
                best = min(range(7), key=lambda k: distances[k])
                assert index[b, y, x] == best and torch.equal(code[b, :, y, x], book.codes[best])


def test_low_precision_around_it_does_not_choose_other_codes():
    book, z = book_and_tokens(64, 16)
    book, z = book.float(), z.new_empty(2, 16, 4, 5).normal_().float()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(book.nearest(z), Quantiser.nearest(book.double(), z.double()))


@pytest.mark.parametrize("averaged", [True, False])
def test_a_code_that_a_loss_pulls_is_a_parameter_and_an_averaged_one_is_not(averaged):
    book, z = book_and_tokens(averaged=averaged)
    assert (len(list(book.parameters())) == 0) == averaged
    if not averaged:
        code, index = book(z)
        code.sum().backward()
        used = torch.bincount(index.flatten(), minlength=7).double()
        torch.testing.assert_close(book.codes.grad, used[:, None].expand(-1, 3))


def test_codes_are_the_weighted_means_of_all_their_tokens():
    book, _ = book_and_tokens()
    first, sums, counts = book.codes.clone(), torch.zeros(7, 3).double(), torch.zeros(7).double()
    for t in range(5):
        z = torch.randn(2, 3, 4, 5, dtype=torch.double)
        index = book.nearest(z)
        book.learn(book.count(z, index))
        for token, k in zip(in_rows(z).flatten(0, 1), index.flatten()):
            sums[k] += token * MEMORY ** (4 - t)
            counts[k] += MEMORY ** (4 - t)
    expected = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1e-9)[:, None], first)
    torch.testing.assert_close(book.codes, expected)
    torch.testing.assert_close(book.share, counts * (1 - MEMORY) / 40)


def test_halves_of_a_batch_count_like_the_whole():
    book, z = book_and_tokens()
    whole, *halves = (book.count(part, book.nearest(part)) for part in (z, z[:1], z[1:]))
    for name, value in whole.items():
        torch.testing.assert_close(value, (halves[0][name] + halves[1][name]) / 2)


def test_dead_codes_move_to_the_tokens_of_the_largest_keys_and_live_ones_stay():
    book, z = book_and_tokens()
    book.share.copy_(torch.tensor([0.5, 0, 0.2, 0, DEAD / 7 * 0.9, 0.1, DEAD / 7 * 1.1]))
    before, share = book.codes.clone(), book.share.clone()
    tokens, keys = in_rows(z).flatten(0, 1), torch.rand(40)
    book.revive(tokens, keys)
    dead, best = [1, 3, 4], keys.argsort(descending=True)
    for k in range(7):
        expected = tokens[best[dead.index(k)]] if k in dead else before[k]
        assert torch.equal(book.codes[k], expected)
        assert book.share[k].item() == pytest.approx(1 / 7 if k in dead else share[k].item())
    torch.testing.assert_close(book.sums[dead] / book.share[dead][:, None], book.codes[dead])


def test_tokens_are_drawn_by_their_squared_distance_to_the_book():
    book = Quantiser(1, 1)
    book.codes.zero_()
    z = torch.tensor([1.0, 2.0, 3.0, 0.0]).expand(20000, 4)[:, None, None]  # squares 1, 4, 9, 0
    keys = book.badly_served(z, torch.rand(20000, 4, generator=torch.Generator().manual_seed(0)))
    first = torch.bincount(keys.argmax(1), minlength=4) / 20000
    torch.testing.assert_close(first, torch.tensor([1.0, 4.0, 9.0, 0.0]) / 14, atol=0.015, rtol=0)


def test_a_fresh_book_becomes_tokens_of_the_first_batch():
    torch.manual_seed(0)
    book, z = Quantiser(16, 3), 5 + torch.randn(2, 3, 4, 5)
    book.revive(in_rows(z).flatten(0, 1), book.badly_served(z, torch.rand(2, 20)).flatten())
    assert torch.unique(book.codes, dim=0).shape == (16, 3)
    assert (book.codes[:, None] == in_rows(z).flatten(0, 1)).all(2).any(1).all()


def test_usage_and_perplexity_of_even_and_lopsided_books():
    book = Quantiser(8, 2)
    book.share.fill_(3.0)
    assert {k: round(v.item(), 4) for k, v in book.readings().items()} == {"usage": 1.0, "perplexity": 8.0}
    book.share.copy_(torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0]))
    assert {k: round(v.item(), 4) for k, v in book.readings().items()} == {"usage": 0.25, "perplexity": 2.0}
