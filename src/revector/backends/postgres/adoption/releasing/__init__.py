"""The parts of giving a user's table back."""
