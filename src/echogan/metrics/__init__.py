"""How far generated images are from real ones. Every function takes uint8 images (N, H, W) and returns plain numbers."""
