"""Models: loaded, versioned, batched, asked; free of HTTP."""
