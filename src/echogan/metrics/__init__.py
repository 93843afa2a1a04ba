"""How far generated images are from real ones: of pixels, uint8 (N, H, W), or of an encoder's features, (N, d)."""
