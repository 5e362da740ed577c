"""The native encoder: transformers and static token tables, on the kernels of the core."""
