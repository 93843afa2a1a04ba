"""The latent space of a trained StyleGAN2: where a real frame lies in it, what its directions mean, what lies nearby."""
