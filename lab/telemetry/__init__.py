"""What the machine does while a run lasts: power, memory, load, energy. Measured, or absent."""
