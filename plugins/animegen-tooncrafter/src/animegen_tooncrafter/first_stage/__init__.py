"""The autoencoder between pictures and latents, whose decoder refers back to both keyframes."""
