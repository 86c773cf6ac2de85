"""Stores of sealed objects, addressed by their anchored digest. They take sealed types only, never plaintext."""
