"""Time loops on the GPU: one launch per layer and direction, with time inside the kernel."""
