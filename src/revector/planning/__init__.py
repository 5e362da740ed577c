"""What a migration will take, measured here before it is begun: time, storage, money, and the way to go."""
