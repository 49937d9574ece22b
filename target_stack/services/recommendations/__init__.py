"""What is often bought together: nice to have. Whoever asks does without it when it is slow."""
