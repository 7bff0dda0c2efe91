"""The decoder's own process: what runs inside it and how it talks to its parent. Free of torch and Flask."""
