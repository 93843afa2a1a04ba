"""The official StyleGAN2-ADA code: its snapshots read without running them, its training driven from here."""
