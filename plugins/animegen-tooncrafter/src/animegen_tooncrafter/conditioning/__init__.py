"""What a clip is to show: OpenCLIP's towers for prompt and image, keyframes as tensors, frames as pictures."""
