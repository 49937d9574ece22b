"""What a run results in: findings and verdict."""
