from tests.real_weights import real_weights

__all__ = ["real_weights"]
