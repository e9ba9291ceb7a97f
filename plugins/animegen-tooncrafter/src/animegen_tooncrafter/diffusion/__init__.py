"""Latent video diffusion: U-Net, image projector, sketch encoder, noise schedule, sampler, training loss."""
