"""What models share that draw a clip by taking noise away: schedules, samplers, guidance, and the parts of networks.

Written for ToonCrafter and SEINE, which both stand on latent diffusion (Rombach et al., "High-Resolution Image
Synthesis with Latent Diffusion Models", CVPR 2022).
"""
