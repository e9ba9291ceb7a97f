"""The latent video diffusion of ToonCrafter: U-Net, image projector, sketch encoder, schedule, sampler, training loss."""
