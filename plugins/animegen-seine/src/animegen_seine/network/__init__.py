"""The denoising network, under its published names."""
