"""The autoencoder of latent diffusion: between pictures and latents of an eighth of their size."""
