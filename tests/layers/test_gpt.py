"""The transformer: causal, the same one token at a time, and a sampler whose frequencies are the distribution."""

import pytest
import torch

from echogan.layers.gpt import GPT, drawn


def net(classes=0, seed=0):
    torch.manual_seed(seed)
    gpt = GPT(11, 9, width=16, depth=3, heads=2, dropout=0.1, classes=classes).eval().double()
    for p in gpt.parameters():  # far from the flat distribution of its first weights
        torch.nn.init.normal_(p, 0.0, 0.3)
    return gpt


def test_no_token_is_told_by_itself_or_a_later_one():
    gpt, label = net(), torch.zeros(2, dtype=torch.long)
    tokens = torch.randint(11, (2, 9))
    logits = gpt(tokens, label)
    assert logits.shape == (2, 9, 11)
    for t in range(9):
        other = tokens.clone()
        other[:, t:] = (other[:, t:] + 1 + torch.randint(10, (2, 9 - t))) % 11
        changed = gpt(other, label)
        torch.testing.assert_close(changed[:, : t + 1], logits[:, : t + 1])
        if t + 1 < 9:
            assert not torch.allclose(changed[:, t + 1], logits[:, t + 1])


def test_a_walk_with_memory_sees_the_logits_of_the_whole_sentence():
    gpt, label, seen = net(classes=3), torch.tensor([2, 0, 1, 1]), []

    def choose(logits, t):
        seen.append(logits)
        return logits.argmax(1) if t % 2 else (logits.argmax(1) + t) % 11

    with torch.no_grad():
        tokens = gpt.walk(label, choose)
        torch.testing.assert_close(torch.stack(seen, 1), gpt(tokens, label))


def test_the_class_stands_before_the_sentence():
    gpt, tokens = net(classes=2), torch.randint(11, (1, 9))
    zero, one = (gpt(tokens, torch.tensor([k])) for k in (0, 1))
    assert all(not torch.allclose(zero[:, t], one[:, t]) for t in range(9))


# ------------------------------------------------------------------------------------------------ drawing

LOGITS = torch.tensor([[0.0, 2.0, -1.0, 1.0]])
CHANCES = (torch.arange(40000) + 0.5) / 40000


def frequencies(**choices):
    tokens = drawn(LOGITS.expand(40000, -1), CHANCES, **choices)
    return torch.bincount(tokens, minlength=4) / 40000


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_distribution(temperature):
    torch.testing.assert_close(
        frequencies(temperature=temperature), (LOGITS[0] / temperature).softmax(0), atol=1e-4, rtol=0
    )


def test_top_k_and_top_p_leave_the_likeliest():
    p = LOGITS[0].softmax(0)  # .087, .644, .032, .237
    two = torch.tensor([0.0, p[1], 0.0, p[3]]) / (p[1] + p[3])
    torch.testing.assert_close(frequencies(top_k=2), two, atol=1e-4, rtol=0)
    torch.testing.assert_close(frequencies(top_p=0.8), two, atol=1e-4, rtol=0)
    assert frequencies(top_k=1)[1] == 1 and frequencies(top_p=0.6)[1] == 1 and frequencies(temperature=1e-3)[1] == 1
    torch.testing.assert_close(frequencies(top_k=4, top_p=1.0), p, atol=1e-4, rtol=0)


def test_the_ends_of_chance_are_tokens_that_may_come():
    ends = torch.tensor([0.0, 1 - 2**-24])
    assert drawn(LOGITS.expand(2, -1), ends, top_k=3).tolist() == [1, 0]
